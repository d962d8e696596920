"""A turned metal disc: bore, six bolt holes, concentric tool marks and the two-sided glint that they throw.

One grey picture, 0.05 mm a pixel. Knows how the part and its damage look; draws from the generator it is handed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from streams.workbench.plant import marks
from streams.workbench.plant.canvas import SIDE, FloatImage, fixed, noise, paint, polyline, shade, solid
from streams.workbench.plant.parts import Image, Knobs, Mask

MM_PER_PX = 0.05
KNOWN = ("scratch", "dent", "burr", "missing_hole")
UNKNOWN = ("swarf", "corrosion")
RIM, BORE, HOLE, CIRCLE, HOLES = 216.0, 62.0, 21.0, 142.0, 6  # radii in px; number of bolt holes
_BACK, _SHIFT = 26, 4


@dataclass(frozen=True, kw_only=True)
class _Pose:
    x: float
    y: float
    turn: float
    glint: float
    missing: int | None  # the bolt hole that nobody drilled

    def hole(self, k: int) -> tuple[float, float]:
        angle = self.turn + 2 * np.pi * k / HOLES
        return self.x + CIRCLE * np.cos(angle), self.y + CIRCLE * np.sin(angle)


@cache
def _polar() -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Radius in quarter pixels and angle in 1/1024 turns around the middle of a field that allows for any position."""
    half = SIDE // 2 + 24
    y, x = np.mgrid[-half:half, -half:half].astype(np.float32)
    radius = np.hypot(x, y) * 4
    angle = (np.arctan2(y, x) / (2 * np.pi) * 1024).astype(np.int64) % 1024
    return radius.astype(np.int16), angle.astype(np.int16)


