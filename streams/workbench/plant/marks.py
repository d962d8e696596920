"""Shapes of damage that more than one product shows: lines, blobs, dents. Draws coverage, knows no material."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streams.workbench.plant.canvas import FloatImage, polygon
from streams.workbench.plant.parts import Mask

Points = npt.NDArray[np.float64]


def stroke(rng: np.random.Generator, x: float, y: float, length: float, angle: float, bend: float = 0.12) -> Points:
    """A slightly bent line with its middle at (x, y): (9, 2) points in x, y."""
    along = np.linspace(-0.5, 0.5, 9)
    off = bend * rng.normal() * (along**2 - 0.08) + 0.004 * rng.normal(size=9).cumsum()
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([x + length * (along * cos - off * sin), y + length * (along * sin + off * cos)], 1)


def blob(rng: np.random.Generator, x: float, y: float, radius: float, rough: float = 0.25, stretch: float = 1.0) -> Points:
    """The outline of an irregular spot: (40, 2) points in x, y."""
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    reach = np.ones(40)
    for wave in range(2, 6):
        reach += rough / wave * rng.normal() * np.cos(wave * turn + rng.uniform(0, 2 * np.pi))
    reach = radius * np.maximum(reach, 0.35)
    tilt = rng.uniform(0, np.pi)
    u, v = reach * np.cos(turn) * stretch, reach * np.sin(turn) / stretch
    return np.stack([x + u * np.cos(tilt) - v * np.sin(tilt), y + u * np.sin(tilt) + v * np.cos(tilt)], 1)


def spot(alpha: Mask, outline: Points, soft_px: float = 0.0) -> None:
    """Fill an outline into alpha, its border softened; only the pixels around it are touched."""
    reach = int(3 * soft_px) + 2
    left, top = np.maximum(np.floor(outline.min(0)).astype(int) - reach, 0)
    right, bottom = np.ceil(outline.max(0)).astype(int) + reach
    window = alpha[top:bottom, left:right]
    if not window.size:
        return
    piece = np.zeros_like(window)
    polygon(piece, outline - (left, top))
    if soft_px:
        piece = np.asarray(cv2.GaussianBlur(piece, (0, 0), soft_px), np.uint8)
    np.maximum(window, piece, out=window)


def hollow(radius: float, light_angle: float) -> tuple[FloatImage, Mask]:
    """A dent lit from one side: change of grey in -1..1, (2k+1, 2k+1), and its mask, centred."""
    k = int(np.ceil(radius * 1.3))
    y, x = np.mgrid[-k : k + 1, -k : k + 1].astype(np.float32) / np.float32(radius)
    distance = np.hypot(x, y)
    slope = np.exp(-((distance - 0.62) ** 2) / 0.09)
    lit = (x * np.cos(light_angle) + y * np.sin(light_angle)) / np.maximum(distance, 1e-3)
    return (lit * slope - 0.25 * np.exp(-(distance**2) / 0.2)).astype(np.float32), (distance <= 1).astype(np.uint8) * 255
