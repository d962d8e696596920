"""A blue technical fabric in 2/2 twill, seen close up: every thread has its own thickness and tone.

One colour picture, 0.05 mm a pixel. Damage is drawn on the loom's own grid; picture and masks are turned together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from streams.workbench.plant import marks
from streams.workbench.plant.canvas import SIDE, FloatImage, Pose, noise, paint, polyline, solid
from streams.workbench.plant.parts import Image, Knobs, Mask

MM_PER_PX = 0.05
KNOWN = ("stain", "broken_thread", "double_pick", "hole")
UNKNOWN = ("crease", "snag")
_FIELD = 592  # the loom's grid, larger than the view by what turning and shifting may need
_EDGE = (_FIELD - SIDE) // 2
_THREAD, _LOOMS = 13.0, 4


@dataclass(frozen=True, kw_only=True)
class _Loom:
    """One arrangement of threads. across, along: shading where the upright, the lying thread is on top, else 0."""

    columns: npt.NDArray[np.int64]  # thread number of every x
    rows: npt.NDArray[np.int64]
    across: FloatImage
    along: FloatImage

    def pick(self, row: int) -> slice:
        """The rows of pixels of one lying thread."""
        inside = np.flatnonzero(self.rows == row)
        return slice(int(inside[0]), int(inside[-1]) + 1)


def _threads(rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Thread number and place inside the thread (0..1) of every pixel of a line."""
    borders = np.concatenate([[0], np.cumsum(rng.normal(_THREAD, 0.5, int(_FIELD / _THREAD) + 12))])
    at = np.arange(_FIELD) + 0.5
    number = np.searchsorted(borders, at, side="right") - 1
    return number, (at - borders[number]) / np.diff(borders)[number]


@cache
def _loom(which: int) -> _Loom:
    rng = np.random.default_rng([77, which])
    (columns, fx), (rows, fy) = _threads(rng), _threads(rng)
    phase = (columns[None, :] + rows[:, None]) % 4
    upright = phase < 2
    float_up = np.sin(np.pi * (phase % 2 + fy[:, None]) / 2) ** 0.7
    float_along = np.sin(np.pi * (((phase - 2) % 2) + fx[None, :]) / 2) ** 0.7
    round_x, round_y = (np.sqrt(np.maximum(1 - (2 * f - 0.9) ** 2, 0.0)) for f in (fx, fy))
    lines = rng.standard_normal((_FIELD, _FIELD)).astype(np.float32)
    fibre_x = cv2.GaussianBlur(lines, (0, 0), sigmaX=0.7, sigmaY=3.5) * 2.2
    fibre_y = cv2.GaussianBlur(lines, (0, 0), sigmaX=3.5, sigmaY=0.7) * 2.2
    across = np.where(upright, (0.30 + 0.62 * round_x[None, :] * float_up) * (1 + 0.14 * fibre_x), 0)
    along = np.where(upright, 0, (0.24 + 0.48 * round_y[:, None] * float_along) * (1 + 0.14 * fibre_y))
    return _Loom(columns=columns, rows=rows, across=across.astype(np.float32), along=along.astype(np.float32))


def _cloth(rng: np.random.Generator, loom: _Loom, knobs: Knobs) -> Image:
    spread = 0.055 * (1 + 1.5 * knobs.wear)
    tones = [1 + spread * rng.normal(size=int(n.max()) + 1) for n in (loom.columns, loom.rows)]
    tones[1] *= 1 + 0.35 * knobs.texture  # another batch of yarn lies across
    grey = loom.across * (205 * tones[0][loom.columns]).astype(np.float32)
    grey += loom.along * (205 * tones[1][loom.rows]).astype(np.float32)[:, None]
    grey += noise(rng, _FIELD, _FIELD, 1.2) * np.float32(3 + 5 * knobs.wear + 3 * knobs.texture)
    grey += noise(rng, _FIELD, _FIELD, 6.0) * np.float32(2.5)
    return np.asarray(np.clip(grey, 0, 255), np.uint8)


def _place(rng: np.random.Generator, margin: float) -> tuple[float, float]:
    x, y = rng.uniform(_EDGE + 14 + margin, _FIELD - _EDGE - 14 - margin, 2)
    return float(x), float(y)


def _fray(image: Image, rng: np.random.Generator, x: float, y: float, reach: float, count: int) -> None:
    """Loose fibres around a place."""
    alpha = np.zeros_like(image)
    for _ in range(count):
        turn = rng.uniform(0, 2 * np.pi)
        at = x + reach * np.cos(turn), y + reach * np.sin(turn)
        polyline(alpha, marks.stroke(rng, *at, rng.uniform(5, 14), turn + rng.normal(0, 0.7), 0.5), 1)
    paint(image, alpha, 190.0, 0.6)


def _stain(image: Image, rng: np.random.Generator, loom: _Loom, contrast: float) -> Mask:
    radius = float(np.clip(rng.lognormal(3.6, 0.45), 12, 84))
    alpha = np.zeros_like(image)
    marks.spot(alpha, marks.blob(rng, *_place(rng, radius), radius, 0.35, rng.uniform(1, 1.5)), 3.0)
    dark = (image * np.float32(0.35)).astype(np.float32)
    paint(image, alpha, dark, min(1.0, contrast * rng.uniform(0.28, 0.8)))
    return solid(alpha)


