"""What good parts look like in one view: spread of each image statistic, and the picture that later ones are registered by.

A product need not have a fixed pattern (a cloth has none): whether it can be registered is tried on its own good parts, each
moved by a known amount.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from schemas.baseline import ReferenceV1
from schemas.evidence import ImageStatsV1
from schemas.model_set import ImageReferenceV1
from streams.evidence.image_stats import SIDE, RgbImage, Thumbnail, displacement, greys, image_stats, packed, shrunk, spectrum

TRIED = 40  # parts that registration is tried on
MOST_WRONG = 0.5  # of a pixel of the thumbnail, for nine parts in ten
_MOVES = ((0.05, -0.03), (-0.04, 0.06))  # shares of the view: a part that lies so far off is still on it


def image_reference(images: Sequence[RgbImage]) -> ImageReferenceV1:
    """images: good parts of one view, uint8 (size, size, 3), prepared; at least two (ValueError)."""
    if len(images) < 2:
        raise ValueError(f"{len(images)} images: a spread needs at least two")
    small = [shrunk(greys(image)) for image in images]
    mean = np.asarray(np.rint(np.mean(small, axis=0)), np.uint8)
    thumbnail = packed(mean) if registrable(images, mean) else None
    found = [image_stats(image, thumbnail) for image in images]
    names = [name for name in ImageStatsV1.model_fields if all(getattr(stats, name) is not None for stats in found)]
    statistics = {name: _statistic([getattr(stats, name) for stats in found]) for name in names}
    return ImageReferenceV1(n=len(images), statistics=statistics, thumbnail=thumbnail)


def registrable(images: Sequence[RgbImage], mean: Thumbnail) -> bool:
    """Nine in ten parts, moved by a known amount, are found where they went."""
    reference = spectrum(mean)
    chosen = [images[int(i)] for i in np.linspace(0, len(images) - 1, min(TRIED, len(images)))]
    errors = [_error(greys(image), move, reference) for image in chosen for move in _MOVES]
    return float(np.quantile(errors, 0.9)) <= MOST_WRONG


def _error(grey: npt.NDArray[np.uint8], move: tuple[float, float], reference: npt.NDArray[np.complex128]) -> float:
    """Pixels of the thumbnail by which the found displacement misses the true one; infinite where nothing was found."""
    right, down = (round(share * len(grey)) for share in move)
    moved = np.roll(np.pad(grey, ((abs(down),) * 2, (abs(right),) * 2), mode="reflect"), (down, right), (0, 1))
    moved = moved[abs(down) : abs(down) + len(grey), abs(right) : abs(right) + len(grey)]
    before, after = displacement(shrunk(grey), reference), displacement(shrunk(moved), reference)
    if before is None or after is None:
        return float("inf")
    scale = SIDE / len(grey)
    return float(np.hypot(after[0] - before[0] - right * scale, after[1] - before[1] - down * scale))


def _statistic(values: Sequence[float]) -> ReferenceV1:
    return ReferenceV1(mean=round(float(np.mean(values)), 4), sd=round(float(np.std(values, ddof=1)), 4))
