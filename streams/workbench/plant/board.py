"""A circuit board before assembly, photographed from both sides: `top` and `bottom`, 0.04 mm a pixel, in colour.

Damage is drawn on the flat board; picture and masks are turned together.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from streams.workbench.plant import marks
from streams.workbench.plant.board_design import LEFT, RIGHT, Design, design, pad_mask
from streams.workbench.plant.canvas import SIDE, FloatImage, Pose, noise, paint, polyline, solid
from streams.workbench.plant.parts import Image, Knobs, Mask

MM_PER_PX = 0.04
VIEWS = ("top", "bottom")
KNOWN = ("missing_pad", "bridge", "scratch", "misprint")
UNKNOWN = ("hair", "burn")
_TIN, _INK, _LAMINATE = (176.0, 192.0, 198.0), (222.0, 228.0, 226.0), (58.0, 96.0, 122.0)


@cache
def _tin_share(view: str) -> FloatImage:
    return (design(view).tin / np.float32(255)).astype(np.float32)


@cache
def _lacquer_share(view: str) -> FloatImage:
    """1 where the plate is green."""
    blue, green, red = (design(view).plate[..., c].astype(np.float32) for c in range(3))
    return np.clip((green - np.maximum(blue, red)) / 25, 0, 1).astype(np.float32)


def _surface(rng: np.random.Generator, view: str, knobs: Knobs) -> Image:
    """This board's own gloss: of the lacquer everywhere, of the tin on the pads."""
    dull = -58 * knobs.wear + rng.normal(0, 5)
    gloss = noise(rng, SIDE, SIDE, 6.0) * np.float32(9 + 8 * knobs.wear) + np.float32(dull)
    change = gloss * _tin_share(view) + noise(rng, SIDE, SIDE, 1.2) * np.float32(2.0 + 3 * knobs.texture)
    tint = np.array([20, -16, 26]) * knobs.texture + rng.normal(0, 1.5, 3)  # another lacquer
    lacquer = _lacquer_share(view)
    planes = [cv2.add(design(view).plate[..., c], change + np.float32(tint[c]) * lacquer, dtype=cv2.CV_8U) for c in range(3)]
    return np.asarray(cv2.merge(planes), np.uint8)


def _blank() -> Mask:
    return np.zeros((SIDE, SIDE), np.uint8)


def _place(rng: np.random.Generator, margin: float) -> tuple[float, float]:
    x, y = rng.uniform(LEFT + 10 + margin, RIGHT - 10 - margin, 2)
    return float(x), float(y)


def _missing_pad(image: Image, rng: np.random.Generator, plan: Design, contrast: float) -> Mask:
    """A pad came off, or two neighbours, or half of one."""
    first, second = plan.neighbours[int(rng.integers(len(plan.neighbours)))]
    alpha, luck = pad_mask(first, 2), rng.random()
    if luck < 0.2:
        alpha[: round(first.y)] = 0
    elif luck < 0.7:
        alpha = np.maximum(alpha, pad_mask(second, 2))
    paint(image, alpha, _LAMINATE, min(1.0, contrast * rng.uniform(0.75, 1.0)))
    return solid(alpha)


def _bridge(image: Image, rng: np.random.Generator, plan: Design, contrast: float) -> Mask:
    """Solder joins two neighbours."""
    first, second = plan.neighbours[int(rng.integers(len(plan.neighbours)))]
    points = np.array([[first.x, first.y], [second.x, second.y]], np.float64)
    along = points[1] - points[0]
    reach = min(first.h if along[0] else first.w, 50) * 0.25
    points += rng.uniform(-reach, reach) * np.array([-along[1], along[0]]) / np.hypot(*along)
    alpha = _blank()
    width = rng.uniform(12, 40)
    polyline(alpha, points, round(width))
    x, y = points.mean(0)
    marks.spot(alpha, marks.blob(rng, float(x), float(y), 0.7 * width, 0.4))
    gleam = (noise(rng, SIDE, SIDE, 2.0) * np.float32(16))[..., None] + np.asarray(_TIN, np.float32)
    paint(image, alpha, gleam.astype(np.float32), min(1.0, contrast * rng.uniform(0.7, 1.0)))
    return solid(alpha)


