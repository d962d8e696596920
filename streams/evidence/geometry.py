"""Windows of an image for the segmentation model, their answers put together, and the regions in them.

Knows pixels, no message but `Region`, no model. Training cuts the same windows around its masks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from schemas.common import Region
from streams.fates import Unprocessable

WINDOW_PX = 256
MOST_WINDOWS = 400  # 12 ms each: more cannot be answered in time

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


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
        raise Unprocessable("bad_region", f"{region!r} lies outside the image of {width} x {height} px")
    side = min(WINDOW_PX, width, height)
    columns, rows = _starts(x0, x1, width, side), _starts(y0, y1, height, side)
    if len(columns) * len(rows) > MOST_WINDOWS:
        raise Unprocessable("bad_region", f"{region!r} needs {len(columns) * len(rows)} windows, the limit is {MOST_WINDOWS}")
    return [Window(x=x, y=y, side=side) for y in rows for x in columns]


def covered(parts: Sequence[Window]) -> Region:
    """What the windows show together, in pixels of the stored image."""
    side = parts[0].side
    last_x, last_y = max(w.x for w in parts), max(w.y for w in parts)
    return Region(x0=min(w.x for w in parts), y0=min(w.y for w in parts), x1=last_x + side, y1=last_y + side)


def cut_window(pixels: Pixels, window: Window, size_px: int = WINDOW_PX) -> Pixels:
    """The window's pixels, enlarged bilinearly to (size_px, size_px, channels). pixels: (h, w, channels) uint8."""
    part = pixels[window.y : window.y + window.side, window.x : window.x + window.side]
    if part.shape[0] == size_px:
        return np.ascontiguousarray(part)
    return np.asarray(cv2.resize(part, (size_px, size_px), interpolation=cv2.INTER_LINEAR), np.uint8)


def label_map(logits: Logits, side: int, cut: float) -> Labels:
    """Mask logits (classes, g, g), enlarged bilinearly to the window's side: uint8 (side, side), 0 or 1 + the class.

    A pixel belongs to the class with the largest logit, where that lies above `cut`.
    """
    large = np.stack([cv2.resize(plane, (side, side), interpolation=cv2.INTER_LINEAR) for plane in logits])
    return np.where(large.max(0) > cut, large.argmax(0) + 1, 0).astype(np.uint8)


def put_together(parts: Sequence[Window], maps: Sequence[Labels]) -> Labels:
    """One map of labels over `covered(parts)`. Where windows overlap each gives its own half: its edge sees least."""
    whole = covered(parts)
    owns_x, owns_y = _owned([w.x for w in parts], parts[0].side), _owned([w.y for w in parts], parts[0].side)
    canvas = np.zeros((whole.y1 - whole.y0, whole.x1 - whole.x0), np.uint8)
    for window, labels in zip(parts, maps, strict=True):
        (x0, x1), (y0, y1) = owns_x[window.x], owns_y[window.y]
        inside = labels[y0 - window.y : y1 - window.y, x0 - window.x : x1 - window.x]
        canvas[y0 - whole.y0 : y1 - whole.y0, x0 - whole.x0 : x1 - whole.x0] = inside
    return canvas


def components(mask: Mask) -> list[tuple[int, int, Mask]]:
    """(x, y, mask cut to its box) of each connected region; diagonal neighbours belong together. mask: (h, w)."""
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    boxes = [(n, *(int(value) for value in stats[n][:4])) for n in range(1, count)]
    return [(x, y, numbers[y : y + h, x : x + w] == n) for n, x, y, w, h in boxes]


def outline(mask: Mask) -> tuple[npt.NDArray[np.float64], float]:
    """(convex hull of the pixels' centres (n, 2), length of the outer boundary in px) of one connected region."""
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    longest = max(contours, key=len)
    hull = cv2.convexHull(longest).reshape(-1, 2).astype(np.float64)
    return hull, float(cv2.arcLength(longest, closed=True)) + 4


def _starts(low: int, high: int, size: int, side: int) -> list[int]:
    """Where windows along one axis begin: evenly spread over [low, high), inside [0, size)."""
    count = math.ceil((high - low) / side)
    if count == 1:
        return [min(max((low + high - side) // 2, 0), size - side)]
    return [low + round(i * (high - low - side) / (count - 1)) for i in range(count)]


def _owned(starts: Sequence[int], side: int) -> dict[int, tuple[int, int]]:
    """Start of a window -> the stretch of the axis that it answers for."""
    ordered = sorted(set(starts))
    between = [(left + side + right) // 2 for left, right in pairwise(ordered)]
    edges = [ordered[0], *between, ordered[-1] + side]
    return dict(zip(ordered, pairwise(edges), strict=True))
