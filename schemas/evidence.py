"""evidence.v1: what was observed of an inspection. Gateway, processors, console -> triage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.common import (
    BaselineState,
    ContentType,
    Disposition,
    ImageRef,
    Message,
    ModelRef,
    Proof,
    Purpose,
    Region,
    Share,
    Stage,
    Text,
    Time,
    canonical,
)
from schemas.ids import Digest, Inspection, Name, Station

Reason = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Milliseconds = Annotated[float, Field(ge=0)]
Uncertainty = Annotated[float, Field(ge=0)]


class ViewV1(Message):
    """One image that the announcement promises. width, height in pixels."""

    view: Name
    sha256: Digest
    bytes: int = Field(ge=1)
    content_type: ContentType
    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)


class BaselineStampV1(Message):
    """What a view's score stream stood on when the part was taken. stream: digest of the stream.

    baseline: absent where none was put in force; then the model's calibration scores are the reference.
    """

    stream: Digest
    baseline: Digest | None = None
    state: BaselineState


UNPAINTED = "unpainted"  # label of the good parts in a set of graded defects: another image each time, so no reference


class ChallengeStampV1(Message):
    """This part has a known answer. set: the run it belongs to; expected: what triage should say.

    defect: anything but pass is a catch; golden: a good part, always the same; graded: a painted defect of this size and
    contrast (share of the grey-level range), which need not be found. view: the one that shows it, where it is one of several.
    """

    set: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    part: Text
    proof: Proof
    kind: Literal["defect", "golden", "graded"]
    label: Name | None = None
    view: Name | None = None
    size_mm: float | None = Field(default=None, gt=0)
    size_px: float | None = Field(default=None, gt=0)
    contrast: float | None = Field(default=None, ge=-1, le=1)


class AnnouncedV1(Message):
    """A part stood before the cameras: it is owed a verdict. Gateway -> triage, ledger.

    views_expected: how many views the station should give; fewer in `views` is missing evidence.
    gate_time_s: when the gate opens or closes, counted from the shutter, where the line tells it.
    tool: what made the part (mould, cavity, cutter), where the line tells it.
    baselines: by view, for views with an anomaly model. challenge: only with purpose challenge.
    """

    TYPE = "verdictline.evidence.announced.v1"
    inspection: Inspection
    station: Station
    product: Name
    lot: Text | None = None
    tool: Text | None = None
    serial: Text | None = None
    visit: int = Field(default=1, ge=1)
    previous: Inspection | None = None
    views: tuple[ViewV1, ...] = Field(min_length=1, max_length=100)
    views_expected: int = Field(ge=1, le=100)
    acquisition: Digest
    purpose: Purpose
    policy: Digest
    model_set: Digest
    captured_at: Time
    gate_time_s: float | None = Field(default=None, ge=0)
    decide_within_s: float = Field(gt=0, le=3600)
    baselines: dict[Name, BaselineStampV1] = Field(default_factory=dict)
    challenge: ChallengeStampV1 | None = None

    @model_validator(mode="after")
    def a_challenge_says_so(self) -> AnnouncedV1:
        if self.challenge is not None and self.purpose != "challenge":
            raise ValueError(f"a challenge part of purpose {self.purpose!r}: it would enter yield and baselines")
        return self


class Observation(Message):
    """What every stage repeats, so that a reader of one message needs no other."""

    inspection: Inspection
    station: Station
    view: Name
    product: Name
    acquisition: Digest
    purpose: Purpose
    model_set: Digest
    model: ModelRef
    image: ImageRef
    latency_ms: Milliseconds


class ImageStatsV1(Message):
    """What the image itself says of camera, light and fixture; of the prepared image (grey levels 0 to 255).

    light: mean; contrast: standard deviation; sharpness: mean squared Laplacian; shift_x_px, shift_y_px: displacement against
    the model's reference of a good part, in pixels of the prepared image, where the model set has such a reference.
    """

    light: float = Field(ge=0, le=255)
    contrast: float = Field(ge=0)
    sharpness: float = Field(ge=0)
    shift_x_px: float | None = None
    shift_y_px: float | None = None


class AnomalyV1(Observation):
    """Does this view deviate from normal? score: raw, higher is stranger; p_value: conformal, against the calibration scores.

    heat_map: 32 x 32 fp16, row by row, little-endian, base64; raw distances, scaled to the threshold only when drawn.
    baseline: the one in force for this score stream when the part was taken. challenge: of a part with a known answer.
    """

    TYPE = "verdictline.evidence.anomaly.v1"
    lot: Text | None = None
    tool: Text | None = None
    policy: Digest | None = None
    baseline: Digest | None = None
    challenge: ChallengeStampV1 | None = None
    score: float
    score_mid: float | None = None
    score_deep: float | None = None
    p_value: float = Field(gt=0, le=1)
    calibration_n: int = Field(ge=0)
    heat_map: Annotated[str, StringConstraints(max_length=4000)]
    trunk_id: Text
    image_stats: ImageStatsV1 | None = None


class ClassificationV1(Observation):
    """Is this a known defect, which one? probabilities: class -> share, summing to 1; entropy in nats."""

    TYPE = "verdictline.evidence.classification.v1"
    probabilities: dict[str, Share] = Field(min_length=2, max_length=1000)
    entropy: float = Field(ge=0)


class InstanceV1(Message):
    """One connected region of a class. Lengths along and across its longest axis; mm only where the policy gives a scale.

    u_*: standard uncertainty in the unit of the value. distance: from the critical feature to the nearest pixel.
    """

    label: Name
    area_px: float = Field(ge=0)
    length_px: float = Field(ge=0)
    width_px: float = Field(ge=0)
    distance_px: float | None = Field(default=None, ge=0)
    area_mm2: float | None = Field(default=None, ge=0)
    length_mm: float | None = Field(default=None, ge=0)
    width_mm: float | None = Field(default=None, ge=0)
    distance_mm: float | None = Field(default=None, ge=0)
    u_area_mm2: Uncertainty | None = None
    u_length_mm: Uncertainty | None = None
    u_width_mm: Uncertainty | None = None
    u_distance_mm: Uncertainty | None = None
    box: Region


class SegmentationV1(Observation):
    """Where exactly, how large, what shape? region: what was looked at, in pixels of the stored image."""

    TYPE = "verdictline.evidence.segmentation.v1"
    region: Region
    instances: tuple[InstanceV1, ...] = Field(max_length=500)
    mm_per_px: float | None = Field(default=None, gt=0)


class FailedV1(Message):
    """A stage cannot observe, and will not. stages: every stage that this dooms; view: absent where all views are meant."""

    TYPE = "verdictline.evidence.failed.v1"
    inspection: Inspection
    station: Station
    view: Name | None = None
    product: Name | None = None
    acquisition: Digest | None = None
    purpose: Purpose | None = None
    model_set: Digest | None = None
    by: Name
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=3)
    reason: Reason
    detail: Annotated[str, StringConstraints(max_length=1000)] = ""


class ReviewedV1(Message):
    """A person's decision. Console -> triage. revision: the one it supersedes; looked_ms: image on the screen.

    supersedes, supersedes_label, announced_at, captured_at, lot, tool, serial, visit, previous: copied from the verdict of that
    revision. Triage needs them where it was so long ago that it has forgotten the part.
    """

    TYPE = "verdictline.evidence.reviewed.v1"
    inspection: Inspection
    station: Station
    product: Name
    acquisition: Digest
    purpose: Purpose
    revision: int = Field(ge=1)
    disposition: Disposition
    label: Name | None = None
    who: Text
    role: Literal["operator", "reviewer", "engineer", "admin"]
    why: Annotated[str, StringConstraints(max_length=2000)] = ""
    looked_ms: int = Field(ge=0)
    supersedes: Disposition | None = None
    supersedes_label: Name | None = None
    announced_at: Time | None = None
    captured_at: Time | None = None
    lot: Text | None = None
    tool: Text | None = None
    serial: Text | None = None
    visit: int = Field(default=1, ge=1)
    previous: Inspection | None = None


class TickV1(Message):
    """Time, in the log itself: one a second for each partition that an instance of triage owns."""

    TYPE = "verdictline.evidence.tick.v1"
    owner: Name


def observed(message: Message) -> bytes:
    """What the message says of the part: canonical JSON without where its image lies, how long it took, and free text.

    Two messages with one id must agree in it: else they are a conflict. An image that was sent again lies at another offset.
    """
    data = message.model_dump(mode="json", exclude_none=True, exclude={"latency_ms": True, "detail": True, "image": {"uri"}})
    return canonical(data)
