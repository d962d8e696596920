"""Painted defects: a scratch or a spot of known size and contrast on the image of a good part. Knows no model and no file.

A mark adds contrast x range to what lies below it, so texture and noise stay visible in it, with edges as soft as a lens makes
them. All chance comes from the caller's generator: the same generator gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from streams.fates import Unprocessable

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Area = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

SOFT_PX = 2.0  # over which an edge fades
_BLOCK = 8  # px: the grain in which part and background are told apart
_NEAR, _TEXTURED, _NOTHING = 0.06, 0.08, 0.02
_TRIES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """size_px: length of a scratch, diameter of a spot. contrast: -1..1, as a share of the range of grey levels.

    width_px: of a scratch; the spot has none.
    """

    kind: Literal["scratch", "spot"]
    size_px: float
    contrast: float
    width_px: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """image: as the one below it, in shape and type. mask: where the mark has at least half of its strength."""

    image: Pixels
    mask: Area
    x: float
    y: float
    angle: float


def scratch_width_px(image: Pixels) -> float:
    """1/128 of the shorter side, at least 2 px: as wide after preparation whatever the camera's resolution is."""
    return float(max(2.0, min(image.shape[:2]) / 128))


def paint(image: Pixels, mark: Mark, area: Area, rng: np.random.Generator, *, grey_range: float) -> Painted:
    """Somewhere in the area, turned at random. image: (h, w) or (h, w, 3), area: (h, w); grey_range: levels from black to white.

    Raises Unprocessable `no_place` where the area has no room for the whole mark.
    """
    x, y, angle = _place(mark, area, rng)
    rows, columns = _window(mark, x, y, area.shape)
    alpha = _alpha(mark, x, y, angle, rows, columns)
    change = alpha * (mark.contrast * grey_range)
    painted, most = image.copy(), np.iinfo(image.dtype).max
    below = image[rows, columns].astype(np.float64)
    painted[rows, columns] = np.clip(np.rint(below + (change[..., None] if image.ndim == 3 else change)), 0, most)
    mask = np.zeros(image.shape[:2], bool)
    mask[rows, columns] = alpha >= 0.5 * alpha.max()
    return Painted(image=painted, mask=mask, x=x, y=y, angle=angle)


def part_area(image: Pixels, *, grey_range: float) -> Area:
    """Where the part is: bool (h, w).

    In blocks of 8 px, the background is what looks like the border of the image, and one block more all around it. Where the
    border has no one look (a texture that fills the picture), or all looks like it, the whole image is the part, less its rim.
    """
    height, width = image.shape[:2]
    blocks = _blocks(image)
    border = np.concatenate([blocks[0], blocks[-1], blocks[1:-1, 0], blocks[1:-1, -1]])
    level = np.median(border, axis=0)
    spread = 1.4826 * np.median(np.abs(border - level), axis=0)
    part = (np.abs(blocks - level) > np.maximum(4 * spread, _NEAR * grey_range)).any(axis=2)
    if spread.max() > _TEXTURED * grey_range or part.mean() < _NOTHING:
        part = np.ones_like(part)
    part = _shrunk(part)
    full = part.repeat(_BLOCK, 0).repeat(_BLOCK, 1)[:height, :width]
    return np.pad(full, ((0, height - full.shape[0]), (0, width - full.shape[1])))


def _blocks(image: Pixels) -> Floats:
    """Mean level of each channel: (rows, columns, channels) of the blocks that lie wholly inside."""
    height, width = image.shape[:2]
    rows, columns = height // _BLOCK, width // _BLOCK
    if min(rows, columns) < 4:
        raise Unprocessable("too_small", f"{width} x {height} px: painting needs {4 * _BLOCK} px a side")
    inside = image[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK, -1)
    return np.asarray(inside.mean(axis=(1, 3), dtype=np.float64))


def _shrunk(part: Area) -> Area:
    """Without the blocks that touch another kind, or the border of the image."""
    wide = np.pad(part, 1)
    rows = wide[:-2] & wide[1:-1] & wide[2:]
    return np.asarray(rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:])


def _place(mark: Mark, area: Area, rng: np.random.Generator) -> tuple[float, float, float]:
    """(x, y, angle in rad) of the first of 400 random places where the whole mark lies in the area."""
    inside = np.flatnonzero(area)
    if not len(inside):
        raise Unprocessable("no_place", "no part is seen in the image")
    y, x = np.divmod(rng.choice(inside, _TRIES), area.shape[1])
    x, y = (at + rng.uniform(-0.5, 0.5, _TRIES) for at in (x, y))
    angle = rng.uniform(0, np.pi, _TRIES)
    u, v = _outline(mark)
    columns = np.rint(x[:, None] + u * np.cos(angle)[:, None] - v * np.sin(angle)[:, None]).astype(int)
    rows = np.rint(y[:, None] + u * np.sin(angle)[:, None] + v * np.cos(angle)[:, None]).astype(int)
    seen = (columns >= 0) & (columns < area.shape[1]) & (rows >= 0) & (rows < area.shape[0])
    on_part = seen & area[rows.clip(0, area.shape[0] - 1), columns.clip(0, area.shape[1] - 1)]
    fits = np.flatnonzero(on_part.all(axis=1))
    if not len(fits):
        raise Unprocessable("no_place", f"no place for a {mark.kind} of {mark.size_px:g} px: it would not lie wholly on the part")
    first = fits[0]
    return float(x[first]), float(y[first]), float(angle[first])


def _outline(mark: Mark) -> tuple[Floats, Floats]:
    """Points on the mark's edge, at most 4 px apart: along, across."""
    if mark.kind == "spot":
        turn = np.linspace(0, 2 * np.pi, max(8, int(mark.size_px)), endpoint=False)
        return mark.size_px / 2 * np.cos(turn), mark.size_px / 2 * np.sin(turn)
    along = np.linspace(-mark.size_px / 2, mark.size_px / 2, max(3, int(mark.size_px / 4) + 2))
    return np.tile(along, 2), np.repeat([-mark.width_px / 2, mark.width_px / 2], len(along))


def _window(mark: Mark, x: float, y: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    reach = (mark.size_px + mark.width_px) / 2 + SOFT_PX
    rows = slice(max(0, int(y - reach)), min(shape[0], int(y + reach) + 2))
    return rows, slice(max(0, int(x - reach)), min(shape[1], int(x + reach) + 2))


def _alpha(mark: Mark, x: float, y: float, angle: float, rows: slice, columns: slice) -> Floats:
    """Strength of the mark, 0..1, on the window's pixels."""
    dy, dx = np.mgrid[rows, columns].astype(np.float64)
    dx, dy = dx - x, dy - y
    if mark.kind == "spot":
        return _faded(np.hypot(dx, dy) - mark.size_px / 2)
    along = dx * np.cos(angle) + dy * np.sin(angle)
    across = dy * np.cos(angle) - dx * np.sin(angle)
    return _faded(np.abs(along) - mark.size_px / 2) * _faded(np.abs(across) - mark.width_px / 2)


def _faded(outside_px: Floats) -> Floats:
    """1 inside, 0 outside, a half on the edge."""
    return np.asarray(0.5 - 0.5 * np.sin(np.pi * np.clip(outside_px / SOFT_PX, -0.5, 0.5)))
