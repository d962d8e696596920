"""Where a view is strange: from the heat map to pixels of the stored image. Knows no policy and no inspection."""

from __future__ import annotations

import base64
import binascii
import math

import numpy as np
from numpy.typing import NDArray

from schemas.common import Region
from streams.fates import Unprocessable

SIDE = 32
STRANGEST = 10  # as many cells as an anomaly score is the mean of


def heat_map(text: str) -> NDArray[np.float32]:
    """Base64 of 32 x 32 little-endian fp16, row by row -> float32 (32, 32). Raises Unprocessable `bad_heat_map`."""
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2")
    except (binascii.Error, ValueError) as error:
        raise Unprocessable("bad_heat_map", str(error)) from error
    if values.size != SIDE * SIDE:
        raise Unprocessable("bad_heat_map", f"{values.size} values, not {SIDE} x {SIDE}")
    if not np.isfinite(values).all():
        raise Unprocessable("bad_heat_map", "a value is not finite")
    return values.reshape(SIDE, SIDE).astype(np.float32)


def strange_region(heat: NDArray[np.float32], threshold: float, prepared: Region) -> tuple[Region, int]:
    """The box around all strange cells, one cell wider on each side, and the area of those cells in pixels.

    A cell is strange above the threshold, and the ten strangest always are: the score is their mean over a finer map.
    prepared: the part of the stored image that the heat map covers.
    """
    rows, columns = np.nonzero(heat >= strange_from(heat, threshold))
    width, height = (prepared.x1 - prepared.x0) / SIDE, (prepared.y1 - prepared.y0) / SIDE
    region = Region(
        x0=max(prepared.x0, prepared.x0 + math.floor((int(columns.min()) - 1) * width)),
        y0=max(prepared.y0, prepared.y0 + math.floor((int(rows.min()) - 1) * height)),
        x1=min(prepared.x1, prepared.x0 + math.ceil((int(columns.max()) + 2) * width)),
        y1=min(prepared.y1, prepared.y0 + math.ceil((int(rows.max()) + 2) * height)),
    )
    return region, _area(len(rows), prepared)


def strange_area(values: NDArray[np.float32], threshold: float, prepared: Region) -> int:
    """The area that `strange_region` gives, in pixels, from the heat map's values in any order."""
    return _area(int(np.count_nonzero(values >= strange_from(values, threshold))), prepared)


def strange_from(values: NDArray[np.float32], threshold: float) -> float:
    """The value from which a cell is strange."""
    return min(threshold, float(np.partition(values, -STRANGEST, axis=None)[-STRANGEST]))


def _area(cells: int, prepared: Region) -> int:
    width, height = (prepared.x1 - prepared.x0) / SIDE, (prepared.y1 - prepared.y0) / SIDE
    return round(cells * width * height)


def prepared_region(roi: Region | None, width_px: int, height_px: int) -> Region:
    """What preparation looks at: the region of interest, cut to the image, or the whole image."""
    if roi is None or roi.x0 >= width_px or roi.y0 >= height_px:
        return Region(x0=0, y0=0, x1=width_px, y1=height_px)
    return Region(x0=roi.x0, y0=roi.y0, x1=min(roi.x1, width_px), y1=min(roi.y1, height_px))
