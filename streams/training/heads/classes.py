"""Classification head: multinomial logistic regression on the trunk's embedding. Knows no threshold.

Temperature: C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017, on logits of groups left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streams.training.features import Features, FloatArray, IntArray, softmax
from streams.training.graph import GraphBuilder
from streams.training.heads.logistic import fit_logistic

NEEDS = ("embedding",)
C = 0.1  # inverse strength of regularisation


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassHead:
    """weight (992, K), bias (K): standardisation, temperature and expected shares are folded in."""

    classes: tuple[str, ...]
    weight: FloatArray
    bias: FloatArray
    temperature: float


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedClasses:
    """probabilities (n, K): of the images it was fitted on, from fits without their group; NaN where a fold had no such fit."""

    head: ClassHead
    probabilities: FloatArray


def fit_classes(embedding: FloatArray, labels: Sequence[str], folds: IntArray, shares: Mapping[str, float]) -> FittedClasses:
    """labels: at least two classes (ValueError). folds: of each image, whole groups together.

    shares: class -> how often it is expected in production, summing to 1. The images are no sample of production, so the fit
    weighs all classes alike, and the probabilities are moved to these shares (M. Saerens et al., Neural Computation 14, 2002).
    """
    classes, target = np.unique(np.asarray(labels), return_inverse=True)
    if len(classes) < 2:
        raise ValueError("need at least two classes")
    mean, std = embedding.mean(0), embedding.std(0) + np.float32(1e-6)
    z = np.asarray((embedding - mean) / std, np.float32)
    logits = _out_of_fold(z, target, folds, len(classes))
    known = ~np.isnan(logits[:, 0])
    temperature = fit_temperature(logits[known], target[known]) if known.any() else 1.0
    w, b = fit_logistic(z, target, len(classes), C)
    moved = np.log([shares[str(name)] * len(classes) for name in classes])
    head = ClassHead(
        classes=tuple(map(str, classes)),
        weight=np.asarray(w / std[:, None] / temperature, np.float32),
        bias=np.asarray((b - (mean / std) @ w) / temperature + moved, np.float32),
        temperature=temperature,
    )
    return FittedClasses(head=head, probabilities=softmax(np.asarray(logits / temperature + moved, np.float32)))


def _out_of_fold(z: FloatArray, target: IntArray, folds: IntArray, classes: int) -> FloatArray:
    logits = np.full((len(z), classes), np.nan, np.float32)
    for fold in np.unique(folds):
        out = folds == fold
        if len(np.unique(target[~out])) == classes:
            w, b = fit_logistic(z[~out], target[~out], classes, C)
            logits[out] = z[out] @ w + b
    return logits


def fit_temperature(logits: FloatArray, target: IntArray) -> float:
    """The scalar >= 0.5 that minimises the negative log-likelihood (golden section on its logarithm).

    Bounded below: where every left-out image was right, the likelihood would make each answer a certainty.
    """

    def loss(log_t: float) -> float:
        p = softmax(np.asarray(logits / np.exp(log_t), np.float32))
        return float(-np.log(np.maximum(p[np.arange(len(target)), target], 1e-9)).mean())

    low, high, ratio = float(np.log(0.5)), 3.0, (5**0.5 - 1) / 2
    while high - low > 1e-3:
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return float(np.exp((low + high) / 2))


def classes_reference(head: ClassHead, f: Features) -> dict[str, FloatArray]:
    """What the graph must give: logits and probabilities (n, K)."""
    logits = np.asarray(f["embedding"] @ head.weight + head.bias, np.float32)
    return {"logits": logits, "probabilities": softmax(logits)}


def add_classes(g: GraphBuilder, f: Mapping[str, str], head: ClassHead) -> None:
    """Append the head and its two outputs. f: name of the embedding."""
    logits = g.op("Gemm", f["embedding"], g.const(head.weight), g.const(head.bias))
    g.output("logits", logits, [len(head.classes)])
    g.output("probabilities", g.op("Softmax", logits, axis=1), [len(head.classes)])
