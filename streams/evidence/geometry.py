"""Windows of an image for the segmentation model, masks put together again, and the size of what they show.

Knows pixels and millimetres, no message but `Region`, no model. Training cuts the same windows around its masks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from schemas.common import Region
from streams.fates import Unprocessable

WINDOW_PX = 256
MOST_WINDOWS = 400  # 12 ms each: more cannot be answered in time

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A square cut out of a stored image: its upper left pixel and its side, all in pixels of that image."""

    x: int
    y: int
    side: int


def windows(region: Region, width: int, height: int) -> list[Window]:
    """Squares of side min(256, width, height) that cover the region, row by row; one in its middle where it is small enough.

    The region is clipped to the image (Unprocessable `bad_region` where nothing is left, or more than 400 are needed).
    """
    x0, y0, x1, y1 = region.x0, region.y0, min(region.x1, width), min(region.y1, height)
    if x0 >= x1 or y0 >= y1:
        raise Unprocessable("bad_region", f"{region} lies outside the image of {width} x {height} px")
    side = min(WINDOW_PX, width, height)
    columns, rows = starts(x0, x1, width, side), starts(y0, y1, height, side)
    if len(columns) * len(rows) > MOST_WINDOWS:
        raise Unprocessable("bad_region", f"{region} needs {len(columns) * len(rows)} windows, the limit is {MOST_WINDOWS}")
    return [Window(x=x, y=y, side=side) for y in rows for x in columns]


def starts(low: int, high: int, size: int, side: int) -> list[int]:
    """Where windows along one axis begin: evenly spread over [low, high), inside [0, size)."""
    count = math.ceil((high - low) / side)
    if count == 1:
        middle = (low + high - side) // 2
        return [min(max(middle, 0), size - side)]
    return [low + round(i * (high - low - side) / (count - 1)) for i in range(count)]


def cut_window(pixels: Pixels, window: Window, size_px: int = WINDOW_PX) -> Pixels:
    """The window's pixels, enlarged bilinearly to (size_px, size_px, channels). pixels: (h, w, channels) uint8."""
    part = pixels[window.y : window.y + window.side, window.x : window.x + window.side]
    if part.shape[0] == size_px:
        return np.ascontiguousarray(part)
    return np.asarray(cv2.resize(part, (size_px, size_px), interpolation=cv2.INTER_LINEAR), np.uint8)
