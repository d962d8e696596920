"""How far a class is from being learned: parts so far, and the recall interval to expect at 5, 10, 20 and 40. Pure.

A part is a physical part or lot, not an image: images of one part say the same thing twice (group by serial, then by lot).
Nothing here is a promise of a model. Three intervals, each by its own exact rule:
* proven: Clopper and Pearson's, of the parts of this class that the candidate found when they were held out;
* expected at n parts: beta-binomial (Jeffreys' prior), what a measurement of recall on n parts will show, given those held out;
* at best at n parts: Clopper and Pearson's where all n are found: nobody can prove more with so few.
What recall the served heads reached on three public sets with 20 and 40 a class stands in docs/review.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from streams.monitors.shares import Share, exact_share

STEPS = (5, 10, 20, 40)
PARTS_TO_PROPOSE = 5
_PRIOR = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """At so many parts. low, high: expected recall, 95 %; None before any part of the class was held out. at_best: lower end."""

    parts: int
    reached: bool
    low: float | None
    high: float | None
    at_best: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """parts: labelled ones. share: of the last step, 0 to 1, for the meter. proven: recall so far. basis: what it rests on."""

    parts: int
    share: float
    missing: int
    proven: Share
    steps: tuple[Step, ...]
    basis: str


def readiness(parts: int, found: int = 0, held_out: int = 0, by: str = "") -> Readiness:
    """found of held_out parts of this class were given it by the model `by`, which had not learned from them.

    Raises ValueError where more were found than held out, or more held out than there are.
    """
    if not 0 <= found <= held_out <= parts:
        raise ValueError(f"{found} found of {held_out} held out of {parts} parts")
    after = [step for step in STEPS if step > parts]
    told = f"{found} of {held_out} parts held out from {by or 'the candidate'}; beta-binomial with Jeffreys' prior, 95 %"
    return Readiness(
        parts=parts,
        share=min(1.0, parts / STEPS[-1]),
        missing=after[0] - parts if after else 0,
        proven=exact_share(found, held_out),
        steps=tuple(_step(n, parts, found, held_out) for n in STEPS),
        basis=told if held_out else "no part of this class was held out yet; at best: all are found, Clopper and Pearson, 95 %",
    )


def expected_recall(n: int, found: int, held_out: int) -> tuple[float, float]:
    """95 % of measurements of recall on n more parts lie in it, if they are drawn like those held out."""
    shares = betabinomial(n, found + _PRIOR, held_out - found + _PRIOR)
    return _quantile(shares, 0.025) / n, _quantile(shares, 0.975) / n


def betabinomial(n: int, a: float, b: float) -> list[float]:
    """Probability of 0..n successes where the chance of one is beta(a, b)."""
    return [math.exp(_log_ways(n, k) + _log_beta(k + a, n - k + b) - _log_beta(a, b)) for k in range(n + 1)]


def _log_ways(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _quantile(probabilities: Sequence[float], q: float) -> int:
    """The smallest number that is not exceeded with probability q."""
    return next((k for k, below in enumerate(accumulate(probabilities)) if below >= q), len(probabilities) - 1)


def parts_of(groups: Sequence[str | None], images: Sequence[str]) -> int:
    """How many parts these labels are of. groups: serial or lot of each, None where the line told neither: then an image each."""
    return len({group if group is not None else f"image/{image}" for group, image in zip(groups, images, strict=True)})


def _step(n: int, parts: int, found: int, held_out: int) -> Step:
    low, high = expected_recall(n, found, held_out) if held_out else (None, None)
    return Step(parts=n, reached=parts >= n, low=low, high=high, at_best=exact_share(n, n).low)
