"""A first mask for a person to correct: what was measured, or where the heat map is hot, drawn to the edges of the image. Pure.

GrabCut (C. Rother, V. Kolmogorov, A. Blake, ACM Transactions on Graphics 23 (2004) 309) separates the pixels inside a seed from
those around it by colour and edges. Told only where the seed is, it often takes the defect for more of the background; so in the
seed's core those pixels surely belong that are darker or brighter than 98 % of what surrounds it, or all of it where hardly any
are. Work is bounded: a few seeds, each cut out with a margin and brought to MOST_PX at most. The same image and seeds give the
same mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from schemas.common import Region
from streams.judgement.region import SIDE, strange_from

MOST_SEEDS, MOST_PX, ROUNDS = 6, 256, 3
_LEAST_PX = 12  # of the longer side of a cut: below it there is nothing to separate
_MARGIN_PX, _MARGIN = 12, 0.5  # around a box: px at least, and of its side
_USUAL, _FEW = (1, 99), 0.05  # percentiles of each channel of the background; share of a core
_SPECK = 0.05  # of the largest region
_SEED = 1  # of OpenCV's generator, which starts the colour models

Rgb = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What is known of a view. boxes: of what segmentation found. heat: (value of step 255, 32 x 32 steps row by row, threshold);
    covered: the region of the image that the heat map is of. low, high: grey levels of 16 bit images.
    """

    boxes: tuple[Region, ...]
    heat: tuple[float, bytes, float] | None
    covered: Region
    low: int = 0
    high: int = 65535

    @property
    def is_empty(self) -> bool:
        return not self.boxes and self.heat is None


def proposed(pixels: Rgb, hint: Hint) -> Mask:
    """pixels: (h, w, 3) -> bool (h, w). Boxes first: they come from a model that has seen the image closer. Empty: no hint."""
    if hint.boxes:
        return from_boxes(pixels, hint.boxes)
    if hint.heat is None:
        return np.zeros(pixels.shape[:2], bool)
    top, steps, threshold = hint.heat
    heat = np.frombuffer(steps, np.uint8).reshape(SIDE, SIDE).astype(np.float32) * np.float32(top / 255)
    return from_heat(pixels, heat, threshold, hint.covered)


def from_boxes(pixels: Rgb, boxes: Sequence[Region]) -> Mask:
    """What stands out inside each box, the largest boxes first, at most MOST_SEEDS. pixels: (h, w, 3) -> bool (h, w).

    Where nothing does, the box itself. Boxes outside of the image are left out.
    """
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), bool)
    inside = [one for one in (_clipped(box, width, height) for box in boxes) if one is not None]
    for box in sorted(inside, key=lambda one: (-_area(one), one.y0, one.x0))[:MOST_SEEDS]:
        around = _widened(box, width, height)
        seed = np.full((around.y1 - around.y0, around.x1 - around.x0), cv2.GC_BGD, np.uint8)
        for part, means in ((box, cv2.GC_PR_FGD), (_inner(box), cv2.GC_FGD)):
            seed[part.y0 - around.y0 : part.y1 - around.y0, part.x0 - around.x0 : part.x1 - around.x0] = means
        mask[around.y0 : around.y1, around.x0 : around.x1] |= _cut_out(pixels, around, seed)
    return mask


def from_heat(pixels: Rgb, heat: npt.NDArray[np.float32], threshold: float, covered: Region) -> Mask:
    """What stands out where the heat map is strange. heat: (32, 32), of the region `covered`; pixels: (h, w, 3).

    Each hot spot is a seed, the hottest first, at most MOST_SEEDS: its cells probably belong, those inside of its edge are its
    core. Strange is what triage calls so: above the threshold, and the ten strangest cells.
    """
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), bool)
    covered_px = _clipped(covered, width, height)
    if covered_px is None:
        return mask
    hot = (heat >= strange_from(heat, threshold)).astype(np.uint8)
    count, spots = cv2.connectedComponents(hot, connectivity=8)
    strongest = sorted(range(1, count), key=lambda n: (-float(heat[spots == n].max()), n))
    for n in strongest[:MOST_SEEDS]:
        around, seed = _of_spot(spots == n, covered_px)
        mask[around.y0 : around.y1, around.x0 : around.x1] |= _cut_out(pixels, around, seed)
    return mask


