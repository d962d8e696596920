"""Pixels that every product needs: blending, light, sensor noise, encoding, and the true size of a mask.

All chance comes from the caller's generator; the only thing kept between calls is a plate of noise, always the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streams.workbench.plant.parts import Image, Knobs, Mask

SIDE = 512
FloatImage = npt.NDArray[np.float32]
_PLATE = 1024
_SUBPIXEL = 4  # OpenCV draws at 1/16 px


class Size(NamedTuple):
    """Of a mask, in pixels: sides of the smallest rectangle, area, centre."""

    length: float
    width: float
    area: float
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How a part lies under the camera: turned around its middle, then shifted, in px."""

    degrees: float
    x: float
    y: float

    def picture(self, field: Image) -> Image:
        """The (512, 512) view of a square field that is as large or larger."""
        done = cv2.warpAffine(field, self._matrix(field), (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
        return np.asarray(done, np.uint8)

    def mask(self, field: Mask) -> Mask:
        return np.asarray(cv2.warpAffine(field, self._matrix(field), (SIDE, SIDE), flags=cv2.INTER_NEAREST), np.uint8)

    def _matrix(self, field: Image) -> npt.NDArray[np.float64]:
        middle = field.shape[0] / 2
        matrix = np.asarray(cv2.getRotationMatrix2D((middle, middle), self.degrees, 1.0), np.float64)
        matrix[:, 2] += np.array([self.x, self.y]) - (field.shape[0] - SIDE) / 2
        return matrix


@cache
def noise_plate(sigma_px: float = 0.0, seed: int = 1) -> FloatImage:
    """Gaussian noise, float32 (1024, 1024), mean 0, deviation 1; sigma_px: its grain. Do not write into it."""
    noise = np.random.default_rng(seed).standard_normal((_PLATE, _PLATE)).astype(np.float32)
    if sigma_px:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT), np.float32)
    plate: FloatImage = (noise - noise.mean()) / noise.std()
    plate.flags.writeable = False
    return plate


def noise(rng: np.random.Generator, height: int, width: int, sigma_px: float = 0.0) -> FloatImage:
    """A random window of the plate, (height, width)."""
    top, left = rng.integers(_PLATE - height + 1), rng.integers(_PLATE - width + 1)
    return noise_plate(sigma_px)[top : top + height, left : left + width]


def box(alpha: Mask, margin: int = 2) -> tuple[slice, slice] | None:
    """Rows and columns around everything above zero; None where there is nothing."""
    x, y, w, h = cv2.boundingRect(alpha)
    if not w:
        return None
    return slice(max(0, y - margin), y + h + margin), slice(max(0, x - margin), x + w + margin)


def paint(image: Image, alpha: Mask, target: FloatImage | float | tuple[float, ...], opacity: float = 1.0) -> None:
    """Mix `target` (a value, a colour, or an array like image) into image where alpha (0..255) says so, in place."""
    where = box(alpha)
    if where is None:
        return
    share = alpha[where].astype(np.float32) * np.float32(opacity / 255)
    below = image[where].astype(np.float32)
    above = target[where] if isinstance(target, np.ndarray) else np.asarray(target, np.float32)
    share = share[..., None] if image.ndim == 3 else share
    image[where] = np.clip(below + share * (above - below) + 0.5, 0, 255).astype(np.uint8)


