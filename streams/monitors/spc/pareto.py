"""Defects by class, most frequent first, with intervals; what nobody could name is shown, not left out. Knows counts, no stream.

Defects and parts are counted apart: one part may carry several. `unknown` (seen, no class accepted) and `unreviewed` (not looked
at yet) are bars of their own, shown even at 0 and always last, so that a tall one is noticed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from streams.monitors.shares import Share, share

ALWAYS = ("unknown", "unreviewed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One class. of_defects: its share of all defects; rate: parts that carry it of the parts inspected; both with Wilson's
    interval. cumulative: share of all defects up to and with this bar, 0 where there is none.
    """

    name: str
    defects: int
    of_defects: Share
    rate: Share
    cumulative: float


def pareto(defects: Mapping[str, int], parts: Mapping[str, int], inspected: int) -> tuple[Bar, ...]:
    """defects: by class; parts: parts that carry the class. Equal counts are in order of the name.

    Raises ValueError where more parts carry a class than were inspected, or than it has defects.
    """
    names = sorted(set(defects) | set(parts) | set(ALWAYS), key=lambda name: (name in ALWAYS, -defects.get(name, 0), name))
    total = sum(defects.values())
    bars = []
    for name, upto in zip(names, accumulate(defects.get(name, 0) for name in names), strict=True):
        found, carry = defects.get(name, 0), parts.get(name, 0)
        if not 0 <= carry <= min(found, inspected):
            raise ValueError(f"{name}: {carry} parts with {found} defects of {inspected} inspected")
        shares = share(found, total), share(carry, inspected)
        bars.append(
            Bar(name=name, defects=found, of_defects=shares[0], rate=shares[1], cumulative=upto / total if total else 0.0)
        )
    return tuple(bars)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """A class between two windows: change of its rate, now less before, with R. Newcombe's interval; None without parts."""

    name: str
    before: Share
    now: Share
    change: float | None
    low: float
    high: float

    @property
    def moved(self) -> bool:
        """The interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def movers(before: tuple[Bar, ...], now: tuple[Bar, ...]) -> tuple[Mover, ...]:
    """Every class of either window, the largest change first. A class that is absent had none of the inspected parts."""
    olds, news = ({bar.name: bar.rate for bar in bars} for bars in (before, now))
    empty_old, empty_new = share(0, before[0].rate.n), share(0, now[0].rate.n)
    pairs = [(name, olds.get(name, empty_old), news.get(name, empty_new)) for name in sorted(set(olds) | set(news))]
    return tuple(sorted((mover(*pair) for pair in pairs), key=lambda one: -abs(one.change or 0.0)))


def mover(name: str, before: Share, now: Share) -> Mover:
    """Difference of two Wilson shares: R. Newcombe, Statistics in Medicine 17 (1998) 873, method 10."""
    if before.value is None or now.value is None:
        return Mover(name=name, before=before, now=now, change=None, low=-1.0, high=1.0)
    change = now.value - before.value
    down = math.hypot(now.value - now.low, before.high - before.value)
    up = math.hypot(now.high - now.value, before.value - before.low)
    return Mover(name=name, before=before, now=now, change=change, low=change - down, high=change + up)
