"""How good a fit is, on parts that it never saw: ranking, thresholds, overlap. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.policy import GOOD
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


@dataclass(frozen=True, kw_only=True, eq=False)
class LeftOut:
    """Predictions for groups left out. probabilities (n, K), NaN where there is none; shares: expected in production.

    normal: parts that the anomaly model would call normal; absent where there is none.
    """

    classes: Sequence[str]
    labels: Sequence[str]
    probabilities: FloatArray
    shares: Mapping[str, float]
    normal: BoolArray | None = None


def class_thresholds(seen: LeftOut) -> Mapping[str, float]:
    """Class -> the lowest probability from which on at least 95 % of those accepted in production would be right.

    Between 0.5 and 0.99: the lower end where all predictions were right, the upper one where the data show no such
    probability. Good is judged among normal parts alone: an anomalous one never passes, whatever its class.
    """
    known = ~np.isnan(seen.probabilities[:, 0])
    target = np.array([seen.classes.index(label) for label in seen.labels])
    per_class = np.bincount(target[known], minlength=len(seen.classes))
    weight = np.array([seen.shares[name] for name in seen.classes])[target] / np.maximum(per_class, 1)[target]
    best = seen.probabilities.argmax(1)
    found = {}
    for k, name in enumerate(seen.classes):
        chosen = known & (best == k)
        if name == GOOD and seen.normal is not None:
            chosen &= seen.normal
        found[name] = _threshold(seen.probabilities[chosen, k], target[chosen] == k, weight[chosen])
    return found


def _threshold(share: FloatArray, right: BoolArray, weight: FloatArray) -> float:
    order = np.argsort(-share, kind="stable")
    precision = np.cumsum((right * weight)[order]) / np.cumsum(weight[order])
    enough = np.flatnonzero(precision >= PRECISION)
    if not len(enough):
        return CEILING
    last = int(enough[-1])
    if last == len(order) - 1:
        return FLOOR
    between = float(share[order][last] + share[order][last + 1]) / 2  # the next one would be one error too many
    return round(float(np.clip(between, FLOOR, CEILING)), 4)


def class_metrics(seen: LeftOut, thresholds: Mapping[str, float]) -> dict[str, float]:
    """accuracy over all classes alike; accepted_good: share of the good parts that are accepted as such."""
    known = ~np.isnan(seen.probabilities[:, 0])
    target = np.array([seen.classes.index(label) for label in seen.labels])
    right = seen.probabilities.argmax(1) == target
    present = [k for k in range(len(seen.classes)) if (known & (target == k)).any()]
    if not present:
        return {}
    metrics = {"accuracy": float(np.mean([right[known & (target == k)].mean() for k in present]))}
    if GOOD in seen.classes and (k := seen.classes.index(GOOD)) in present:
        good = known & (target == k)
        metrics["accepted_good"] = float((right & (seen.probabilities[:, k] >= thresholds[GOOD]))[good].mean())
    return metrics


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
