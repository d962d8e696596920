"""What was inspected, and what became of it: by product and line, each disposition a bar of its own. Counts; judges nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from schemas.common import Disposition
from streams.monitors.shares import Share, share
from streams.wiring.adapters.database.ask_parts import Count

DISPOSITIONS: tuple[Disposition, ...] = get_args(Disposition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Production parts of one product on one line (`site/line`); n: judged in any way. shares: of n, with Wilson's interval."""

    product: str
    line: str
    n: int
    counts: Mapping[str, int]
    shares: Mapping[str, Share]


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """excluded: parts of other purposes, which count nowhere else. late: judged after their deadline."""

    total: Row
    rows: tuple[Row, ...]
    excluded: Mapping[str, int]
    late: int
    no_verdict_reasons: Mapping[str, int]


def production(counts: Iterable[Count], late: int, reasons: Mapping[str, int]) -> Production:
    found: dict[tuple[str, str], Counter[str]] = {}
    excluded: Counter[str] = Counter()
    for one in counts:
        if one.purpose == "production":
            found.setdefault((one.product, line_of(one.station)), Counter())[one.disposition] += one.n
        else:
            excluded[one.purpose] += one.n
    whole: Counter[str] = Counter()
    for of_one in found.values():
        whole.update(of_one)
    rows = tuple(_row(product, line, found[product, line]) for product, line in sorted(found))
    return Production(
        total=_row("all", "all", whole),
        rows=rows,
        excluded=dict(excluded),
        late=late,
        no_verdict_reasons=dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


def line_of(station: str) -> str:
    """`site/line` of `site/line/station`."""
    return station.rpartition("/")[0]


def _row(product: str, line: str, counted: Counter[str]) -> Row:
    n = counted.total()
    counts: dict[str, int] = {name: counted[name] for name in DISPOSITIONS}
    return Row(product=product, line=line, n=n, counts=counts, shares={name: share(k, n) for name, k in counts.items()})