def shade(image: Image, change: FloatImage, at: tuple[int, int]) -> None:
    """Add `change` (grey levels, (h, w)) with its upper left corner at (row, column), in place, cut at the borders."""
    row, column = at
    rows = slice(max(0, row), min(image.shape[0], row + change.shape[0]))
    columns = slice(max(0, column), min(image.shape[1], column + change.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    piece = change[rows.start - row : rows.stop - row, columns.start - column : columns.stop - column]
    sum_ = image[rows, columns].astype(np.float32) + (piece[..., None] if image.ndim == 3 else piece)
    image[rows, columns] = np.clip(sum_ + 0.5, 0, 255).astype(np.uint8)


def fixed(*values: float) -> tuple[int, ...]:
    """Pixels as OpenCV's fixed-point numbers (use with shift=4)."""
    return tuple(round(value * (1 << _SUBPIXEL)) for value in values)


def polyline(alpha: Mask, points: npt.NDArray[np.floating], thickness: int, value: int = 255) -> None:
    """A smooth line through points (k, 2) in x, y."""
    line = np.round(points * (1 << _SUBPIXEL)).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(alpha, [line], False, (value,), thickness, cv2.LINE_AA, _SUBPIXEL)


def polygon(alpha: Mask, points: npt.NDArray[np.floating], value: int = 255) -> None:
    """A filled shape with corners (k, 2) in x, y."""
    outline = np.round(points * (1 << _SUBPIXEL)).astype(np.int32).reshape(-1, 1, 2)
    cv2.fillPoly(alpha, [outline], (value,), cv2.LINE_AA, _SUBPIXEL)


def solid(alpha: Mask, cut: int = 96) -> Mask:
    """The true mask (0 or 255) of a softly drawn defect."""
    return (alpha > cut).astype(np.uint8) * np.uint8(255)


def finish(image: Image, rng: np.random.Generator, knobs: Knobs, noise_level: float = 2.2) -> Image:
    """What lamp, lens and sensor do to a clean picture: level and slope of the light, blur, noise."""
    height, width = image.shape[:2]
    gain = knobs.light_gain * rng.uniform(0.94, 1.06)
    slope = rng.normal(0, 0.04, 2) + rng.choice([-1, 1]) * np.array([knobs.light_tilt, 0])
    across = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    light = (gain * (1 + slope[0] * across[None, :] + slope[1] * across[:height, None])).astype(np.float32)
    blur_px = float(np.hypot(rng.uniform(0.35, 0.6), knobs.blur_px))
    soft = np.asarray(cv2.GaussianBlur(image, (0, 0), blur_px), np.uint8)
    if knobs.dirt:
        soft = _through_dirt(soft, knobs.dirt)
    grain = noise(rng, height, width) * np.float32(noise_level * rng.uniform(0.8, 1.2))
    if image.ndim == 2:
        return np.asarray(cv2.add(cv2.multiply(soft, light, dtype=cv2.CV_32F), grain, dtype=cv2.CV_8U), np.uint8)
    planes = [cv2.add(cv2.multiply(soft[..., c], light, dtype=cv2.CV_32F), grain, dtype=cv2.CV_8U) for c in range(3)]
    return np.asarray(cv2.merge(planes), np.uint8)


@cache
def _smudges() -> FloatImage:
    """How much of the light the dirt on the lens scatters, 0..1, (512, 512, 1): always the same smudges."""
    rng = np.random.default_rng(3)
    thick = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(7):
        x, y, radius = *rng.uniform(60, SIDE - 60, 2), rng.uniform(30, 70)
        cv2.circle(thick, (round(x), round(y)), round(radius), (1.0,), -1, cv2.LINE_AA)
    share: FloatImage = np.clip(np.asarray(cv2.GaussianBlur(thick, (0, 0), 14), np.float32), 0, 1)
    share.flags.writeable = False
    return share


def _through_dirt(image: Image, dirt: float) -> Image:
    """Where dirt lies the lens blurs the picture and mixes its mean into it."""
    share = _smudges() * np.float32(dirt)
    veil = np.asarray(cv2.GaussianBlur(image, (0, 0), 5), np.float32) * np.float32(0.7) + np.float32(0.3 * image.mean())
    share = share[..., None] if image.ndim == 3 else share
    return np.asarray(np.clip(image + share * (veil - image) + 0.5, 0, 255), np.uint8)


def again(image: Image, rng: np.random.Generator, noise_level: float) -> Image:
    """The same picture with fresh sensor noise of so many grey levels."""
    grain = noise(rng, *image.shape[:2]) * np.float32(noise_level)
    return np.asarray(np.clip(image + (grain[..., None] if image.ndim == 3 else grain) + 0.5, 0, 255), np.uint8)


def encode(image: Image, suffix: str) -> bytes:
    """As `.jpg` (quality 92) or `.png`."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    done, data = cv2.imencode(suffix, image, options)
    if not done:
        raise ValueError(f"OpenCV cannot write {suffix}")
    return data.tobytes()


def measure(mask: Mask) -> Size:
    """Size of everything above zero. Raises ValueError for an empty mask."""
    points = cv2.findNonZero(mask)
    if points is None:
        raise ValueError("the mask is empty")
    (x, y), sides, _ = cv2.minAreaRect(points)
    long, short = max(sides) + 1, min(sides) + 1  # pixels have a width: their centres are one apart less
    return Size(float(long), float(short), float(len(points)), float(x) + 0.5, float(y) + 0.5)
