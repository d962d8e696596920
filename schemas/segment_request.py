"""segment-request.v1: triage asks for geometry where the policy says that it decides."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.common import ImageRef, Message, Purpose, Region, Time
from schemas.ids import Digest, Inspection, Name, Station


class PointV1(Message):
    """A critical feature in pixels of the stored image."""

    x_px: float = Field(ge=0)
    y_px: float = Field(ge=0)


class SegmentRequestV1(Message):
    """Measure this region. Triage -> segmentation. due: after it the answer comes too late; scale: mm a pixel.

    u_scale: relative standard uncertainty of the scale (0.01 = 1 %).
    """

    TYPE = "verdictline.segment-request.request.v1"
    inspection: Inspection
    station: Station
    view: Name
    product: Name
    acquisition: Digest
    purpose: Purpose
    model_set: Digest
    policy: Digest
    image: ImageRef
    region: Region
    why: Literal["class", "unknown"]
    label: Name | None = None
    mm_per_px: float | None = Field(default=None, gt=0)
    u_scale: float = Field(default=0, ge=0)
    critical: PointV1 | None = None
    due: Time
