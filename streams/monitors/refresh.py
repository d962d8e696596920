"""May a new sample take a baseline's place? An equivalence test against the anchor, never against the baseline before it.

A refresh that adapts to a slow drift is the failure that the monitor exists for, so each candidate is compared with the sample
that was signed first, and must show that it differs little: not finding a difference is not enough (two one-sided tests: D.
Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657). Knows samples, no person and no reason; the challenge parts are asked
elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from streams.monitors.baseline import Baseline
from streams.monitors.lots import Values, normal_scores
from streams.monitors.symbols import NORMAL

LIMIT_SD = 0.25
SCALES = (0.8, 1.25)
LEVEL = (
    0.04  # of the test; 5 % are promised, the rest is for what the normal approximation and estimated design effects get wrong
)
CONF = NORMAL.inv_cdf(1 - LEVEL)
_ENOUGH = 350  # effective scores on each side, from which an equal sample passes most of the time


@dataclass(frozen=True, slots=True)
class Ledger:
    """shifts_sd: against the anchor, one for each refresh that was accepted, oldest first."""

    shifts_sd: tuple[float, ...] = ()

    @property
    def steps_sd(self) -> tuple[float, ...]:
        """What each refresh added."""
        return tuple(after - before for before, after in pairwise((0.0, *self.shifts_sd)))

    @property
    def total_sd(self) -> float:
        """The signed sum of all steps since the anchor."""
        return self.shifts_sd[-1] if self.shifts_sd else 0.0

    def add(self, decision: Decision) -> Ledger:
        return Ledger((*self.shifts_sd, decision.shift_sd))


@dataclass(frozen=True, kw_only=True)
class Decision:
    """shift_sd: of the good parts against the anchor, in its latent sd; bound_sd: what it is below, in size, with 96 %; scale: of
    their spread, as a factor; step_sd: what this refresh would add to the ledger; reasons: why not, empty where accepted.
    """

    accepted: bool
    shift_sd: float
    bound_sd: float
    scale: float
    step_sd: float
    reasons: tuple[str, ...]


def gate_refresh(anchor: Baseline, candidate: Baseline, ledger: Ledger) -> Decision:
    """Accepts a sample of the anchor with a true shift of .25 sd or more in at most 5 % of cases."""
    own = normal_scores(anchor.sample, anchor.sample)
    new = normal_scores(candidate.sample, anchor.sample)
    spread, seen = _sd(own), float(new.mean() - own.mean())
    slope = shown(anchor, own, math.copysign(LIMIT_SD, seen)) / LIMIT_SD
    shift = seen / slope if slope else _unscaled(own, new)
    error = math.sqrt(candidate.deff / candidate.n + anchor.deff / anchor.n)
    bound = abs(shift) + CONF * error * (spread / slope if slope else 1.0)
    scale = _sd(new) / spread if spread else 1.0 if not _sd(new) else math.inf
    reasons = tuple(_reasons(anchor, candidate, shift, bound, scale))
    return Decision(
        accepted=not reasons,
        shift_sd=shift,
        bound_sd=bound,
        scale=scale,
        step_sd=shift - ledger.total_sd,
        reasons=reasons,
    )


def shown(anchor: Baseline, own: Values, shift: float) -> float:
    """How far the mean of clipped, tied ranks moves, in size, where the good parts move by `shift` latent sd: less than that,
    since what lies beyond the clip, and what stays on one value, does not show. own: normal scores of the anchor's sample.
    """
    _, first, counts = np.unique(anchor.sample, return_index=True, return_counts=True)
    upto = [NORMAL.inv_cdf(share) for share in (np.cumsum(counts)[:-1] / len(own)).tolist()]
    below = np.array([0.0, *(NORMAL.cdf(cut - shift) for cut in upto), 1.0])
    return abs(float((np.diff(below) - counts / len(own)) @ own[first]))


def _reasons(anchor: Baseline, candidate: Baseline, shift: float, bound: float, scale: float) -> list[str]:
    reasons = []
    if abs(shift) > LIMIT_SD:
        reasons.append(f"good parts lie {shift:+.2f} sd from the anchor: more than {LIMIT_SD} is a new process, not a refresh")
    elif bound > LIMIT_SD:
        fewest = min(anchor.n / anchor.deff, candidate.n / candidate.deff)
        more = f"; about {_ENOUGH} independent parts on each side are needed, the smaller has {fewest:.0f}"
        reasons.append(
            f"good parts may lie up to {bound:.2f} sd from the anchor, the limit is {LIMIT_SD}{more if fewest < _ENOUGH else ''}"
        )
    if not SCALES[0] <= scale <= SCALES[1]:
        reasons.append(f"their spread is {scale:.2f} of the anchor's: {SCALES[0]} to {SCALES[1]} is allowed")
    return reasons


def _sd(values: Values) -> float:
    return float(values.std())


def _unscaled(own: Values, new: Values) -> float:
    """An anchor of one value only: nothing but that value is near it."""
    return 0.0 if float(new.min()) == float(new.max()) == float(own[0]) else math.copysign(math.inf, float(new.mean() - own[0]))
