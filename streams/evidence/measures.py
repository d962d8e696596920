"""Connected regions of a map of labels and their sizes, in pixels and in millimetres with uncertainty.

Knows neither models nor messages but `InstanceV1`. The model of the uncertainty:

* A boundary is known to one cell of the model's answer, `cell_px` (4 px where a window of 256 px is answered by 64 x 64
  logits): rectangular distribution, standard uncertainty cell / sqrt(12) for each end (GUM, JCGM 100:2008, 4.3.7).
* A length or width has two ends: sqrt(2) x that. A distance to a known point has one.
* An area has the same error all along its boundary, perimeter x cell / sqrt(12): a cut that is off, or a straight edge on the
  grid, shifts the whole of it, so the errors do not average out.
* In millimetres the relative uncertainty of the scale is added in quadrature, twice for an area (GUM 5.1.2).

Length is the largest Feret diameter (ISO 9276-6:2008, 8.1.2) of the pixels' centres plus one pixel, width the extent at right
angles to it plus one pixel: unbiased along the rows and columns, up to 0.3 px too large on a diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.common import Region
from schemas.evidence import InstanceV1
from streams.evidence.geometry import Labels, Mask, components, outline

MOST_INSTANCES = 500
_SQRT_12 = 12**0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """mm_per_px: None where nobody gave one. u_scale: its relative standard uncertainty. critical: (x, y) of a feature, px."""

    cell_px: float
    mm_per_px: float | None = None
    u_scale: float = 0
    critical: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One region. box and distances in pixels of the stored image; perimeter along the outer boundary."""

    area_px: float
    length_px: float
    width_px: float
    perimeter_px: float
    distance_px: float | None
    box: Region


def instances(labels: Labels, origin: tuple[int, int], names: Sequence[str], scale: Scale) -> tuple[InstanceV1, ...]:
    """The connected regions (8 neighbours) of each label, largest first, at most 500.

    labels: uint8 (h, w), 0 or 1 + the index of its name; origin: (x, y) of the map's first pixel in the stored image.
    """
    found: list[tuple[int, str, Mask, Region]] = []
    for index, name in enumerate(names, 1):
        for x, y, mask in components(labels == index):
            x0, y0, (height, width) = x + origin[0], y + origin[1], mask.shape
            found.append((int(mask.sum()), name, mask, Region(x0=x0, y0=y0, x1=x0 + width, y1=y0 + height)))
    found.sort(key=lambda region: (-region[0], region[3].y0, region[3].x0, region[1]))
    return tuple(in_units(name, measure(mask, box, scale.critical), scale) for _, name, mask, box in found[:MOST_INSTANCES])


def measure(mask: Mask, box: Region, critical: tuple[float, float] | None = None) -> Shape:
    """One connected region, cut to its box. critical: from there to the centre of the nearest pixel."""
    hull, perimeter = outline(mask)
    length, width = feret(hull)
    return Shape(
        area_px=float(np.count_nonzero(mask)),
        length_px=length + 1,
        width_px=width + 1,
        perimeter_px=perimeter,
        distance_px=None if critical is None else _distance(mask, box, critical),
        box=box,
    )


def feret(hull: npt.NDArray[np.float64]) -> tuple[float, float]:
    """(largest distance of two of the points, extent of all at right angles to it). hull: (n, 2)."""
    apart = hull[:, None] - hull[None]
    squared = (apart**2).sum(-1)
    first, second = np.unravel_index(int(squared.argmax()), squared.shape)
    length = float(squared[first, second]) ** 0.5
    if length == 0:
        return 0.0, 0.0
    along = (hull[second] - hull[first]) / length
    across = hull @ np.array([-along[1], along[0]])
    return length, float(across.max() - across.min())


def in_units(label: str, shape: Shape, scale: Scale) -> InstanceV1:
    """Pixels, and millimetres with their standard uncertainty where there is a scale."""
    pixels = InstanceV1(
        label=label,
        area_px=shape.area_px,
        length_px=shape.length_px,
        width_px=shape.width_px,
        distance_px=shape.distance_px,
        box=shape.box,
    )
    if scale.mm_per_px is None:
        return pixels
    mm, end_px = scale.mm_per_px, scale.cell_px / _SQRT_12
    size = {
        "length_mm": (shape.length_px * mm, 2**0.5 * end_px * mm, 1),
        "width_mm": (shape.width_px * mm, 2**0.5 * end_px * mm, 1),
        "area_mm2": (shape.area_px * mm**2, shape.perimeter_px * end_px * mm**2, 2),
    }
    if shape.distance_px is not None:
        size["distance_mm"] = (shape.distance_px * mm, end_px * mm, 1)
    known = {name: value for name, (value, _, _) in size.items()}
    unsure = {f"u_{name}": (u**2 + (power * scale.u_scale * value) ** 2) ** 0.5 for name, (value, u, power) in size.items()}
    return pixels.model_copy(update={**known, **unsure})


def _distance(mask: Mask, box: Region, critical: tuple[float, float]) -> float:
    ys, xs = np.nonzero(mask)
    return float(np.hypot(xs + box.x0 - critical[0], ys + box.y0 - critical[1]).min())
