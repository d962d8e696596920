"""Fits what a data set allows for one product: anomaly, classification, segmentation. Knows no store and no server.

Features of the trunk are computed once an image. One model a stage over all views; calibration is kept for each view.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from schemas.common import canonical
from schemas.model_set import PreparationV1
from streams.capture.image import prepare, small_jpeg
from streams.fates import Unprocessable
from streams.monitors.dirt import top_ratio
from streams.training.dataset import GOOD, DataError, Dataset, Item
from streams.training.features import BoolArray, FloatArray, IntArray, rows
from streams.training.fitted import Fitted, FittedModel
from streams.training.folds import group_folds, spread
from streams.training.measure import CEILING
from streams.training.stages import (
    FOLDS,
    Alone,
    Images,
    NotEnough,
    fit_anomaly_model,
    fit_classes_model,
    fit_segments_model,
    judged,
)
from streams.training.taught import Taught
from streams.training.trunk import Trunk

_TELLING = 100  # good parts of a view
_OUTPUTS = ("f8", "f16", "f32", "embedding")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Most images of each kind that are used, spread over as many groups as there are.

    good: for the banks and their calibration. ok: of them, those that teach the class `good`. masks: in all.
    """

    good: int = 300
    defect: int = 40
    ok: int = 60
    masks: int = 48


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
    run = _Run(dataset, trunk, recipe or PreparationV1(), limits or Limits(), seed, clock)
    with threadpool_limits(1, user_api="blas"):  # at these sizes two threads mostly wait for each other
        run.look()
        run.anomaly()
        run.classes()
        run.segments()
    if not run.models:
        raise DataError(f"{product}: nothing can be fitted: {'; '.join(run.notes)}")
    return Fitted(
        product=product,
        preparation=run.recipe,
        trunk_id=trunk.id,
        data=_digest(run.items),
        models=tuple(run.models),
        thresholds=run.thresholds,
        images={kind: sum(item.kind == kind for item in run.items) for kind in dataset.kinds},
        notes=tuple(run.notes),
        timings_s=run.timings_s,
    )