def _profile(rng: np.random.Generator, knobs: Knobs, length: int) -> FloatImage:
    """Grey against radius: fine feed marks, slow waves, bright chamfers."""
    r = np.arange(length) / 4
    feed = 5.5 * (1 + 0.5 * knobs.texture) * rng.uniform(0.97, 1.03)
    fine = (3.5 + 6 * knobs.wear) * np.sin(2 * np.pi * r / feed + rng.uniform(0, 6))
    steps = np.repeat(rng.normal(0, 3 + 6 * knobs.wear, length // 12 + 1), 12)[:length]
    slow = np.interp(r, np.linspace(0, r[-1], 14), rng.normal(0, 4, 14))
    grey = 128 + fine + steps + slow
    grey[(r > RIM - 7) & (r <= RIM)] += 58 - 25 * knobs.wear
    grey[np.abs(r - (RIM - 8)) < 1.2] -= 34
    grey[(r >= BORE) & (r < BORE + 5)] += 44 - 20 * knobs.wear
    grey[np.abs(r - (BORE + 6)) < 1] -= 26
    grey[(r > RIM) | (r < BORE)] = _BACK
    return cv2.GaussianBlur(grey.astype(np.float32).reshape(1, -1), (0, 0), 2.2).ravel().astype(np.float32)


def _face(rng: np.random.Generator, pose: _Pose, knobs: Knobs) -> Image:
    radius, angle = _polar()
    top, left = (radius.shape[0] // 2 - round(v) for v in (pose.y, pose.x))
    window = slice(top, top + SIDE), slice(left, left + SIDE)
    r, a = radius[window], angle[window]
    profile = _profile(rng, knobs, int(radius.max()) + 1)
    turn = np.linspace(0, 2 * np.pi, 1024, endpoint=False)
    lobes = 0.86 + 0.46 * np.abs(np.cos(turn - pose.glint)) ** 9 + 0.16 * np.abs(np.cos(turn - pose.glint - 1.1)) ** 14
    face = profile.take(r) * lobes.astype(np.float32).take(a)
    outside = (r > RIM * 4 + 2) | (r < BORE * 4 - 2)
    face += noise(rng, SIDE, SIDE, 1.2) * np.float32(2.0 + 3 * knobs.wear + 3 * knobs.texture)
    belt = noise(rng, SIDE, SIDE, 6.0) * np.float32(2.5) + np.float32(_BACK)
    np.copyto(face, belt, where=outside)
    return np.asarray(np.clip(face, 0, 255), np.uint8)


def _drill(image: Image, pose: _Pose, wear: float) -> None:
    for k in range(HOLES):
        if k == pose.missing:
            continue
        x, y = pose.hole(k)
        centre = fixed(x, y)
        bright = round(196 - 60 * wear)
        cv2.circle(image, centre, fixed(HOLE + 4)[0], (92,), -1, cv2.LINE_AA, _SHIFT)
        start = float(np.degrees(pose.glint))
        for side, grey in ((0.0, bright), (180.0, bright - 36)):
            axes = fixed(HOLE + 2, HOLE + 2)
            cv2.ellipse(image, centre, axes, start + side, -62, 62, (grey,), 3, cv2.LINE_AA, _SHIFT)
        cv2.circle(image, centre, fixed(HOLE)[0], (_BACK - 6,), -1, cv2.LINE_AA, _SHIFT)


def _somewhere(rng: np.random.Generator, pose: _Pose, margin: float) -> tuple[float, float]:
    """A place on the metal, at least `margin` from edges and holes where that can be had."""
    for _ in range(40):
        r, a = rng.uniform(BORE + margin, RIM - margin), rng.uniform(0, 2 * np.pi)
        x, y = pose.x + r * np.cos(a), pose.y + r * np.sin(a)
        if all(np.hypot(x - hx, y - hy) > HOLE + margin for hx, hy in map(pose.hole, range(HOLES))):
            break
    return float(x), float(y)


def _scratch(image: Image, rng: np.random.Generator, pose: _Pose, contrast: float) -> Mask:
    length = float(np.clip(rng.lognormal(4.1, 0.5), 18, 200))
    x, y = _somewhere(rng, pose, 16)
    points = marks.stroke(rng, x, y, length, rng.uniform(0, np.pi))
    width = int(rng.integers(3, 7))
    shadow, alpha = np.zeros_like(image), np.zeros_like(image)
    polyline(shadow, points + 2.2, width)
    polyline(alpha, points, width)
    strength = min(1.0, contrast * rng.uniform(0.45, 1.0))
    paint(image, shadow, 40.0, 0.6 * strength)
    paint(image, alpha, 238.0, strength)
    return np.maximum(solid(alpha, 60), solid(shadow, 120))


def _dent(image: Image, rng: np.random.Generator, pose: _Pose, contrast: float) -> Mask:
    radius = float(np.clip(rng.lognormal(2.8, 0.3), 7, 30))
    x, y = _somewhere(rng, pose, radius + 6)
    change, piece = marks.hollow(radius, pose.glint + rng.uniform(-0.3, 0.3))
    at = round(y) - len(change) // 2, round(x) - len(change) // 2
    shade(image, change * np.float32(contrast * rng.uniform(45, 130)), at)
    mask = np.zeros_like(image)
    mask[at[0] : at[0] + len(piece), at[1] : at[1] + len(piece)] = piece
    return mask


def _burr(image: Image, rng: np.random.Generator, pose: _Pose, contrast: float) -> Mask:
    """Torn metal that stands out over an edge: the rim's or a hole's."""
    if rng.random() < 0.55:
        x, y, radius, outward = pose.x, pose.y, RIM, 1.0
    else:
        (x, y), radius, outward = pose.hole(int(rng.integers(HOLES))), HOLE, -1.0
    length = float(np.clip(rng.lognormal(3.7, 0.45), 16, 110))
    middle, half = rng.uniform(0, 2 * np.pi), min(length / radius / 2, 1.4)
    turn = np.linspace(middle - half, middle + half, 15)
    height = min(0.5 * radius, rng.uniform(7, 21)) * np.sin(np.linspace(0, np.pi, 15)) * rng.uniform(0.35, 1.0, 15)
    edge = np.concatenate([radius + outward * height, np.full(15, radius - outward * 2.5)])
    both = np.concatenate([turn, turn[::-1]])
    outline = np.stack([x + edge * np.cos(both), y + edge * np.sin(both)], 1)
    alpha = np.zeros_like(image)
    marks.spot(alpha, outline)
    grey = 120 + 80 * min(1.0, contrast) * rng.uniform(0.4, 1.0)
    paint(image, alpha, noise(rng, SIDE, SIDE, 1.2) * np.float32(22) + np.float32(grey), 0.95)
    return solid(alpha)


def _missing_hole(image: Image, rng: np.random.Generator, pose: _Pose, contrast: float) -> Mask:
    """Nothing to draw: the hole was never drilled; at most the centre punch shows."""
    x, y = pose.hole(pose.missing or 0)
    if rng.random() < 0.5:
        cv2.circle(image, fixed(x, y), fixed(2.5)[0], (60,), -1, cv2.LINE_AA, _SHIFT)
    mask = np.zeros_like(image)
    cv2.circle(mask, fixed(x, y), fixed(HOLE + 4)[0], (255,), -1, cv2.LINE_8, _SHIFT)
    return mask


def _swarf(image: Image, rng: np.random.Generator, pose: _Pose, contrast: float) -> Mask:
    """A curl of cut metal that lies on the face."""
    x, y = _somewhere(rng, pose, 24)
    turns, size = rng.uniform(1.2, 2.6), rng.uniform(7, 15)
    t = np.linspace(0, turns * 2 * np.pi, 60)
    drift = rng.uniform(0, 2 * np.pi)
    reach = size * (0.5 + 0.5 * t / t[-1])
    points = np.stack([x + reach * np.cos(t) + 3 * t * np.cos(drift), y + reach * np.sin(t) + 3 * t * np.sin(drift)], 1)
    shadow, alpha = np.zeros_like(image), np.zeros_like(image)
    polyline(shadow, points + 3.0, 4)
    polyline(alpha, points, 3)
    paint(image, cv2.GaussianBlur(shadow, (0, 0), 1.5).astype(np.uint8), 18.0, 0.75)
    paint(image, alpha, noise(rng, SIDE, SIDE, 1.2) * np.float32(34) + np.float32(186), min(1.0, 0.9 * contrast))
    return np.maximum(solid(alpha), solid(shadow))


def _corrosion(image: Image, rng: np.random.Generator, pose: _Pose, contrast: float) -> Mask:
    x, y = _somewhere(rng, pose, 20)
    alpha = np.zeros_like(image)
    marks.spot(alpha, marks.blob(rng, x, y, rng.uniform(12, 30), 0.5, rng.uniform(1, 1.5)), 2.5)
    mottle = noise(rng, SIDE, SIDE, 2.0) * np.float32(20) + np.float32(72)
    paint(image, alpha, mottle, min(0.9, contrast * rng.uniform(0.45, 0.8)))
    return solid(alpha)


_DRAW = {
    "scratch": _scratch, "dent": _dent, "burr": _burr, "missing_hole": _missing_hole,
    "swarf": _swarf, "corrosion": _corrosion,
}  # fmt: skip


def draw(rng: np.random.Generator, view: str, kinds: tuple[str, ...], knobs: Knobs) -> tuple[Image, tuple[Mask, ...]]:
    """A clean picture (512, 512) grey without lens and sensor, and a mask for each of `kinds`."""
    middle, hole = SIDE / 2 - 0.5, int(rng.integers(HOLES))
    pose = _Pose(
        x=middle + int(rng.integers(-14, 15)), y=middle + int(rng.integers(-14, 15)), turn=rng.uniform(0, 2 * np.pi),
        glint=float(rng.normal(0.7, 0.16)), missing=hole if "missing_hole" in kinds else None,
    )  # fmt: skip
    image = _face(rng, pose, knobs)
    _drill(image, pose, knobs.wear)
    return image, tuple(_DRAW[kind](image, rng, pose, knobs.contrast) for kind in kinds)
