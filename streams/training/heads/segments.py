"""Segmentation head: a small perceptron for each pixel of the 64 x 64 grid, on the trunk's four levels.

The first product runs before the upsampling: both are linear and commute, which makes it 11 times less arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streams.training.features import LEVELS, SIZE_PX, Features, FloatArray, IntArray, positions, stride, upsample
from streams.training.graph import GraphBuilder

GRID = SIZE_PX // 4
HIDDEN = 128
NEEDS = tuple(LEVELS)
_WIDTH = sum(LEVELS.values())
_PIXELS_AN_IMAGE = 256  # kept of each image: half near the defect, half elsewhere
_BATCH, _DROPOUT, _PEAK_RATE, _DECAY = 1024, 0.2, 3e-3, 1e-2


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentHead:
    """first: level -> (128, channels), standardisation folded in; first_bias (128); second (K, 128); second_bias (K)."""

    classes: tuple[str, ...]
    first: Mapping[str, FloatArray]
    first_bias: FloatArray
    second: FloatArray
    second_bias: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Pixels:
    """x (n, 496): features of single pixels; target (n, K): share of the pixel's area that the defect covers."""

    x: FloatArray
    target: FloatArray


def sample_pixels(f: Features, masks: FloatArray, rng: np.random.Generator) -> Pixels:
    """Some pixels of each image. masks: (n, K, 64, 64) in 0..1."""
    xs, targets = [], []
    for i in range(len(masks)):
        x = _upsampled({name: f[name][i : i + 1] for name in LEVELS})[0].reshape(_WIDTH, -1)
        target = masks[i].reshape(len(masks[i]), -1).T
        positive = np.flatnonzero(target.max(1) > 0.05)
        negative = np.flatnonzero(target.max(1) <= 0.05)
        half = _PIXELS_AN_IMAGE // 2
        chosen = np.concatenate([rng.permutation(positive)[:half], rng.permutation(negative)[:half]])
        xs.append(x[:, chosen].T)
        targets.append(target[chosen])
    return Pixels(x=np.concatenate(xs), target=np.concatenate(targets))


def fit_segments(pixels: Pixels, classes: Sequence[str], steps: int, rng: np.random.Generator) -> SegmentHead:
    """AdamW with one cycle, a quarter of each batch positive. Raises ValueError where the masks hold no defect."""
    mean, std = pixels.x.mean(0), pixels.x.std(0) + np.float32(1e-6)
    z = pixels.x - mean
    z /= std
    p = [
        rng.uniform(-1, 1, (_WIDTH, HIDDEN)).astype(np.float32) / np.float32(np.sqrt(_WIDTH)),
        np.zeros(HIDDEN, np.float32),
        rng.uniform(-1, 1, (HIDDEN, len(classes))).astype(np.float32) / np.float32(np.sqrt(HIDDEN)),
        np.zeros(len(classes), np.float32),
    ]
    m, v = [np.zeros_like(a) for a in p], [np.zeros_like(a) for a in p]
    for step, chosen in enumerate(_batches(pixels.target, steps, rng)):
        rate = _rate(step, steps)
        for i, gradient in enumerate(_gradients(p, z[chosen], pixels.target[chosen], rng)):
            m[i] = 0.9 * m[i] + 0.1 * gradient
            v[i] = 0.999 * v[i] + 0.001 * gradient * gradient
            update = (m[i] / (1 - 0.9 ** (step + 1))) / (np.sqrt(v[i] / (1 - 0.999 ** (step + 1))) + 1e-8)
            p[i] = np.asarray(p[i] * (1 - rate * _DECAY) - rate * update, np.float32)
    return _folded(p, mean, std, classes)


def _batches(target: FloatArray, steps: int, rng: np.random.Generator) -> Iterator[IntArray]:
    largest = target.max(1)
    positive, negative = np.flatnonzero(largest > 0.3), np.flatnonzero(largest <= 0.3)
    if not len(positive) or not len(negative):
        raise ValueError("the masks hold no defect" if not len(positive) else "the masks hold nothing but defect")
    for _ in range(steps):
        yield np.concatenate([rng.choice(positive, _BATCH // 4), rng.choice(negative, _BATCH - _BATCH // 4)])


def _rate(step: int, steps: int) -> float:
    """Up over 30 % of the steps, then down along a cosine."""
    warm = 0.3 * steps
    share = step / warm if step < warm else (steps - step) / (steps - warm)
    return float(_PEAK_RATE * (0.04 + 0.96 * 0.5 * (1 - np.cos(np.pi * share))))


def _gradients(p: Sequence[FloatArray], x: FloatArray, target: FloatArray, rng: np.random.Generator) -> list[FloatArray]:
    """Of the mean binary cross-entropy, with dropout on the hidden layer."""
    h = x @ p[0] + p[1]
    keep = (rng.random(h.shape, np.float32) >= _DROPOUT).astype(np.float32) / np.float32(1 - _DROPOUT)
    r = np.maximum(h, 0) * keep
    d_logit = np.asarray((1 / (1 + np.exp(-(r @ p[2] + p[3]))) - target) / len(x), np.float32)
    d_h = (d_logit @ p[2].T) * keep * (h > 0)
    return [x.T @ d_h, d_h.sum(0), r.T @ d_logit, d_logit.sum(0)]


def _folded(p: Sequence[FloatArray], mean: FloatArray, std: FloatArray, classes: Sequence[str]) -> SegmentHead:
    w = np.asarray((p[0] / std[:, None]).T, np.float32)
    edges = np.cumsum([0, *LEVELS.values()])
    return SegmentHead(
        classes=tuple(classes),
        first={name: np.ascontiguousarray(w[:, edges[i] : edges[i + 1]]) for i, name in enumerate(LEVELS)},
        first_bias=np.asarray(p[1] - (mean / std) @ p[0], np.float32),
        second=np.ascontiguousarray(p[2].T),
        second_bias=p[3],
    )


def pixel_features(f: Features) -> FloatArray:
    """(n, 64 * 64, 496): all levels upsampled to stride 4. Serving never builds this: 8 MB an image."""
    return positions(_upsampled(f))


def _upsampled(f: Features) -> FloatArray:
    """(n, 496, 64, 64)."""
    return np.concatenate([upsample(f[name], stride(name) // 4) for name in LEVELS], 1)


def segments_reference(head: SegmentHead, f: Features) -> dict[str, FloatArray]:
    """What the graph must give, the long way: mask_logits (n, K, 64, 64)."""
    w = np.concatenate([head.first[name] for name in LEVELS], 1)
    logits = np.maximum(pixel_features(f) @ w.T + head.first_bias, 0) @ head.second.T + head.second_bias
    shape = (len(logits), GRID, GRID, len(head.classes))
    return {"mask_logits": np.ascontiguousarray(logits.reshape(shape).transpose(0, 3, 1, 2), np.float32)}


def add_segments(g: GraphBuilder, f: Mapping[str, str], head: SegmentHead) -> None:
    """Append the head and its output. f: names of the four levels."""
    total = ""
    for name in LEVELS:
        weight = g.const(head.first[name][:, :, None, None])
        inputs = (f[name], weight) if total else (f[name], weight, g.const(head.first_bias))
        level = g.upsample(g.op("Conv", *inputs, kernel_shape=[1, 1]), stride(name) // 4)
        total = g.op("Add", total, level) if total else level
    second = g.const(head.second[:, :, None, None])
    logits = g.op("Conv", g.op("Relu", total), second, g.const(head.second_bias), kernel_shape=[1, 1])
    g.output("mask_logits", logits, [len(head.classes), GRID, GRID])