def _scratch(image: Image, rng: np.random.Generator, plan: Design, contrast: float) -> Mask:
    """Through the lacquer, down to the copper."""
    length = float(np.clip(rng.lognormal(4.5, 0.45), 28, 300))
    points = marks.stroke(rng, *_place(rng, length / 2), length, rng.uniform(0, np.pi))
    alpha, rim = _blank(), _blank()
    width = int(rng.integers(4, 9))
    polyline(rim, points, width + 4)
    polyline(alpha, points, width)
    strength = min(1.0, contrast * rng.uniform(0.5, 1.0))
    paint(image, rim, (120.0, 150.0, 128.0), 0.45 * strength)
    paint(image, alpha, (96.0, 142.0, 196.0), strength)
    return solid(rim, 90)


def _misprint(image: Image, rng: np.random.Generator, plan: Design, contrast: float) -> Mask:
    """A label is printed twice, out of place, or smeared."""
    x0, y0, x1, y1 = plan.labels[int(rng.integers(len(plan.labels)))]
    there = _blank()
    there[y0:y1, x0:x1] = plan.ink[y0:y1, x0:x1]
    shift = np.round(rng.choice([-1, 1], 2) * rng.uniform([12, 10], [36, 30])).astype(int)
    again = np.roll(there, (int(shift[1]), int(shift[0])), (0, 1))
    if rng.random() < 0.4:
        again = np.asarray(cv2.blur(again, (61, 13)), np.uint8)
    paint(image, again, _INK, min(1.0, contrast * rng.uniform(0.7, 1.0)))
    joined = cv2.dilate(solid(np.maximum(again, there), 60), np.ones((3, 3), np.uint8))
    return np.asarray(joined, np.uint8)


def _hair(image: Image, rng: np.random.Generator, plan: Design, contrast: float) -> Mask:
    """A fibre lies on the board."""
    x, y = _place(rng, 50)
    t = np.linspace(0, 1, 30)
    bend = rng.normal(0, 16, 4)
    off = sum(bend[k] * np.sin((k + 1) * np.pi * t + k) for k in range(4))
    turn, length = rng.uniform(0, np.pi), rng.uniform(90, 200)
    u = length * (t - 0.5)
    points = np.stack([x + u * np.cos(turn) - off * np.sin(turn), y + u * np.sin(turn) + off * np.cos(turn)], 1)
    alpha = _blank()
    polyline(alpha, np.clip(points, LEFT, RIGHT), 4)
    paint(image, alpha, (30.0, 26.0, 24.0), min(1.0, 0.85 * contrast))
    return solid(alpha, 60)


def _burn(image: Image, rng: np.random.Generator, plan: Design, contrast: float) -> Mask:
    alpha, core = _blank(), _blank()
    x, y = _place(rng, 24)
    radius = rng.uniform(20, 48)
    marks.spot(alpha, marks.blob(rng, x, y, radius, 0.3), 5.0)
    marks.spot(core, marks.blob(rng, x, y, 0.55 * radius, 0.4), 3.0)
    paint(image, alpha, (30.0, 52.0, 74.0), min(0.8, 0.7 * contrast))
    paint(image, core, (16.0, 18.0, 22.0), min(0.9, 0.8 * contrast))
    return solid(alpha)


_DRAW = {
    "missing_pad": _missing_pad, "bridge": _bridge, "scratch": _scratch, "misprint": _misprint,
    "hair": _hair, "burn": _burn,
}  # fmt: skip


def draw(rng: np.random.Generator, view: str, kinds: tuple[str, ...], knobs: Knobs) -> tuple[Image, tuple[Mask, ...]]:
    """A clean picture (512, 512, 3) without lens and sensor, and a mask for each of `kinds`."""
    plan, image = design(view), _surface(rng, view, knobs)
    pose = Pose(degrees=rng.normal(0, 0.6), x=rng.uniform(-6, 6), y=rng.uniform(-6, 6))
    masks = [_DRAW[kind](image, rng, plan, knobs.contrast) for kind in kinds]
    return pose.picture(image), tuple(pose.mask(mask) for mask in masks)
