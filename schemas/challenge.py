"""challenge.v1: parts with a known answer, when they are due, what became of them, and what that proves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.common import Disposition, ImageRef, Message, Proof, Share, Text, Time
from schemas.drift import RangeV1
from schemas.evidence import ChallengeStampV1
from schemas.ids import Inspection, Name, Station

Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Trigger = Literal["start", "parts", "shift", "changeover", "model_set", "manual", "limit"]
PaintedDefect = Literal["scratch", "spot"]
SetId = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ChallengePartV1(Message):
    """A part with a known answer, registered for a station. Engineers -> gateway, challenge. The last word on `part` counts.

    digital: its images by view, kept in the image store. physical: recognised by the serial on it; custody: who keeps it where.
    """

    TYPE = "verdictline.challenge.part.v1"
    station: Station
    product: Name
    part: Name
    proof: Proof
    kind: Literal["defect", "golden"]
    label: Name | None = None
    images: dict[Name, ImageRef] = Field(default_factory=dict)
    serial: Text | None = None
    custody: Text | None = None
    expires_at: Time | None = None
    retired: bool = False
    who: Text
    why: Text
    at: Time

    @model_validator(mode="after")
    def can_be_recognised(self) -> ChallengePartV1:
        if self.proof == "digital" and not self.images:
            raise ValueError("a digital challenge part needs its images")
        if self.proof == "physical" and (self.serial is None or self.custody is None):
            raise ValueError("a physical challenge part needs a serial and a custody")
        return self


class ChallengeScheduleV1(Message):
    """When a station must prove itself. Engineers -> challenge. The last word for station, product and proof counts.

    shifts: local times of day in `zone` (IANA name) at which a shift begins. within_s: a set that is not answered by then
    counts as missed. limit_*: graded defects that are painted on today's good images once a shift: their sizes (length of a
    scratch, diameter of a spot) and how often each, contrast as a share of the grey-level range (negative is darker).
    limit_reference_px: the detection limit that this station must keep; without one its first sets say what it can.
    """

    TYPE = "verdictline.challenge.schedule.v1"
    station: Station
    product: Name
    proof: Proof
    every_parts: int | None = Field(default=None, ge=1)
    shifts: tuple[Clock, ...] = ()
    zone: Text = "UTC"
    after_changeover: bool = False
    after_model_set: bool = False
    within_s: float = Field(default=600, gt=0)
    limit_sizes_px: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(), max_length=10)
    limit_repeats: int = Field(default=12, ge=1, le=20)
    limit_contrast: float | None = Field(default=None, ge=-1, le=1)
    limit_defect: PaintedDefect = "scratch"
    limit_reference_px: float | None = Field(default=None, gt=0)
    who: Text
    why: Text
    at: Time


class ChallengeDueV1(Message):
    """This set must be run now. Challenge, engineers -> gateway. set: also the id of its answer.

    start: the first set of a schedule. who, why: of a person's own set (manual, limit).
    """

    TYPE = "verdictline.challenge.due.v1"
    station: Station
    product: Name
    proof: Proof
    set: SetId
    trigger: Trigger
    parts: tuple[Name, ...] = ()
    due_at: Time
    answer_by: Time
    who: Text | None = None
    why: Text | None = None


class ChallengeItemV1(Message):
    """One challenge part and its answer. caught: defect: judged, and not passed; golden: passed. scores: by view.

    no_verdict is no answer: a station whose models are away has proven nothing.
    margin: by how much the highest ratio of score to threshold exceeds 1, as a share (0.3 = 30 % above).
    """

    stamp: ChallengeStampV1
    inspection: Inspection
    disposition: Disposition
    caught: bool
    scores: dict[Name, float] = Field(default_factory=dict)
    margin: float | None = None


class ChallengeResultV1(Message):
    """What became of a set. Challenge -> engineers, wall, report. margin_cusum: of the margins, alarm at its limit.

    passed: every answer was as it should be; of painted defects (limit) only that every one was answered.
    overdue: the set was not answered in time; unanswered: its parts without a verdict, or with no_verdict. margin_cusum: once
    there were enough passes to learn from. at: append time of the last answer, or `answer_by`.
    """

    TYPE = "verdictline.challenge.result.v1"
    station: Station
    product: Name
    proof: Proof
    set: SetId
    trigger: Trigger
    passed: bool
    items: tuple[ChallengeItemV1, ...]
    unanswered: tuple[Name, ...] = ()
    overdue: bool = False
    margin_cusum: float | None = Field(default=None, ge=0)
    margin_limit: float | None = Field(default=None, gt=0)
    margin_alarm: bool = False
    at: Time


class StationProofV1(Message):
    """Whether a station is proven, for one kind of proof. Challenge -> wall, gate, report.

    last_pass: the last set that passed, and when; parts_since: production verdicts since then.
    """

    TYPE = "verdictline.challenge.proof.v1"
    station: Station
    product: Name
    proof: Proof
    proven: bool
    why: Annotated[str, StringConstraints(max_length=500)]
    set: SetId | None = None
    last_pass: SetId | None = None
    last_pass_at: Time | None = None
    parts_since: int = Field(default=0, ge=0)
    at: Time


class SuspectPartV1(Message):
    """A production part that was judged while the station could not be relied upon."""

    inspection: Inspection
    serial: Text | None = None
    lot: Text | None = None
    disposition: Disposition


class SuspectWindowV1(Message):
    """The parts since the last set that passed, published when one is missed. Challenge -> containment, MES.

    Every part comes once: a second miss in a row publishes those since the first, and the set that passes at last those that
    were judged before it. disposition: as first judged. page, pages: long windows come in several messages.
    """

    TYPE = "verdictline.challenge.window.v1"
    station: Station
    product: Name
    proof: Proof
    set: SetId
    page: int = Field(ge=1)
    pages: int = Field(ge=1)
    count: int = Field(ge=0)
    parts: tuple[SuspectPartV1, ...] = Field(max_length=2000)
    last_pass: SetId | None = None
    last_pass_at: Time | None = None
    at: Time


class GradeV1(Message):
    """Painted defects of one size: how many, and how many were found."""

    size_px: float = Field(gt=0)
    size_mm: float | None = Field(default=None, gt=0)
    tried: int = Field(ge=1)
    found: int = Field(ge=0)

    @model_validator(mode="after")
    def no_more_than_tried(self) -> GradeV1:
        if self.found > self.tried:
            raise ValueError(f"found {self.found} of {self.tried}")
        return self


class DetectionLimitV1(Message):
    """How small a defect this station still finds. Challenge -> wall, report.

    pod90_px, pod90_mm: the size that is found 90 % of the time, with its 95 % interval; absent where the grades do not
    enclose it: then above_px or below_px may say on which side of a size it lies (97.5 %), and why says the reason.
    false_alarms: share of the unpainted images of the set that did not pass.
    reference_px: the limit that it is compared with, declared or learnt from the first sets. cusum: over the sets since.
    worse: the interval lies above the reference (and a worse curve explains the answers better), or the cusum has reached its
    limit; why says which.
    slope, midpoint_ln_px: of the logistic curve over the natural logarithm of the size.
    """

    TYPE = "verdictline.challenge.limit.v1"
    station: Station
    product: Name
    view: Name
    set: SetId
    defect: PaintedDefect
    contrast: float = Field(ge=-1, le=1)
    grades: tuple[GradeV1, ...] = Field(min_length=1)
    false_alarms: Share | None = None
    midpoint_ln_px: float | None = None
    slope: float | None = Field(default=None, gt=0)
    pod90_px: RangeV1 | None = None
    pod90_mm: RangeV1 | None = None
    above_px: float | None = Field(default=None, gt=0)
    below_px: float | None = Field(default=None, gt=0)
    reference_px: float | None = Field(default=None, gt=0)
    cusum: float | None = Field(default=None, ge=0)
    cusum_limit: float | None = Field(default=None, gt=0)
    worse: bool = False
    why: Annotated[str, StringConstraints(max_length=500)] | None = None
    at: Time
