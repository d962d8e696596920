"""Masks that people paint: what a file has to be, what it measures, and the label that carries it. Pure.

Measured by the code that measures segmentation's answers (`evidence/measures.py`), so both mean the same. Uncertainty: a painted
boundary is known to one pixel at best; how well a hand followed the defect is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from schemas.common import Disposition, ImageRef
from schemas.evidence import InstanceV1
from schemas.label import LabelV1, MaskV1, Role
from schemas.policy import PolicyV1
from streams.capture.image import decode, encode_png, sniff
from streams.evidence.measures import Scale, instances
from streams.fates import Unprocessable
from streams.judgement.severity import severity
from streams.judgement.triage import of_view

MOST_BYTES = 4 << 20
CELL_PX = 1.0
BAD = "bad_mask"
_GREY_8 = b"\x08\x00"  # bit depth and colour type of a PNG, bytes 24 and 25

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a mask implies. instances: its connected regions, the largest first. disposition: what the policy says of a defect of
    this class and size, with its reasons; `review` where a limit is nearer than the measure is sure.
    """

    instances: tuple[InstanceV1, ...]
    disposition: Disposition
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """One mask that was kept. image: of which it is. looked_ms: how long the page was open."""

    view: str
    image: ImageRef
    mask: MaskV1
    looked_ms: int


def read_mask(data: bytes, width: int, height: int) -> Mask:
    """PNG of 8 bits grey, 0 or 255, of exactly this size in px -> bool (height, width), not empty.

    Only the header is read before the size is checked, and nothing beyond that size is unpacked. Raises Unprocessable `bad_mask`.
    """
    if len(data) > MOST_BYTES:
        raise _bad(f"it has {len(data)} bytes, the limit is {MOST_BYTES}")
    try:
        info = sniff(data)
        if info.format != "png" or data[24:26] != _GREY_8:
            raise _bad("a PNG of 8 bits grey is needed")
        if (info.width_px, info.height_px) != (width, height):
            raise _bad(f"it has {info.width_px} x {info.height_px} pixels, its image {width} x {height}")
        pixels = decode(data)
    except Unprocessable as error:
        raise error if error.reason == BAD else _bad(str(error)) from error
    if not np.isin(pixels, (0, 255)).all():
        raise _bad("a pixel belongs to it (255) or does not (0): other values say nothing")
    mask = np.asarray(pixels, bool)
    if not mask.any():
        raise _bad("nothing is painted")
    return mask


def write_mask(mask: Mask) -> bytes:
    """What `read_mask` reads."""
    return encode_png(mask.astype(np.uint8) * np.uint8(255))


def measured(mask: Mask, label: str, scale: Scale) -> tuple[InstanceV1, ...]:
    """The connected regions with their sizes. mask: bool (h, w) of a whole view; empty: none. Work follows what is painted."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return ()
    y0, x0 = int(rows[0]), int(columns[0])
    labels = mask[y0 : int(rows[-1]) + 1, x0 : int(columns[-1]) + 1].astype(np.uint8)
    return instances(labels, (x0, y0), (label,), scale)


def scale_of(policy: PolicyV1, view: str) -> Scale:
    """As the policy has it for this view: in pixels alone where it gives no scale."""
    geometry = policy.geometry
    if geometry is None:
        return Scale(cell_px=CELL_PX)
    critical = of_view(geometry.critical, view)
    return Scale(
        cell_px=CELL_PX,
        mm_per_px=of_view(geometry.mm_per_px, view),
        u_scale=geometry.u_scale,
        critical=None if critical is None else (critical.x_px, critical.y_px),
    )


def sized(found: tuple[InstanceV1, ...], label: str, policy: PolicyV1, view: str) -> Size:
    """With what the policy says of it. label: of a class whose rule says `geometry` (ValueError)."""
    rule = policy.classes.get(label)
    if rule is None or not rule.geometry or policy.geometry is None:
        raise ValueError(f"the size of {label} decides nothing in this policy")
    said = severity(policy.geometry, found, label, rule.disposition, view)
    return Size(instances=found, disposition=said.disposition, reasons=tuple(why.detail for why in said.reasons))


def with_mask(label: LabelV1, painted: Painted, withdraws: str | None, who: str, role: Role, at: datetime) -> LabelV1:
    """What the label says, said once more with this mask; masks of other views stay. Raises ValueError for a view it has not."""
    if painted.view not in {one.view for one in label.views}:
        raise ValueError(f"the label is not of view {painted.view}")
    new = {"image": painted.image, "mask": painted.mask}
    views = tuple(one.model_copy(update=new) if one.view == painted.view else one for one in label.views)
    told = {"who": who, "role": role, "looked_ms": painted.looked_ms, "answered_at": at, "withdraws": withdraws}
    return LabelV1.model_validate(label.model_copy(update={"views": views, **told}).model_dump())


def mask_of(label: LabelV1, view: str) -> MaskV1 | None:
    return next((one.mask for one in label.views if one.view == view), None)


def _bad(detail: str) -> Unprocessable:
    return Unprocessable(BAD, detail)
