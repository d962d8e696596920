"""How good a fit is, on parts that it never saw: ranking, thresholds, overlap. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from streams.training.features import BoolArray, FloatArray

PRECISION = 0.95
FLOOR, CEILING = 0.5, 0.99


def auroc(good: FloatArray, bad: FloatArray) -> float:
    """Share of pairs in which the bad one scores higher, ties half. NaN-free input; raises ValueError where one side is empty."""
    if not len(good) or not len(bad):
        raise ValueError("needs both good and bad scores")
    ordered = np.sort(good)
    below = np.searchsorted(ordered, bad, "left") + np.searchsorted(ordered, bad, "right")
    return float(below.sum() / (2 * len(good) * len(bad)))


def class_thresholds(probabilities: FloatArray, labels: Sequence[str], classes: Sequence[str]) -> Mapping[str, float]:
    """Class -> the lowest probability from which on at least 95 % of the predictions of groups left out were right.

    Between 0.5 and 0.99: the lower end where all predictions were right, the upper one where the data show no such
    probability. Rows of NaN count as not seen.
    """
    seen = ~np.isnan(probabilities[:, 0])
    best, share = probabilities[seen].argmax(1), probabilities[seen].max(1)
    target = np.array([classes.index(label) for label in labels])[seen]
    return {name: _threshold(share[best == k], (target == k)[best == k]) for k, name in enumerate(classes)}


def _threshold(share: FloatArray, right: BoolArray) -> float:
    order = np.argsort(-share, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(precision >= PRECISION)
    if not len(enough):
        return CEILING
    last = int(enough[-1])
    if last == len(order) - 1:
        return FLOOR
    between = float(share[order][last] + share[order][last + 1]) / 2  # the next one would be one error too many
    return round(float(np.clip(between, FLOOR, CEILING)), 4)


def accuracy(probabilities: FloatArray, labels: Sequence[str], classes: Sequence[str]) -> float:
    seen = ~np.isnan(probabilities[:, 0])
    target = np.array([classes.index(label) for label in labels])[seen]
    return float((probabilities[seen].argmax(1) == target).mean()) if len(target) else 0.0


def best_cut(logits: FloatArray, target: FloatArray) -> tuple[float, float]:
    """(logit above which a cell belongs to a mask, F1 that it gives) over all classes together. target: area shares."""
    strongest, truth = logits.max(1).ravel(), target.max(1).ravel() > 0.5
    found = [(_f1(strongest > cut, truth), float(cut)) for cut in np.arange(-2, 2.01, 0.25)]
    f1, cut = max(found, key=lambda pair: (pair[0], -abs(pair[1])))
    return cut, f1


def _f1(got: BoolArray, want: BoolArray) -> float:
    both = int((got & want).sum())
    total = int(got.sum()) + int(want.sum())
    return 2 * both / total if total else 0.0
