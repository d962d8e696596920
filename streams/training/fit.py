"""Fits what a data set allows for one product: anomaly, classification, segmentation. Knows no store and no server.

Features of the trunk are computed once an image. One model a stage over all views; calibration is kept for each view.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from schemas.common import canonical
from schemas.model_set import PreparationV1
from streams.capture.image import prepare
from streams.fates import Unprocessable
from streams.training.dataset import GOOD, DataError, Dataset, Item
from streams.training.features import FloatArray, IntArray, rows
from streams.training.fitted import Fitted, FittedModel
from streams.training.folds import spread
from streams.training.stages import (
    Images,
    NotEnough,
    anomaly_auroc,
    fit_anomaly_model,
    fit_classes_model,
    fit_segments_model,
)
from streams.training.trunk import Trunk

_OUTPUTS = ("f8", "f16", "f32", "embedding")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Most images of each kind that are used, spread over as many groups as there are.

    good: for the banks and their calibration. ok: of them, those that teach the class `good`. masks: in all.
    """

    good: int = 400
    defect: int = 40
    ok: int = 60
    masks: int = 48


@dataclass
class _Run:
    """One fit in progress: what is shared by its steps."""

    rng: np.random.Generator
    clock: Callable[[], float]
    notes: list[str] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)
    models: list[FittedModel] = field(default_factory=list)

    def timed(self, step: str, since: float) -> None:
        self.timings_s[step] = round(self.clock() - since, 2)


def fit_product(
    dataset: Dataset,
    product: str,
    trunk: Trunk,
    *,
    seed: int = 0,
    recipe: PreparationV1 | None = None,
    limits: Limits | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> Fitted:
    """The same data, seed and versions give the same models. Raises DataError where nothing at all can be fitted.

    clock: seconds, only to tell how long each step took.
    """
    recipe, limits = recipe or PreparationV1(), limits or Limits()
    run = _Run(rng=np.random.default_rng(seed), clock=clock, notes=list(dataset.notes))
    items = _chosen(dataset, limits, run)
    since = clock()
    images = np.stack([_prepared(item, recipe) for item in items])
    run.timed("prepare", since)
    since = clock()
    features = trunk.features(list(images), _OUTPUTS)
    run.timed("trunk", since)
    _anomaly(items, images, features, trunk, run)
    thresholds = _classes(items, images, features, trunk, limits, run)
    _segments(items, trunk, recipe, limits, run)
    if not run.models:
        raise DataError(f"{product}: nothing can be fitted: {'; '.join(run.notes)}")
    return Fitted(
        product=product,
        preparation=recipe,
        trunk_id=trunk.id,
        data=_digest(items),
        models=tuple(run.models),
        thresholds=thresholds,
        images={kind: sum(item.kind == kind for item in items) for kind in dataset.kinds},
        notes=tuple(run.notes),
        timings_s=run.timings_s,
    )


def _chosen(dataset: Dataset, limits: Limits, run: _Run) -> list[Item]:
    chosen: list[Item] = []
    for kind in dataset.kinds:
        own = dataset.of(kind)
        most = limits.good if kind == GOOD else limits.defect
        if len(own) > most:
            run.notes.append(f"{kind}: {most} of {len(own)} images are used, spread over its groups")
        chosen += [own[i] for i in spread([item.group for item in own], most, run.rng)]
    return chosen


def _prepared(item: Item, recipe: PreparationV1) -> Images:
    try:
        return prepare(item.read(), recipe)
    except Unprocessable as error:
        raise DataError(f"{item.name}: {error}; remove or replace it") from error


def _anomaly(items: Sequence[Item], images: Images, features: dict[str, FloatArray], trunk: Trunk, run: _Run) -> None:
    since = run.clock()
    is_good = np.array([item.kind == GOOD for item in items])
    good = [item for item in items if item.kind == GOOD]
    if not good:
        run.notes.append("no good parts: classification only, a pass does not exist")
        return
    try:
        model, head = fit_anomaly_model(good, images[is_good], rows(features, is_good), trunk, run.rng)
    except NotEnough as error:
        run.notes.append(str(error))
        return
    if not is_good.all():
        model = _measured(model, auroc=anomaly_auroc(head, model, rows(features, ~is_good)))
    run.models.append(model)
    run.timed("anomaly", since)


def _classes(
    items: Sequence[Item], images: Images, features: dict[str, FloatArray], trunk: Trunk, limits: Limits, run: _Run
) -> dict[str, float]:
    since = run.clock()
    used = _for_classes(items, limits, run.rng)
    try:
        model, thresholds = fit_classes_model(
            [items[i] for i in used], images[used], rows(features, used), trunk, alone=not run.models, rng=run.rng
        )
    except NotEnough as error:
        run.notes.append(str(error))
        return {}
    run.models.append(model)
    run.notes += [f"{name}: no threshold gives 95 % precision" for name, value in thresholds.items() if value >= 0.99]
    run.timed("classification", since)
    return dict(thresholds)


def _for_classes(items: Sequence[Item], limits: Limits, rng: np.random.Generator) -> IntArray:
    good = [i for i, item in enumerate(items) if item.kind == GOOD]
    ok = [good[k] for k in spread([items[i].group for i in good], limits.ok, rng)]
    return np.array(sorted([*ok, *(i for i, item in enumerate(items) if item.kind != GOOD)]), np.int64)


def _segments(items: Sequence[Item], trunk: Trunk, recipe: PreparationV1, limits: Limits, run: _Run) -> None:
    since = run.clock()
    masked = [item for item in items if item.mask is not None]
    if not masked:
        run.notes.append("no masks: no segmentation")
        return
    masked = [masked[i] for i in _evenly(masked, limits.masks, run.rng)]
    try:
        run.models.append(fit_segments_model(masked, [item for item in items if item.kind == GOOD], trunk, recipe, run.rng))
    except NotEnough as error:
        run.notes.append(str(error))
        return
    run.timed("segmentation", since)


def _evenly(items: Sequence[Item], most: int, rng: np.random.Generator) -> Iterable[int]:
    """As many of each class, spread over its groups."""
    kinds = sorted({item.kind for item in items})
    for kind in kinds:
        own = [i for i, item in enumerate(items) if item.kind == kind]
        yield from (own[k] for k in spread([items[i].group for i in own], max(1, most // len(kinds)), rng))


def _measured(model: FittedModel, **metrics: float) -> FittedModel:
    return replace(model, metrics={**model.metrics, **metrics})


def _digest(items: Iterable[Item]) -> str:
    """SHA-256 of what was fitted on: label, group, view and bytes of each image and mask, in any order."""
    lines = sorted([item.kind, item.group, item.view, _sha256(item.read()), _sha256(item.read_mask() or b"")] for item in items)
    return _sha256(canonical(lines))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
