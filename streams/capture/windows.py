"""Square windows of an image at its native resolution, where geometry is measured. Knows no pixels.

Fitting and serving cut the same windows, so that a segmentation model sees what it learned from.
"""

from __future__ import annotations

from schemas.common import Region

WINDOW_PX = 256


def windows(region: Region, width_px: int, height_px: int) -> tuple[Region, ...]:
    """Windows of side min(256, shorter side of the image) that cover the region, row by row, inside the image.

    A region that fits into one window is in its middle, as far as the image's edge lets it. Raises ValueError where the
    region does not touch the image.
    """
    side = min(WINDOW_PX, width_px, height_px)
    xs = _starts(region.x0, min(region.x1, width_px), side, width_px)
    ys = _starts(region.y0, min(region.y1, height_px), side, height_px)
    return tuple(Region(x0=x, y0=y, x1=x + side, y1=y + side) for y in ys for x in xs)


def _starts(low: int, high: int, side: int, size: int) -> list[int]:
    if low >= high:
        raise ValueError(f"region {low}..{high} lies outside the image of {size} pixels")
    count = -(-(high - low) // side)
    if count == 1:
        return [min(max(0, (low + high - side) // 2), size - side)]
    last = min(high - side, size - side)
    return [round(low + i * (last - low) / (count - 1)) for i in range(count)]