def _of_spot(spot: Mask, covered: Region) -> tuple[Region, npt.NDArray[np.uint8]]:
    """The spot with two cells around it, in pixels of the image, and what each of those pixels is."""
    core = cv2.erode(spot.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    cells = np.where(core, cv2.GC_FGD, np.where(spot, cv2.GC_PR_FGD, cv2.GC_BGD)).astype(np.uint8)
    rows, columns = np.flatnonzero(spot.any(1)), np.flatnonzero(spot.any(0))
    (y0, y1), (x0, x1) = _wider(rows, len(spot)), _wider(columns, spot.shape[1])
    xs = [covered.x0 + round(x * (covered.x1 - covered.x0) / spot.shape[1]) for x in (x0, x1)]
    ys = [covered.y0 + round(y * (covered.y1 - covered.y0) / len(spot)) for y in (y0, y1)]
    around = Region(x0=xs[0], y0=ys[0], x1=max(xs[1], xs[0] + 1), y1=max(ys[1], ys[0] + 1))
    return around, _resized(cells[y0:y1, x0:x1], around.x1 - around.x0, around.y1 - around.y0)


def _wider(at: npt.NDArray[np.intp], cells: int) -> tuple[int, int]:
    return max(0, int(at[0]) - 2), min(cells, int(at[-1]) + 3)


def _cut_out(pixels: Rgb, around: Region, seed: npt.NDArray[np.uint8]) -> Mask:
    """bool, of the region's shape: what GrabCut takes for the foreground; the seed itself where it finds none, or only that."""
    whole = pixels[around.y0 : around.y1, around.x0 : around.x1]
    height, width = seed.shape
    shrink = min(1.0, MOST_PX / max(height, width))
    small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    image = cv2.resize(whole, small, interpolation=cv2.INTER_AREA) if shrink < 1 else np.ascontiguousarray(whole)
    found = _grabbed(np.asarray(image, np.uint8), _resized(seed, *small)) if max(small) >= _LEAST_PX else None
    if found is None:
        return np.asarray(seed != cv2.GC_BGD)
    return _resized(_without_specks(found), width, height) > 0


def _grabbed(image: Rgb, known: npt.NDArray[np.uint8]) -> Mask | None:
    """None: one of the two is missing, before or after."""
    if (known == cv2.GC_BGD).all() or (known != cv2.GC_BGD).all():
        return None
    mask, background, foreground = _sure(image, known), np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(_SEED)
    try:
        cv2.grabCut(image, mask, None, background, foreground, ROUNDS, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    except cv2.error:  # too few pixels of one kind for its colour models
        return None
    found = (mask & 1).astype(bool)
    return found if found.any() else None


def _without_specks(found: Mask) -> npt.NDArray[np.uint8]:
    """Regions that are small beside the largest one are noise: a person would have to wipe each of them out."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return np.asarray((areas >= _SPECK * areas.max())[numbers] & found, np.uint8)


def _sure(image: Rgb, known: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The core narrowed to what does not look like the background, where that is more than a few of its pixels."""
    core, around = known == cv2.GC_FGD, image[known == cv2.GC_BGD]
    low, high = np.percentile(around, _USUAL, axis=0)
    odd = core & ((image < low) | (image > high)).any(2)
    narrowed = np.where(core & ~odd, cv2.GC_PR_FGD, known).astype(np.uint8)
    return narrowed if odd.sum() >= _FEW * core.sum() else known.copy()


def _clipped(box: Region, width: int, height: int) -> Region | None:
    x1, y1 = min(box.x1, width), min(box.y1, height)
    return Region(x0=box.x0, y0=box.y0, x1=x1, y1=y1) if box.x0 < x1 and box.y0 < y1 else None


def _widened(box: Region, width: int, height: int) -> Region:
    dx, dy = (max(_MARGIN_PX, round(_MARGIN * side)) for side in (box.x1 - box.x0, box.y1 - box.y0))
    x0, y0 = max(0, box.x0 - dx), max(0, box.y0 - dy)
    return Region(x0=x0, y0=y0, x1=min(width, box.x1 + dx), y1=min(height, box.y1 + dy))


def _inner(box: Region) -> Region:
    """Without the outer quarter on each side; one pixel at least."""
    dx, dy = (box.x1 - box.x0) // 4, (box.y1 - box.y0) // 4
    return Region(x0=box.x0 + dx, y0=box.y0 + dy, x1=box.x1 - dx, y1=box.y1 - dy)


def _area(box: Region) -> int:
    return (box.x1 - box.x0) * (box.y1 - box.y0)


def _resized(cells: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