def _broken_thread(image: Image, rng: np.random.Generator, loom: _Loom, contrast: float) -> Mask:
    """A lying thread is gone over some length; the ends stand off."""
    length = float(np.clip(rng.lognormal(4.6, 0.5), 24, 300))
    x, y = _place(rng, min(length / 2, 150))
    rows = loom.pick(int(loom.rows[round(y)]))
    columns = slice(round(x - length / 2), round(x + length / 2))
    alpha = np.zeros_like(image)
    alpha[rows, columns] = 255
    under = image.astype(np.float32) * np.float32(0.5)
    under[rows, columns] = 26 + 0.45 * loom.across[rows.start - 13, columns] * 205
    paint(image, alpha, under, min(1.0, contrast * rng.uniform(0.6, 1.0)))
    middle = (rows.start + rows.stop) / 2
    for end in (columns.start, columns.stop):
        _fray(image, rng, end, middle, 2, 2)
    return alpha


def _double_pick(image: Image, rng: np.random.Generator, loom: _Loom, contrast: float) -> Mask:
    """Two lying threads in one shed: the pattern repeats a row and stands out."""
    length = float(np.clip(rng.lognormal(5.3, 0.5), 60, 500))
    x, y = _place(rng, min(length / 2, 200))
    row = int(loom.rows[round(y)])
    rows, above = loom.pick(row), loom.pick(row - 1)
    columns = slice(max(_EDGE, round(x - length / 2)), min(_FIELD - _EDGE, round(x + length / 2)))
    double = cv2.resize(image[above, columns], (columns.stop - columns.start, rows.stop - rows.start))
    alpha, target = np.zeros_like(image), image.astype(np.float32)
    alpha[rows, columns] = 255
    target[rows, columns] = np.float32(1.35) * double + np.float32(18)
    paint(image, alpha, target, min(1.0, contrast * rng.uniform(0.55, 1.0)))
    return alpha


def _hole(image: Image, rng: np.random.Generator, loom: _Loom, contrast: float) -> Mask:
    radius = float(np.clip(rng.lognormal(2.8, 0.45), 6, 44))
    x, y = _place(rng, radius)
    alpha = np.zeros_like(image)
    marks.spot(alpha, marks.blob(rng, x, y, radius, 0.4, rng.uniform(1, 1.4)), 0.8)
    paint(image, alpha, 14.0, min(1.0, contrast * rng.uniform(0.6, 1.0)))
    _fray(image, rng, x, y, 0.9 * radius, int(radius))
    return solid(alpha)


def _crease(image: Image, rng: np.random.Generator, loom: _Loom, contrast: float) -> Mask:
    """A fold: one long line, light on one flank and dark on the other."""
    x, y = _place(rng, 60)
    turn, width = rng.uniform(0, np.pi), rng.uniform(5, 9)
    away = marks.stroke(rng, x, y, rng.uniform(180, 420), turn, 0.15)
    side = np.array([-np.sin(turn), np.cos(turn)]) * width * 0.7
    mask = np.zeros_like(image)
    for shift, grey in ((side, 225.0), (-side, 12.0)):
        alpha = np.zeros_like(image)
        polyline(alpha, away + shift, int(width))
        paint(image, np.asarray(cv2.GaussianBlur(alpha, (0, 0), width / 3), np.uint8), grey, min(0.9, 0.4 * contrast))
        mask = np.maximum(mask, solid(alpha))
    return mask


def _snag(image: Image, rng: np.random.Generator, loom: _Loom, contrast: float) -> Mask:
    """A pulled loop that lies on the cloth, with its shadow."""
    x, y = _place(rng, 40)
    t = np.linspace(0.1, 2 * np.pi - 0.1, 30)
    size, turn = rng.uniform(12, 26), rng.uniform(0, 2 * np.pi)
    u, v = size * np.sin(t), 0.6 * size * np.sin(2 * t) + 0.3 * size * (t / np.pi - 1)
    points = np.stack([x + u * np.cos(turn) - v * np.sin(turn), y + u * np.sin(turn) + v * np.cos(turn)], 1)
    shadow, alpha = np.zeros_like(image), np.zeros_like(image)
    polyline(shadow, points + 3.5, 5)
    polyline(alpha, points, 4)
    paint(image, np.asarray(cv2.GaussianBlur(shadow, (0, 0), 1.5), np.uint8), 10.0, 0.6)
    paint(image, alpha, noise(rng, _FIELD, _FIELD, 1.2) * np.float32(20) + np.float32(178), min(1.0, 0.9 * contrast))
    return np.maximum(solid(alpha), solid(shadow))


_DRAW = {
    "stain": _stain, "broken_thread": _broken_thread, "double_pick": _double_pick, "hole": _hole,
    "crease": _crease, "snag": _snag,
}  # fmt: skip


def _dye(image: Image, texture: float) -> Image:
    """Grey cloth to blue cloth."""
    grey = np.arange(256, dtype=np.float32)
    planes = [grey * (1.02 - 0.06 * texture) + 14, grey * (0.84 + 0.05 * texture) + 6, grey * (0.66 + 0.14 * texture) + 4]
    return np.asarray(cv2.merge([cv2.LUT(image, np.clip(p, 0, 255).astype(np.uint8)) for p in planes]), np.uint8)


def draw(rng: np.random.Generator, view: str, kinds: tuple[str, ...], knobs: Knobs) -> tuple[Image, tuple[Mask, ...]]:
    """A clean picture (512, 512, 3) without lens and sensor, and a mask for each of `kinds`."""
    loom = _loom(int(rng.integers(_LOOMS)))
    cloth = _cloth(rng, loom, knobs)
    pose = Pose(degrees=rng.normal(0, 1.6), x=rng.uniform(-11, 11), y=rng.uniform(-11, 11))
    masks = [_DRAW[kind](cloth, rng, loom, knobs.contrast) for kind in kinds]
    return _dye(pose.picture(cloth), knobs.texture), tuple(pose.mask(mask) for mask in masks)
