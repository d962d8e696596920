"""How the plant's knobs go over the parts of a station: steps, ramps, a change of shift. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from streams.workbench.plant import Knobs

LEVELS = 8  # looks that a ramp is recorded in; between two of them both occur
QUIET = Knobs(defect_rate=0.01)  # an ordinary day of a good line
_LOOKS = ("light_gain", "light_tilt", "blur_px", "dirt", "texture", "wear", "contrast")
_RAMPED = ("defect_rate", *_LOOKS)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """From part `begin` on these knobs hold, reached in a straight line over `over` parts. turns: parts after which the phase and
    the one before it take turns, 0 for ever the same: a shift by day and by night.
    """

    begin: int
    knobs: Knobs
    over: int = 0
    turns: int = 0


@dataclass(frozen=True, kw_only=True)
class Course:
    """first: the knobs from part 0 on. phases: by ascending begin (ValueError)."""

    first: Knobs = field(default_factory=lambda: QUIET)
    phases: tuple[Phase, ...] = ()

    def __post_init__(self) -> None:
        begins = [phase.begin for phase in self.phases]
        if begins != sorted(set(begins)):
            raise ValueError(f"phases must begin one after the other, not at {begins}")

    def knobs(self, n: int) -> Knobs:
        """At part n."""
        before, after, share = self._at(n)
        if share in (0.0, 1.0):
            return after if share else before
        return replace(after, **_mixed(_RAMPED, before, after, share))

    def looks(self) -> tuple[Knobs, ...]:
        """Every look that its pictures can have, the first one first; what does not show in a good part is at its default."""
        mixes = [(self.first, self.first, 0.0)]
        for before, phase in zip((self.first, *(phase.knobs for phase in self.phases)), self.phases, strict=False):
            steps = LEVELS if phase.over else 1
            mixes += [(before, phase.knobs, k / steps) for k in range(1, steps + 1)]
        return tuple(dict.fromkeys(_look(*mix) for mix in mixes))

    def look(self, n: int, rng: np.random.Generator) -> Knobs:
        """One of `looks` for part n: on a ramp one of its two neighbours, by chance."""
        before, after, share = self._at(n)
        if share in (0.0, 1.0):
            return _look(before, after, share)
        return _look(before, after, min(LEVELS, int(share * LEVELS + rng.random())) / LEVELS)

    def _at(self, n: int) -> tuple[Knobs, Knobs, float]:
        """(knobs before, knobs of the phase, how far it has gone: 0..1)."""
        begun = [phase for phase in self.phases if phase.begin <= n]
        if not begun:
            return self.first, self.first, 0.0
        phase = begun[-1]
        before = begun[-2].knobs if len(begun) > 1 else self.first
        gone = n - phase.begin
        if phase.turns and gone // phase.turns % 2:
            return before, phase.knobs, 0.0
        return before, phase.knobs, min(1.0, gone / phase.over) if phase.over else 1.0


def _mixed(names: tuple[str, ...], before: Knobs, after: Knobs, share: float) -> dict[str, Any]:
    return {name: getattr(before, name) + share * (getattr(after, name) - getattr(before, name)) for name in names}


def _look(before: Knobs, after: Knobs, share: float) -> Knobs:
    return Knobs(**_mixed(_LOOKS, before, after, share))
