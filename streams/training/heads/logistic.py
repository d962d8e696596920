"""Multinomial logistic regression with an L2 penalty, classes weighed alike. Knows no image.

The optimum is unique (the penalised loss is strictly convex in the weights), found by L-BFGS: D. Liu, J. Nocedal, On the
limited memory BFGS method, Mathematical Programming 45 (1989) 503. scikit-learn finds the same; importing it takes longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from streams.training.features import FloatArray, IntArray

Vector = npt.NDArray[np.float64]
Loss = Callable[[Vector], tuple[float, Vector]]

_MEMORY, _STEPS, _TOLERANCE = 10, 500, 1e-5


def fit_logistic(x: FloatArray, target: IntArray, classes: int, c: float) -> tuple[FloatArray, FloatArray]:
    """x (n, d); target (n,) in 0..classes-1, each class at least once. Gives weights (d, K) and intercepts (K).

    Minimises |W|^2 / 2 + c * sum of the weighed cross-entropies; intercepts are free.
    """
    best = minimise(penalised_loss(x, target, classes, c), np.zeros((x.shape[1] + 1) * classes))
    weights = best.reshape(-1, classes).astype(np.float32)
    return weights[:-1], weights[-1]


def penalised_loss(x: FloatArray, target: IntArray, classes: int, c: float) -> Loss:
    """Value and gradient at weights and intercepts, stacked (d + 1, K) and flattened."""
    n = len(x)
    rows = np.hstack([x, np.ones((n, 1), np.float32)]).astype(np.float64)
    weight = c * n / (classes * np.bincount(target, minlength=classes))[target]
    hit = (np.arange(n), target)

    def loss(flat: Vector) -> tuple[float, Vector]:
        w = flat.reshape(-1, classes)
        logits = rows @ w
        logits -= logits.max(1, keepdims=True)
        exp = np.exp(logits)
        total = exp.sum(1)
        value = float((weight * (np.log(total) - logits[hit])).sum() + 0.5 * (w[:-1] ** 2).sum())
        error = exp / total[:, None]
        error[hit] -= 1
        gradient = rows.T @ (error * weight[:, None])
        gradient[:-1] += w[:-1]
        return value, gradient.ravel()

    return loss


def minimise(loss: Loss, start: Vector) -> Vector:
    """Until no component of the gradient exceeds 1e-5 of what it was at the start, at most 500 steps."""
    at, (value, gradient) = start, loss(start)
    goal = _TOLERANCE * max(1.0, float(np.abs(gradient).max()))
    pairs: deque[tuple[Vector, Vector]] = deque(maxlen=_MEMORY)
    for _ in range(_STEPS):
        if float(np.abs(gradient).max()) <= goal:
            break
        direction = -_two_loops(gradient, pairs)
        slope, step = float(gradient @ direction), 1.0
        if not pairs:
            step = min(1.0, 1.0 / float(np.abs(gradient).sum()))
        for _ in range(40):
            new_value, new_gradient = loss(at + step * direction)
            if new_value <= value + 1e-4 * step * slope:
                break
            step /= 2
        else:
            break  # no further descent at this precision
        moved, turned = step * direction, new_gradient - gradient
        if float(moved @ turned) > 0:
            pairs.append((moved, turned))
        at, value, gradient = at + moved, new_value, new_gradient
    return at


def _two_loops(gradient: Vector, pairs: deque[tuple[Vector, Vector]]) -> Vector:
    """The gradient times the inverse Hessian that the last moves suggest."""
    q, shares = gradient.copy(), []
    for moved, turned in reversed(pairs):
        share = float(moved @ q) / float(moved @ turned)
        shares.append(share)
        q -= share * turned
    if pairs:
        moved, turned = pairs[-1]
        q *= float(moved @ turned) / float(turned @ turned)
    for (moved, turned), share in zip(pairs, reversed(shares), strict=True):
        q += moved * (share - float(turned @ q) / float(moved @ turned))
    return q
