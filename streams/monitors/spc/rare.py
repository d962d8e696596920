"""Charts of rare defects: good parts between two bad ones (g), time between them (t), and a Bernoulli CUSUM over all parts.

Where a subgroup would rarely hold a bad part, a count per subgroup says nothing. Limits of g are probabilities, because a
geometric count is far too skewed for three sigmas; t is drawn on a scale on which exponential times are all but normal
(L. Nelson, J. Quality Technology 26 (1994) 239). One gap says little: the CUSUM adds them up. Knows numbers, no stream.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from streams.monitors.spc.attributes import D2, Removal
from streams.monitors.spc.rules import Direction
from streams.monitors.spc.variables import Drawn, Sample, VariableLimits, fit_individuals, location_limits, location_z
from streams.monitors.thresholds import run_length, threshold

ALPHA = 0.00135  # a side: what three sigmas leave on a normal
_POWER = 3.6


@dataclass(frozen=True, slots=True, kw_only=True)
class GapLimits:
    """A g chart. rate: bad parts a part. Gaps count good parts: one below `worse` signals, and one of `better` or more."""

    rate: float
    gaps: int | None
    alpha: float
    worse: int
    better: int

    @property
    def arl0(self) -> float:
        """Mean bad parts between false signals while the rate holds: exact."""
        return self.arl(self.rate)

    def arl(self, rate: float) -> float:
        """Mean bad parts to a signal at this rate."""
        signalled = -math.expm1(self.worse * math.log1p(-rate)) + math.exp(self.better * math.log1p(-rate))
        return 1 / signalled if signalled > 0 else math.inf


def gap_limits(rate: float, alpha: float = ALPHA, gaps: int | None = None) -> GapLimits:
    """P(X >= k) = (1 - rate)^k; a side signals with a probability of at most alpha. Raises ValueError unless 0 < rate < 1."""
    if not 0 < rate < 1:
        raise ValueError(f"a rate of {rate:g} bad parts a part has no gaps to chart")
    step = math.log1p(-rate)
    worse, better = math.floor(math.log1p(-alpha) / step), math.ceil(math.log(alpha) / step)
    return GapLimits(rate=rate, gaps=gaps, alpha=alpha, worse=worse, better=better)


def fit_gaps(gaps: Sequence[int]) -> GapLimits:
    """From the good parts before each bad one: the rate is 1 / (mean gap + 1). Raises ValueError for none, or all 0."""
    if not gaps or min(gaps) < 0:
        raise ValueError("a g chart needs gaps of 0 good parts or more")
    return gap_limits(len(gaps) / (sum(gaps) + len(gaps)), gaps=len(gaps))


def gap_signal(limits: GapLimits, gap: int) -> Direction | None:
    """`high`: the rate is higher than it was (a short gap); `low`: a long one, the rate is lower."""
    if gap < limits.worse:
        return "high"
    return "low" if gap >= limits.better else None


def fit_times(seconds: Sequence[float], removed: Sequence[Removal] = (), d2: float = D2) -> VariableLimits:
    """I-MR limits of y = t^(1/3.6), in that scale, for times between neighbouring bad parts named 0, 1, ... as subgroups."""
    samples = [Sample(subgroup=str(i), n=1, mean=scaled(t), sd=None) for i, t in enumerate(seconds)]
    return fit_individuals(samples, removed, d2)


def scaled(seconds: float) -> float:
    """Nelson's scale. Raises ValueError below 0 and for what is not finite."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"a time between two parts of {seconds} s")
    return float(seconds ** (1 / _POWER))


def time_z(limits: VariableLimits, seconds: float) -> float:
    """On Nelson's scale. Below -3 the defects come faster than they did."""
    return location_z(limits, 1, scaled(seconds))


def time_limits(limits: VariableLimits) -> Drawn:
    """Centre and limits in seconds."""
    y = location_limits(limits, 1)
    center, lcl, ucl = (max(0.0, one) ** _POWER for one in (y.center, y.lcl, y.ucl))
    return Drawn(center=center, lcl=lcl, ucl=ucl)


@dataclass(frozen=True, slots=True, kw_only=True)
class BernoulliCusum:
    """A CUSUM of every part against a rise of the rate. bad, good: nats that a part adds; h: nats at which it signals.

    arl0, arl1: mean parts to a signal at either rate, from its start at 0.
    """

    rate: float
    risen: float
    bad: float
    good: float
    h: float
    arl0: float
    arl1: float


def bernoulli_cusum(rate: float, risen: float, parts: float) -> BernoulliCusum:
    """The fastest rule for this rise with at least `parts` parts between false signals: M. Reynolds, Z. Stoumbos,
    J. Quality Technology 31 (1999) 87. The threshold is computed from the chain of `thresholds`, not tuned.

    Raises ValueError unless 0 < rate < risen < 1.
    """
    if not 0 < rate < risen < 1:
        raise ValueError(f"a rise from {rate:g} to {risen:g} is none")
    steps = (math.log(risen / rate), math.log((1 - risen) / (1 - rate)))
    h = threshold(steps, (rate, 1 - rate), parts)
    runs = [run_length(steps, (share, 1 - share), h) for share in (rate, risen)]
    return BernoulliCusum(rate=rate, risen=risen, bad=steps[0], good=steps[1], h=h, arl0=runs[0], arl1=runs[1])


def cusum_step(cusum: BernoulliCusum, height: float, bad: int, good: int = 0) -> tuple[float, bool]:
    """(height, signal) after so many good parts and then so many bad ones. It starts at 0, and again after a signal."""
    after = max(0.0, height + good * cusum.good) + bad * cusum.bad
    return (0.0, True) if after >= cusum.h else (after, False)