class _Run:
    """One fit in progress: what its steps share, and what they have found so far."""

    images: Images
    features: dict[str, FloatArray]

    def __init__(
        self, dataset: Dataset, trunk: Trunk, recipe: PreparationV1, limits: Limits, seed: int, clock: Callable[[], float]
    ) -> None:
        self.trunk, self.recipe, self.limits = trunk, recipe, limits
        self.rng = np.random.default_rng(seed)
        self.models: list[FittedModel] = []
        self.notes = list(dataset.notes)
        self.thresholds: dict[str, float] = {}
        self.timings_s: dict[str, float] = {}
        self.normal: BoolArray | None = None
        self._clock = clock
        self.items = self._chosen(dataset)
        self.is_good = np.array([item.kind == GOOD for item in self.items], bool)

    def look(self) -> None:
        """Prepare all images and run them through the trunk: once, for all that follows."""
        with self._step("prepare"):
            self.images = np.stack([_prepared(item, self.recipe) for item in self.items])
        with self._step("trunk"):
            self.features = self.trunk.features(list(self.images), _OUTPUTS)

    def anomaly(self) -> None:
        good = [item for item in self.items if item.kind == GOOD]
        if not good:
            self.notes.append("no good parts: classification only, a pass does not exist")
            return
        with self._step("anomaly"):
            seen = rows(self.features, self.is_good)
            model, fitted = fit_anomaly_model(good, self.images[self.is_good], seen, self.trunk, self.rng)
            ranking, self.normal = judged(fitted, model, self.items, self.features)
            self.models.append(model if ranking is None else replace(model, metrics={"auroc": ranking}))
            self.notes += odd_normals(model.calibration)

    def classes(self) -> None:
        good = np.flatnonzero(self.is_good)
        ok = good[spread([self.items[i].group for i in good], self.limits.ok, self.rng)]
        used = np.sort(np.concatenate([ok, np.flatnonzero(~self.is_good)]))
        with self._step("classification"):
            model, thresholds = fit_classes_model(self._taught(used), self.trunk.id, self._alone(used))
            self.models.append(model)
            self.thresholds = dict(thresholds)
            weak = [name for name, threshold in thresholds.items() if threshold >= CEILING]
            self.notes += [f"{name}: no probability was right 95 times in 100, so it is hardly ever accepted" for name in weak]

    def _taught(self, used: IntArray) -> Taught:
        """Raises NotEnough where a group cannot be held out."""
        items = [self.items[i] for i in used]
        groups, labels = [item.group for item in items], [item.kind for item in items]
        if len(set(groups)) < 2 or len(set(labels)) < 2:
            raise NotEnough(f"no classification: {len(set(labels))} classes in {len(set(groups))} groups, two are needed of each")
        return Taught(
            embedding=self.features["embedding"][used],
            label=tuple(labels),
            group=tuple(groups),
            view=tuple(item.view for item in items),
            source=("",) * len(items),
            taxonomy=("",) * len(items),
            image=tuple(_sha256(item.read()) for item in items),
            fold=group_folds(groups, labels, FOLDS, self.rng),
            normal=None if self.normal is None else self.normal[used],
            thumbnail=tuple(small_jpeg(self.images[i]) for i in used),
        )

    def _alone(self, used: IntArray) -> Alone | None:
        if self.normal is not None:
            return None
        return Alone(weights=self.trunk.weights, images=self.images[used], embedding=self.features["embedding"][used])

    def segments(self) -> None:
        masked = [item for item in self.items if item.mask is not None]
        if not masked:
            self.notes.append("no masks: no segmentation")
            return
        with self._step("segmentation"):
            few = [masked[i] for i in _evenly(masked, self.limits.masks, self.rng)]
            good = [item for item in self.items if item.kind == GOOD]
            self.models.append(fit_segments_model(few, good, self.trunk, self.recipe, self.rng))

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        """Times it; a stage that the data do not allow becomes a note."""
        since = self._clock()
        try:
            yield
        except NotEnough as error:
            self.notes.append(str(error))
        self.timings_s[name] = round(self._clock() - since, 2)

    def _chosen(self, dataset: Dataset) -> list[Item]:
        chosen: list[Item] = []
        for kind in dataset.kinds:
            own = dataset.of(kind)
            most = self.limits.good if kind == GOOD else self.limits.defect
            if len(own) > most:
                self.notes.append(f"{kind}: {most} of {len(own)} images are used, spread over its groups")
            chosen += [own[i] for i in spread([item.group for item in own], most, self.rng)]
        return chosen


def odd_normals(calibration: Mapping[str, Sequence[float]]) -> list[str]:
    """A note for each view whose good parts look as if defective ones were among them: 5 % of clean views get one, too.

    calibration: scores by view. Below _TELLING scores nothing can be told.
    """
    found = {view: top_ratio(scores) for view, scores in calibration.items() if len(scores) >= _TELLING}
    return [
        f"{view}: the strangest 1 % of the good parts stand out ({dirt.ratio:.2f}, clean ones stay below {dirt.cut:.2f}): "
        "look at them, they may be defective"
        for view, dirt in found.items()
        if dirt.flagged
    ]


def _prepared(item: Item, recipe: PreparationV1) -> Images:
    try:
        return prepare(item.read(), recipe)
    except Unprocessable as error:
        raise DataError(f"{item.name}: {error}; remove or replace it") from error


def _evenly(items: Sequence[Item], most: int, rng: np.random.Generator) -> Iterable[int]:
    """As many of each class, spread over its groups."""
    kinds = sorted({item.kind for item in items})
    for kind in kinds:
        own = [i for i, item in enumerate(items) if item.kind == kind]
        yield from (own[k] for k in spread([items[i].group for i in own], max(1, most // len(kinds)), rng))


def _digest(items: Iterable[Item]) -> str:
    """SHA-256 of what was fitted on: label, group, view and bytes of each image and mask, in any order."""
    lines = sorted([item.kind, item.group, item.view, _sha256(item.read()), _sha256(item.read_mask() or b"")] for item in items)
    return _sha256(canonical(lines))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
