"""model-set.v1: the models that a product uses now, with all that a processor needs to know of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.baseline import ReferenceV1
from schemas.common import ImageRef, Message, ModelRef, Region, Share, Stage, Text
from schemas.ids import Digest, Name, Station


class PreparationV1(Message):
    """How bytes become the model's pixels: decode, roi, fixed 16 -> 8 bit limits (grey levels), resize by area to size."""

    size_px: int = Field(default=256, ge=32, le=4096)
    roi: Region | None = None
    low: int = Field(default=0, ge=0, le=65534)
    high: int = Field(default=65535, ge=1, le=65535)


class ImageReferenceV1(Message):
    """What good parts look like in one view, for the monitor of camera, light and fixture. n: images that it was taken from.

    statistics: by the name that ImageStatsV1 gives them, over those images. thumbnail: their mean picture, 64 x 64 grey levels,
    row by row, base64; absent where parts cannot be registered by it (a cloth without a fixed pattern).
    """

    n: int = Field(ge=2)
    statistics: dict[Name, ReferenceV1] = Field(min_length=1)
    thumbnail: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{5462}==$")] | None = None


class ModelV1(Message):
    """One model version. calibration: view -> sorted scores of good parts that it never learned from (at most 2,000 each).

    image: view -> what its good parts look like. classes: in the order of its outputs; good is called `good`. ok_parts: good
    parts its OK class was fitted on. tolerance: largest difference of a served from an offline score. cut: logit above which a
    pixel belongs to a mask.
    """

    stage: Stage
    ref: ModelRef
    input: Literal["image", "embedding"]
    classes: tuple[Name, ...] = ()
    ok_parts: int = Field(default=0, ge=0)
    trunk_id: Text
    preparation: PreparationV1
    calibration: dict[Annotated[str, StringConstraints(max_length=63)], tuple[float, ...]] = Field(default_factory=dict)
    image: dict[Annotated[str, StringConstraints(max_length=63)], ImageReferenceV1] = Field(default_factory=dict)
    tolerance: float = Field(ge=0)
    cut: float | None = None


class LearnedV1(Message):
    """How a candidate came about: its classifier learned what people said, too. base: the set in force it was compared with.

    labels: labelled images that it knows and base does not, or not so; new_classes: that base has not. parts: held out from both;
    gained, lost: those that only the candidate, only base named rightly; chance: of a split as unequal where both are equally
    good. report: the page (text/html) that compares them.
    """

    base: Digest
    labels: int = Field(ge=0)
    new_classes: tuple[Name, ...] = ()
    parts: int = Field(ge=0)
    gained: int = Field(ge=0)
    lost: int = Field(ge=0)
    chance: Share
    report: ImageRef


class ModelSetV1(Message):
    """At most one model a stage. Training -> gateway, processors, triage. Its digest is its version.

    taxonomy: the version of the classes that its verdicts name; absent where a folder named them. learned: of a candidate.
    """

    TYPE = "verdictline.model-set.model-set.v1"
    product: Name
    station: Station | None = None
    models: tuple[ModelV1, ...] = Field(min_length=1, max_length=3)
    data: Digest
    taxonomy: Digest | None = None
    learned: LearnedV1 | None = None

    def model(self, stage: Stage) -> ModelV1 | None:
        return next((model for model in self.models if model.stage == stage), None)


class ModelSetPointerV1(Message):
    """The model set in force at `current/<product>[/<station>]`."""

    TYPE = "verdictline.model-set.pointer.v1"
    digest: Digest
    who: Text
    why: Text
