"""The three fits: what each needs of the data, its model, its honest numbers. Raises NotEnough where the data do not allow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.common import Stage
from schemas.model_set import PreparationV1
from streams.judgement.conformal import smallest_alpha, threshold_for
from streams.training.checkpoint import Weights
from streams.training.dataset import GOOD, Item
from streams.training.export import Head, embedding_model, image_model, largest_difference, offline, reference
from streams.training.features import BoolArray, Features, FloatArray, rows
from streams.training.fitted import JUDGED, TOLERANCE, FittedModel, Probes
from streams.training.folds import group_folds
from streams.training.heads import anomaly, classes, segments
from streams.training.heads.segments import Pixels, fit_segments, sample_pixels, segments_reference
from streams.training.image_reference import image_reference
from streams.training.measure import LeftOut, auroc, best_cut, class_metrics, class_thresholds
from streams.training.taught import Taught
from streams.training.trunk import Trunk
from streams.training.windows import Cut, clean_cut, cuts

Images = npt.NDArray[np.uint8]

FOLDS = 5
PROBES = 6
CALIBRATION_LIMIT = 2000
MIN_GOOD_GROUPS = 5
MIN_MASKS = 3
EXPECTED_GOOD = 0.8
_WINDOWS = 128  # of masks, moved and turned ones included: 12 ms each
_CLEAN_WINDOWS = 24
_TRIAL_WINDOWS = 40
_CHUNK = 16
_STEPS, _TRIAL_STEPS = 300, 150


class NotEnough(Exception):
    """The data do not allow this stage: why, in plain words."""


class ParityError(Exception):
    """Two computations that must agree differ by more than the tolerance: the version is refused."""


def fit_anomaly_model(
    good: Sequence[Item], images: Images, features: Features, trunk: Trunk, rng: np.random.Generator
) -> tuple[FittedModel, anomaly.FittedAnomaly]:
    """good: the items that images (n, 256, 256, 3) and their features belong to."""
    groups = [item.group for item in good]
    if len(set(groups)) < MIN_GOOD_GROUPS:
        raise NotEnough(f"no anomaly model: {len(set(groups))} good parts, at least {MIN_GOOD_GROUPS} are needed")
    folds = group_folds(groups, [GOOD] * len(good), FOLDS, rng)
    fitted = anomaly.fit_anomaly(features, folds, rng)
    onnx = image_model(trunk.weights, fitted.head, trunk.id)
    probes = _probes("anomaly", onnx, fitted.head, "image", images, features)
    views = sorted({item.view for item in good})
    calibration = {view: _calibration(fitted.scores[[item.view == view for item in good]], rng) for view in views}
    own = {view: images[[item.view == view for item in good]] for view in views}
    looks = {view: image_reference(list(shown)) for view, shown in own.items() if len(shown) > 1}
    model = FittedModel(stage="anomaly", kind="anomaly", onnx=onnx, probes=probes, calibration=calibration, image=looks)
    return model, fitted


def judged(
    fitted: anomaly.FittedAnomaly, model: FittedModel, items: Sequence[Item], features: Features
) -> tuple[float | None, BoolArray]:
    """(AUROC, which items are normal at the smallest alpha) of all items; no score comes from banks that hold the item.

    items: good ones in the order of the fit, with any others between them. Views without good parts count as not normal.
    """
    is_good = np.array([item.kind == GOOD for item in items], bool)
    scores = np.empty(len(items), np.float32)
    scores[is_good] = fitted.scores
    if not is_good.all():
        scores[~is_good] = anomaly.anomaly_reference(fitted.head, rows(features, ~is_good))["score"][:, 0]
    limits = {view: threshold_for(smallest_alpha(len(own)), own) for view, own in model.calibration.items()}
    normal = np.array([score <= limits.get(item.view, -np.inf) for item, score in zip(items, scores, strict=True)], bool)
    return None if is_good.all() else auroc(scores[is_good], scores[~is_good]), normal


def _calibration(scores: FloatArray, rng: np.random.Generator) -> tuple[float, ...]:
    chosen = scores if len(scores) <= CALIBRATION_LIMIT else rng.choice(scores, CALIBRATION_LIMIT, replace=False)
    return tuple(sorted(round(float(score), 6) for score in chosen))


@dataclass(frozen=True, kw_only=True, eq=False)
class Alone:
    """For a classifier that takes the image itself: the trunk, and some images (n, 256, 256, 3) with their embeddings."""

    weights: Weights
    images: Images
    embedding: FloatArray


def fit_classes_model(rows: Taught, trunk_id: str, alone: Alone | None) -> tuple[FittedModel, Mapping[str, float]]:
    """The model and its thresholds. alone: where no anomaly model gives the embedding."""
    kinds = sorted(set(rows.label))
    if len(kinds) < 2:
        raise NotEnough(f"no classification: {len(kinds)} classes, at least 2 are needed")
    if len(set(rows.group)) < 2:
        raise NotEnough("no classification: all images belong to one group")
    shares = expected_shares(kinds)
    fitted = classes.fit_classes(rows.embedding, rows.label, rows.fold, shares)
    head = fitted.head
    seen = LeftOut(classes=head.classes, labels=rows.label, probabilities=fitted.probabilities, shares=shares, normal=rows.normal)
    thresholds = class_thresholds(seen)
    if alone is None:
        onnx = embedding_model(head, trunk_id)
        probes = _probes("classification", onnx, head, "embedding", rows.embedding, {"embedding": rows.embedding})
    else:
        onnx = image_model(alone.weights, head, trunk_id)
        probes = _probes("classification", onnx, head, "image", alone.images, {"embedding": alone.embedding})
    model = FittedModel(
        stage="classification",
        kind="classify" if alone is None else "classify-image",
        onnx=onnx,
        probes=probes,
        classes=head.classes,
        ok_parts=rows.parts(GOOD),
        metrics=class_metrics(seen, thresholds),
        taught=rows,
    )
    return model, thresholds


def expected_shares(kinds: Sequence[str]) -> dict[str, float]:
    """Until somebody counts: four good parts in five, all defect classes alike."""
    defects = [kind for kind in kinds if kind != GOOD]
    good = EXPECTED_GOOD if GOOD in kinds else 0.0
    return {kind: good if kind == GOOD else (1 - good) / len(defects) for kind in kinds}


def fit_segments_model(
    masked: Sequence[Item], good: Sequence[Item], trunk: Trunk, recipe: PreparationV1, rng: np.random.Generator
) -> FittedModel:
    """masked: items with a mask. A trial without a fifth of the groups chooses the cut and gives the F1; then all of them fit."""
    names = _segment_classes(masked)
    items = [item for item in masked if item.kind in names]
    variants = max(1, min(8, _WINDOWS // len(items)))
    made = [list(cuts(item, names, recipe, variants, rng)) for item in items]
    clean = [clean_cut(good[int(i)], len(names), recipe, rng) for i in rng.permutation(len(good))[:_CLEAN_WINDOWS]]
    held = _held_out(items, rng)
    kept_cuts = [cut for own, out in zip(made, held, strict=True) if not out for cut in own] + clean
    held_cuts = [cut for own, out in zip(made, held, strict=True) if out for cut in own]
    if not any(cut.mask.any() for cut in kept_cuts):
        raise NotEnough("no segmentation: the masks are empty")
    kept = _pixels(kept_cuts, trunk, rng)
    cut, f1 = _trial(kept, held_cuts, names, trunk, rng)
    pixels = _together([kept, _pixels(held_cuts, trunk, rng)]) if held_cuts else kept
    head = fit_segments(pixels, names, _STEPS, rng)
    onnx = image_model(trunk.weights, head, trunk.id)
    shown = np.stack([cut.image for cut in kept_cuts[:PROBES]])
    features = trunk.features(list(shown), segments.NEEDS)
    return FittedModel(
        stage="segmentation",
        kind="segment",
        onnx=onnx,
        probes=_probes("segmentation", onnx, head, "image", shown, features),
        classes=names,
        cut=cut,
        metrics={} if f1 is None else {"f1": f1},
    )


def _segment_classes(masked: Sequence[Item]) -> tuple[str, ...]:
    counts = {kind: sum(item.kind == kind for item in masked) for kind in sorted({item.kind for item in masked})}
    enough = tuple(kind for kind, count in counts.items() if count >= MIN_MASKS)
    if not enough:
        raise NotEnough(f"no segmentation: at least {MIN_MASKS} masks of a class are needed")
    return enough


def _held_out(items: Sequence[Item], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    groups = [item.group for item in items]
    if len(set(groups)) < FOLDS:
        return np.zeros(len(items), bool)
    return np.asarray(group_folds(groups, [item.kind for item in items], FOLDS, rng) == 0)


def _trial(
    kept: Pixels, held: Sequence[Cut], names: Sequence[str], trunk: Trunk, rng: np.random.Generator
) -> tuple[float, float | None]:
    """(cut, F1 at it) on windows of groups left out; 0 and nothing where there are none."""
    held = [held[int(i)] for i in rng.permutation(len(held))[:_TRIAL_WINDOWS]]
    if not any(cut.mask.any() for cut in held):
        return 0.0, None
    head = fit_segments(kept, names, _TRIAL_STEPS, rng)
    logits = segments_reference(head, trunk.features([cut.image for cut in held], segments.NEEDS))["mask_logits"]
    return best_cut(logits, np.stack([cut.mask for cut in held]))


def _pixels(made: Sequence[Cut], trunk: Trunk, rng: np.random.Generator) -> Pixels:
    """In chunks: the features of one window fill 8 MB."""
    parts = []
    for start in range(0, len(made), _CHUNK):
        chunk = made[start : start + _CHUNK]
        features = trunk.features([cut.image for cut in chunk], segments.NEEDS)
        parts.append(sample_pixels(features, np.stack([cut.mask for cut in chunk]), rng))
    return _together(parts)


def _together(parts: Sequence[Pixels]) -> Pixels:
    return Pixels(x=np.concatenate([part.x for part in parts]), target=np.concatenate([part.target for part in parts]))


def _probes(stage: Stage, onnx: bytes, head: Head, name: str, inputs: npt.NDArray[np.generic], features: Features) -> Probes:
    """Some inputs with the file's own answers, which must agree with the head's numpy reference (ParityError)."""
    chosen = np.linspace(0, len(inputs) - 1, min(PROBES, len(inputs))).astype(np.int64)
    answers = offline(onnx, {name: inputs[chosen]})
    off = largest_difference(
        {JUDGED[stage]: answers[JUDGED[stage]]}, {JUDGED[stage]: reference(head, rows(features, chosen))[JUDGED[stage]]}
    )
    if off[JUDGED[stage]] > TOLERANCE[stage]:
        raise ParityError(f"{stage}: the exported file differs from its reference by {off[JUDGED[stage]]:.3g}")
    return Probes(input=name, images=inputs[chosen], output=JUDGED[stage], expected=answers[JUDGED[stage]])
