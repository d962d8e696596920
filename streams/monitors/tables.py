"""Likelihood ratios of a moved baseline against "the reference, and any share of defects up to 30 % in its upper tail".

A change of the defect rate must not look like a change of the good parts, so the null is a family: (1 - e) reference + e
tail, 0 <= e <= 0.30. Each alternative is set against the member nearest to it (reverse information projection; for e-values:
P. Grünwald, R. de Heide, W. Koolen, Safe Testing, J. R. Stat. Soc. B 86 (2024) 1091). Then the mean ratio is at most 1 under
every member.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from streams.monitors.symbols import NORMAL

Direction = Literal["up", "down", "shrink", "spread"]
DIRECTIONS: tuple[Direction, ...] = ("up", "down", "shrink", "spread")
UNIT = 65536  # table entries are in 1/65536 nat
MOST_DEFECTS = 0.30  # the largest defect share of the null
DEFECTS = 0.02  # the share that the alternative carries, all of it in the tail
_FLOOR = 1e-12


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """Good parts moved by `shift` and scaled by `scale`, both in latent sd of the reference."""

    direction: Direction
    shift: float = 0.0
    scale: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.direction} {abs(self.shift) if self.shift else self.scale:g}"


FAMILY = (
    Alternative(direction="up", shift=0.4),
    Alternative(direction="up", shift=1.0),
    Alternative(direction="up", shift=2.0),
    Alternative(direction="down", shift=-0.4),
    Alternative(direction="down", shift=-1.0),
    Alternative(direction="shrink", scale=0.6),
    Alternative(direction="spread", scale=1.6),
)
NEARER = (*FAMILY[:-2], Alternative(direction="shrink", scale=0.7), Alternative(direction="spread", scale=1.4))
NEARER_FROM = 1000  # effective reference scores, n / deff, from which a change of the spread by a third can be told from chance
FINE = (Alternative(direction="up", shift=0.2), Alternative(direction="down", shift=-0.2))
FINE_FROM = 5000  # the same for a shift of .2 sd


@dataclass(frozen=True, kw_only=True)
class Ratios:
    """Likelihood ratio of each bin. null: masses of the least favourable member of the family (share: its defect share)."""

    values: tuple[float, ...]
    null: tuple[float, ...]
    share: float

    def variance(self, masses: Sequence[float]) -> float:
        mean = math.fsum(p * value for p, value in zip(masses, self.values, strict=True))
        return max(0.0, math.fsum(p * value * value for p, value in zip(masses, self.values, strict=True)) - mean * mean)


def family(effective: float) -> tuple[Alternative, ...]:
    """The alternatives that a reference of n / deff effective scores can carry, in the order of the tables."""
    if effective < NEARER_FROM:
        return FAMILY
    return NEARER + FINE if effective >= FINE_FROM else NEARER


def moved(masses: Sequence[float], alternative: Alternative) -> tuple[float, ...]:
    """Masses of the bins once the good parts moved. masses: of the reference, all > 0, sum 1."""
    cuts = [NORMAL.inv_cdf(min(c, 1 - _FLOOR)) for c in list(accumulate(masses))[:-1]]
    below = [0.0, *(NORMAL.cdf((c - alternative.shift) / alternative.scale) for c in cuts), 1.0]
    return tuple(max(_FLOOR, high - low) for low, high in pairwise(below))


def ratios(masses: Sequence[float], body: int, alternative: Alternative) -> Ratios:
    """Ratio of each bin; the same for all tail bins, so that where in the tail a defect lies cannot matter."""
    after = moved(masses, alternative)
    tail = math.fsum(masses[body:])
    tail_after = (1 - DEFECTS) * math.fsum(after[body:]) + DEFECTS
    share = min(MOST_DEFECTS, max(0.0, (tail_after - tail) / (1 - tail)))
    tail_null = tail + share * (1 - tail)
    inside = [(1 - DEFECTS) * a / ((1 - share) * p) for a, p in zip(after[:body], masses[:body], strict=True)]
    outside = tail_after / tail_null
    null = [(1 - share) * p for p in masses[:body]] + [p / tail * tail_null for p in masses[body:]]
    return Ratios(values=(*inside, *[outside] * (len(masses) - body)), null=tuple(null), share=share)


def pay(variance: float, deff: float, n: int, conf: float) -> float:
    """What each part pays, in nats, because the reference is a sample: the log of the mean ratio's upper bound."""
    return math.log1p(conf * math.sqrt(variance * deff / n))


def increments(nats: Sequence[float], price: float, deff: float) -> tuple[int, ...]:
    """Table entries in 1/65536 nat, tempered by deff and rounded down, so that the mean of exp(entry) stays at most 1."""
    return tuple(math.floor(UNIT * (value - price) / deff) for value in nats)


def table(masses: Sequence[float], body: int, alternative: Alternative, *, n: int, deff: float, conf: float) -> tuple[int, ...]:
    """What a score in each bin adds to the CUSUM of an alternative."""
    found = ratios(masses, body, alternative)
    price = pay(found.variance(masses), deff, n, conf)
    return increments([math.log(value) for value in found.values], price, deff)
