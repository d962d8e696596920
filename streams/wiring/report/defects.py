"""Defects by class, and which classes moved since the window before. The numbers are `monitors/spc/pareto.py`'s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from streams.monitors.spc.pareto import Bar, Mover, movers, pareto
from streams.monitors.spc.part import Said, counts_as
from streams.wiring.adapters.database.ask_parts import Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Defects:
    """Of one product: parts by the class of their verdict, one class a part, as SPC's subgroups count them.

    inspected: parts with a verdict other than no_verdict; `unreviewed`: on review. changes: every class against the window
    before; empty where nothing was inspected then. moved: those of which the interval leaves 0 out.
    """

    product: str
    inspected: int
    inspected_before: int
    bars: tuple[Bar, ...]
    changes: tuple[Mover, ...]
    moved: tuple[Mover, ...]


def defects(now: Iterable[Count], before: Iterable[Count]) -> tuple[Defects, ...]:
    news, olds = _by_product(now), _by_product(before)
    return tuple(_defects(product, news[product], olds.get(product)) for product in sorted(news))


def _defects(product: str, now: tuple[Counter[str], int], before: tuple[Counter[str], int] | None) -> Defects:
    bars = pareto(now[0], now[0], now[1])
    changes = movers(pareto(before[0], before[0], before[1]), bars) if before is not None and before[1] else ()
    return Defects(
        product=product,
        inspected=now[1],
        inspected_before=0 if before is None else before[1],
        bars=bars,
        changes=changes,
        moved=tuple(one for one in changes if one.moved),
    )


def _by_product(counts: Iterable[Count]) -> dict[str, tuple[Counter[str], int]]:
    """product -> (parts by class, inspected)."""
    found: dict[str, tuple[Counter[str], int]] = {}
    for one in counts:
        if one.purpose != "production":
            continue
        classes, inspected = found.get(one.product, (Counter(), 0))
        name = counts_as(Said(one.disposition, one.label))
        if name is not None:
            classes[name] += one.n
        found[one.product] = (classes, inspected + (one.n if one.disposition != "no_verdict" else 0))
    return found
