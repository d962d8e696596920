"""On which baseline a score stream stands, and how well: what the records of baseline.v1 amount to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.baseline import BaselinePointerV1, BaselineStateV1
from schemas.common import BaselineState
from schemas.ids import Digest

Origin = Literal["calibration", "commissioned", "refreshed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """baseline: absent where there is none yet, or none any more. by_act: a person put it in force, or retired it."""

    baseline: Digest | None
    by_act: bool
    state: BaselineState

    @property
    def stamped(self) -> Digest | None:
        """What a part is stamped with: only what an act put in force, so that it takes force from a recorded sequence on."""
        return self.baseline if self.by_act else None


def standing(
    pointer: BaselinePointerV1 | None, pointed: Origin | None, calibration: Digest | None, said: BaselineStateV1 | None
) -> Standing:
    """pointed: the origin of the pointer's baseline. calibration: the baseline that drift made of the model's own scores.

    said: drift's word, which counts only where it speaks of this baseline. A new stream is provisional.
    """
    if pointer is not None and pointer.baseline is None:
        return Standing(baseline=None, by_act=True, state="retired")
    baseline = calibration if pointer is None else pointer.baseline
    origin = "calibration" if pointer is None else pointed
    state: BaselineState = "provisional" if origin in (None, "calibration") else "active"
    if said is not None and said.baseline == baseline:
        state = "provisional" if said.certificate_expired and said.state == "active" else said.state
    return Standing(baseline=baseline, by_act=pointer is not None, state=state)
