"""What the simulated plant makes: parts with their pictures and their truth, and the knobs that change its mood.

Knows no product, no model and no Kafka.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]  # (h, w) grey or (h, w, 3) in OpenCV's order: blue, green, red
Mask = npt.NDArray[np.uint8]  # (h, w), 0 or 255
Purpose = Literal["production", "setup", "challenge", "study", "rework", "reinspection"]

GOOD = "good"


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """Everything that a scenario may turn; the defaults are a plant on an ordinary day.

    defect_rate: share of defective parts. unknown_share: share of them whose kind no classifier was taught.
    light_gain: factor on the light. light_tilt: added slope of the light across the view (0.1 = 10 % from edge to edge).
    blur_px: standard deviation of an added blur. dirt: 0..1, smudges on the lens. texture: 0..1, another material batch. wear:
    0..1, a worn tool. burst: defective parts come in runs of so many, no more of them in all.
    contrast: factor on how clearly a defect shows. dirty_normals: share of the good parts of a training set that are
    defective. kinds: the only defect kinds that occur (all where None).
    """

    defect_rate: float = 0.2
    unknown_share: float = 0.12
    light_gain: float = 1.0
    light_tilt: float = 0.0
    blur_px: float = 0.0
    dirt: float = 0.0
    texture: float = 0.0
    wear: float = 0.0
    burst: int = 1
    contrast: float = 1.0
    dirty_normals: float = 0.0
    kinds: frozenset[str] | None = None

    def __post_init__(self) -> None:
        for name in ("defect_rate", "unknown_share", "dirt", "texture", "wear", "dirty_normals"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        for name in ("light_gain", "contrast"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if self.blur_px < 0:
            raise ValueError(f"blur_px must not be negative, not {self.blur_px}")
        if self.burst < 1:
            raise ValueError(f"burst must be at least 1, not {self.burst}")


@dataclass(frozen=True, kw_only=True)
class Defect:
    """One true defect. Sizes are those of its mask: length and width of the smallest rectangle around it, its area.

    x_mm, y_mm: the mask's centre, from the upper left corner of the view. Sizes are None where nobody measured them.
    """

    kind: str
    known: bool
    view: str
    length_mm: float | None = None
    width_mm: float | None = None
    area_mm2: float | None = None
    x_mm: float | None = None
    y_mm: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedView:
    """One picture of a part. encoded: the file; masks: one a defect of this view, in the order of the part's defects."""

    name: str
    encoded: bytes
    content_type: str
    masks: tuple[Mask, ...] = ()

    @cached_property
    def image(self) -> Image:
        """The pixels. Raises ValueError where the file is no picture."""
        pixels = cv2.imdecode(np.frombuffer(self.encoded, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ValueError(f"{self.name}: {len(self.encoded)} bytes, not a picture")
        return np.asarray(pixels, np.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One part at one station with everything that is true of it. mm_per_px is None where no scale is known."""

    station: str
    n: int
    product: str
    lot: str
    serial: str
    views: tuple[RenderedView, ...]
    defects: tuple[Defect, ...] = ()
    mm_per_px: float | None = None
    purpose: Purpose = "production"

    @property
    def good(self) -> bool:
        return not self.defects

    @property
    def kinds(self) -> tuple[str, ...]:
        """The defect kinds, or `good` alone."""
        return tuple(defect.kind for defect in self.defects) or (GOOD,)

    @property
    def unknown(self) -> bool:
        """Every defect is of a kind that no classifier was taught."""
        return bool(self.defects) and not any(defect.known for defect in self.defects)


@dataclass(frozen=True, kw_only=True)
class PlantStation:
    """name: site/line/station. views: the names of a part's pictures, in order."""

    name: str
    product: str
    views: Sequence[str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """One picture to fit on. kind: `good` or a defect kind; group: pictures of one part share it; mask: PNG, 0 or 255."""

    stem: str
    suffix: str
    encoded: bytes
    kind: str
    group: str
    view: str
    mask: bytes | None = None


class Plant(Protocol):
    """Anything that makes parts: rendered, or from a folder. `part` is pure: the same n is the same part."""

    def stations(self, lines: int = 3) -> tuple[PlantStation, ...]: ...

    def part(self, station: str, n: int) -> Part: ...

    def training_set(self, product: str, per_class: int, good: int) -> list[Labelled]: ...
