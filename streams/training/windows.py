"""Windows around masks for the segmentation head: cut as serving cuts them, moved, turned and mirrored. Knows no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.common import Region
from schemas.model_set import PreparationV1
from streams.capture.image import decode, decode_rgb
from streams.evidence.geometry import WINDOW_PX, Window, cut_window, windows
from streams.fates import Unprocessable
from streams.training.dataset import DataError, Item
from streams.training.features import FloatArray
from streams.training.heads.segments import GRID

Rgb = npt.NDArray[np.uint8]
_MOST_OF_ONE = 3  # windows of one large defect


@dataclass(frozen=True, kw_only=True, eq=False)
class Cut:
    """image uint8 (256, 256, 3); mask float32 (K, 64, 64): share of each cell that the class covers."""

    image: Rgb
    mask: FloatArray


def cuts(item: Item, classes: Sequence[str], recipe: PreparationV1, variants: int, rng: np.random.Generator) -> Iterator[Cut]:
    """Windows on the item's defect: the first as serving would cut it, then moved and turned ones. None for an empty mask."""
    image, mask = _read(item, recipe)
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return
    box = Region(x0=int(columns.min()), y0=int(rows.min()), x1=int(columns.max()) + 1, y1=int(rows.max()) + 1)
    best = sorted(windows(box, width, height), key=lambda w: -int(_inside(mask, w).sum()))[:_MOST_OF_ONE]
    for window in best:
        for variant in range(max(1, variants // len(best))):
            where = window if variant == 0 else _moved(window, width, height, rng)
            yield _cut(image, mask, where, classes.index(item.kind), len(classes), 0 if variant == 0 else int(rng.integers(8)))


def clean_cut(item: Item, classes: int, recipe: PreparationV1, rng: np.random.Generator) -> Cut:
    """A window anywhere on a good part: what no class should be seen in."""
    image = _decoded(item, recipe)
    height, width = image.shape[:2]
    side = min(WINDOW_PX, width, height)
    window = Window(x=int(rng.integers(width - side + 1)), y=int(rng.integers(height - side + 1)), side=side)
    return Cut(image=cut_window(image, window), mask=np.zeros((classes, GRID, GRID), np.float32))


def _read(item: Item, recipe: PreparationV1) -> tuple[Rgb, npt.NDArray[np.uint8]]:
    image = _decoded(item, recipe)
    data = item.read_mask()
    assert data is not None
    try:
        mask = decode(data)
    except Unprocessable as error:
        raise DataError(f"mask of {item.name}: {error}") from error
    flat = mask if mask.ndim == 2 else mask.max(2)
    if flat.shape != image.shape[:2]:
        raise DataError(
            f"mask of {item.name}: {flat.shape[1]} x {flat.shape[0]} pixels, its image has {image.shape[1]} x {image.shape[0]}"
        )
    return image, (flat > 127).astype(np.uint8)


def _decoded(item: Item, recipe: PreparationV1) -> Rgb:
    try:
        return decode_rgb(item.read(), recipe)
    except Unprocessable as error:
        raise DataError(f"{item.name}: {error}; remove or replace it") from error


def _inside(mask: npt.NDArray[np.uint8], w: Window) -> npt.NDArray[np.uint8]:
    return mask[w.y : w.y + w.side, w.x : w.x + w.side]


def _moved(window: Window, width: int, height: int, rng: np.random.Generator) -> Window:
    """By up to a quarter of its side: a region drawn by a heat map is not centred on the defect."""
    reach = window.side // 4
    dx, dy = (int(v) for v in rng.integers(-reach, reach + 1, 2))
    x, y = min(max(window.x + dx, 0), width - window.side), min(max(window.y + dy, 0), height - window.side)
    return Window(x=x, y=y, side=window.side)


def _cut(image: Rgb, mask: npt.NDArray[np.uint8], window: Window, index: int, classes: int, turn: int) -> Cut:
    shares = cut_window(mask * np.uint8(255), window).reshape(GRID, WINDOW_PX // GRID, GRID, -1).mean((1, 3)) / 255
    target = np.zeros((classes, GRID, GRID), np.float32)
    target[index] = _turned(shares, turn)
    return Cut(image=np.ascontiguousarray(_turned(cut_window(image, window), turn)), mask=target)


def _turned(array: npt.NDArray[np.generic], turn: int) -> npt.NDArray[np.generic]:
    """One of the eight flips and turns of a square."""
    return np.rot90(array[:, ::-1] if turn >= 4 else array, turn % 4)
