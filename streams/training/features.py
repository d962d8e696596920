"""What the trunk gives, and the numpy twins of the graph's idioms that heads are fitted with. Knows no ONNX.

Features: f4 (n, 24, 64, 64), f8 (n, 40, 32, 32), f16 (n, 112, 16, 16), f32 (n, 320, 8, 8), embedding (n, 992), float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Features = Mapping[str, FloatArray]

SIZE_PX = 256
LEVELS = {"f4": 24, "f8": 40, "f16": 112, "f32": 320}  # name -> channels; the number in the name is the stride
EMBEDDING_SIZE = 2 * sum(LEVELS.values())
TOP_FRACTION = 0.01


def stride(level: str) -> int:
    return int(level[1:])


def level_shape(level: str) -> list[int]:
    side = SIZE_PX // stride(level)
    return [LEVELS[level], side, side]


def rows(features: Features, chosen: BoolArray | IntArray | slice) -> dict[str, FloatArray]:
    return {name: array[chosen] for name, array in features.items()}


def positions(x: FloatArray) -> FloatArray:
    """(n, channels, h, w) -> (n, h * w, channels)."""
    return np.ascontiguousarray(x.reshape(len(x), x.shape[1], -1).transpose(0, 2, 1))


def l2_normalize(x: FloatArray, axis: int = 1) -> FloatArray:
    norm = np.sqrt((x * x).sum(axis, keepdims=True))
    return np.asarray(x / np.maximum(norm, np.float32(1e-12)), np.float32)


def smooth3(x: FloatArray) -> FloatArray:
    """3 x 3 mean that does not count the padding."""
    h, w = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    strips = padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]
    total = strips[..., :-2] + strips[..., 1:-1] + strips[..., 2:]
    count = np.full((h, w), 9.0, np.float32)
    count[[0, -1], :] *= 2 / 3
    count[:, [0, -1]] *= 2 / 3
    return np.asarray(total / count, np.float32)


def interpolation_matrix(size: int, factor: int) -> FloatArray:
    """Rows: output positions; bilinear with half-pixel centres and clamped borders."""
    position = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
    low = np.minimum(position.astype(int), size - 2)
    matrix = np.zeros((size * factor, size), np.float32)
    matrix[np.arange(size * factor), low] = 1 - (position - low)
    matrix[np.arange(size * factor), low + 1] = position - low
    return matrix


def upsample(x: FloatArray, factor: int) -> FloatArray:
    if factor == 1:
        return x
    matrix = interpolation_matrix(x.shape[-1], factor)
    enlarged: Any = matrix @ x @ matrix.T
    return np.asarray(enlarged, np.float32)


def top_mean(flat: FloatArray, fraction: float = TOP_FRACTION) -> FloatArray:
    """(n, positions) -> (n, 1): mean of the largest hundredth."""
    k = max(1, round(flat.shape[1] * fraction))
    return np.asarray(np.sort(flat, axis=1)[:, -k:].mean(1, keepdims=True), np.float32)


def softmax(logits: FloatArray) -> FloatArray:
    e = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True), np.float32)
