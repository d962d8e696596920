"""baseline.v1: the frozen samples that score streams are judged against, which is in force, and in what state it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.common import BaselineState, Message, Text, Time
from schemas.drift import ScoreStreamV1
from schemas.ids import Digest, Inspection

Sd = Annotated[float, Field(ge=0)]
MOST_SCORES = 50_000  # of a sample


class SampleV1(Message):
    """Scores of good parts, of which the baseline is computed anew wherever it is needed.

    scores: in the order of time where `in_order`, else ascending. lots: how many consecutive scores each lot gave, absent
    where no lot was told. deff: the design effect where a person declared it; else it is estimated. arl0: mean number of
    parts between two false alarms. commissioned: the tail is known from production, defects included.
    """

    scores: tuple[float, ...] = Field(min_length=1, max_length=MOST_SCORES)
    in_order: bool
    lots: tuple[Annotated[int, Field(ge=1)], ...] = ()
    deff: float | None = Field(default=None, ge=1)
    arl0: float = Field(ge=1e3, le=1e11)
    commissioned: bool = False

    @model_validator(mode="after")
    def lots_add_up(self) -> SampleV1:
        if self.lots and sum(self.lots) != len(self.scores):
            raise ValueError(f"the lots hold {sum(self.lots)} scores, there are {len(self.scores)}")
        return self


class ShiftV1(Message):
    """A difference from the anchor that a person accepted. shift_sd: of good parts, in standard deviations of the anchor.

    scale: ratio of the standard deviations. silent: inside the limit, so no reason had to be given.
    """

    baseline: Digest
    shift_sd: float
    scale: float = Field(gt=0)
    silent: bool
    who: Text
    why: Text
    at: Time


class CertificateV1(Message):
    """Until when a baseline is trusted, whichever comes first; nothing given: for ever."""

    parts: int | None = Field(default=None, ge=1)
    days: float | None = Field(default=None, gt=0)
    lots: int | None = Field(default=None, ge=1)
    tool_changes: int | None = Field(default=None, ge=1)


class ReferenceV1(Message):
    """Mean and standard deviation of an image statistic over the sample."""

    mean: float
    sd: Sd


class BaselineV1(Message):
    """One immutable baseline. Drift (from a model's calibration scores), engineers -> drift, gateway, console.

    anchor: the first of its generation, absent where this is it. generation: 1, and one more for each new anchor.
    ledger: every accepted shift since the anchor, the last one is this baseline's own. image: by image statistic.
    first, last: inspections of the sample, where they are known.
    """

    TYPE = "verdictline.baseline.baseline.v1"
    stream: ScoreStreamV1
    origin: Literal["calibration", "commissioned", "refreshed"]
    sample: SampleV1
    anchor: Digest | None = None
    parent: Digest | None = None
    generation: int = Field(default=1, ge=1)
    ledger: tuple[ShiftV1, ...] = ()
    certificate: CertificateV1 = CertificateV1()
    image: dict[str, ReferenceV1] = Field(default_factory=dict)
    first: Inspection | None = None
    last: Inspection | None = None
    at: Time | None = None


class BaselinePointerV1(Message):
    """Which baseline is in force for a score stream, by a recorded act. Engineers -> gateway, drift.

    Key: `current/<digest of the stream>`. baseline: absent where it was retired without a successor.
    """

    TYPE = "verdictline.baseline.pointer.v1"
    stream: ScoreStreamV1
    baseline: Digest | None = None
    who: Text
    why: Text
    at: Time


class BaselineStateV1(Message):
    """What the drift monitor thinks of the baseline of a score stream. Only drift writes it. Drift -> gateway, console.

    Key: `state/<digest of the stream>`. It speaks of `baseline` alone: where a pointer names another one, that one's state is
    not known yet. since: append time of the score that changed it; event: id of the event on drift.v1 that did it.
    certificate_expired: trusted no longer, so no more than provisional.
    """

    TYPE = "verdictline.baseline.state.v1"
    stream: ScoreStreamV1
    baseline: Digest
    state: BaselineState
    since: Time
    inspection: Inspection
    event: Text | None = None
    certificate_expired: bool = False
