"""What a classifier sees of labelled images: computed once, and found again beside the versions that learned from them.

Images are gone from Kafka after hours, labels stay for years: a row that any version of the classifier has kept is as good as the
image, as long as trunk and preparation are the same. Its `normal` is what the anomaly model of that time said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from schemas.common import ImageRef
from schemas.model_set import ModelSetV1, ModelV1
from streams.capture.image import prepare, recipe_digest, small_jpeg
from streams.fates import Unprocessable
from streams.judgement.conformal import smallest_alpha, threshold_for
from streams.training.features import EMBEDDING_SIZE, FloatArray
from streams.training.taught import Taught, chosen, joined, taught
from streams.training.trunk import load_trunk, session
from streams.training.truth import Example
from streams.wiring.adapters.model_store import ModelStore

_BATCH = 8


class Kept(Protocol):
    """Where images lie. Raises Unprocessable where one cannot be had, Unavailable."""

    def read_now(self, ref: ImageRef) -> bytes: ...


def classifier(models: ModelSetV1) -> ModelV1:
    """Raises ValueError where there is none."""
    model = models.model("classification")
    if model is None:
        raise ValueError(f"{models.product}: there is no classifier in force, so there is nothing that labels could teach")
    return model


def looked_at(missing: Sequence[Example], base: ModelSetV1, store: ModelStore, images: Kept) -> tuple[Taught, int]:
    """Rows for examples that are kept somewhere, or whose image can be had; how many have neither. Raises Unavailable."""
    known = _remembered({one.source: one for one in missing}, base, store)
    had = {source for rows in known for source in rows.source}
    fresh, gone = _computed([one for one in missing if one.source not in had], base, store, images)
    for rows in known:
        fresh = joined(fresh, rows)
    return fresh, gone


def _remembered(missing: dict[str, Example], base: ModelSetV1, store: ModelStore) -> list[Taught]:
    """What versions of the classifier have kept of them, the newest first."""
    model, found, left = classifier(base), [], dict(missing)
    for version in reversed(store.versions(model.ref.name)):
        arrays = (
            store.taught(model.ref.name, version) if left and _sees_alike(store.card(model.ref.name, version), model) else None
        )
        rows = None if arrays is None else taught(arrays)
        if rows is None or (rows.normal is None) != (base.model("anomaly") is None):
            continue
        pairs = zip(rows.source, rows.image, strict=True)
        at = [i for i, (source, image) in enumerate(pairs) if source in left and left[source].image.sha256 == image]
        mine = [left.pop(rows.source[i]) for i in at]
        some = chosen(rows, at, [one.label for one in mine])
        found.append(
            replace(
                some,
                fold=np.full(len(mine), -1, np.int64),
                group=tuple(one.group for one in mine),
                taxonomy=tuple(one.taxonomy for one in mine),
            )
        )
    return found


def _sees_alike(card: dict[str, Any], model: ModelV1) -> bool:
    return (card.get("trunk_id"), card.get("preparation_digest")) == (model.trunk_id, recipe_digest(model.preparation))


def _computed(missing: Sequence[Example], base: ModelSetV1, store: ModelStore, images: Kept) -> tuple[Taught, int]:
    pictures, found = [], []
    recipe = classifier(base).preparation
    for one in missing:
        try:
            pictures.append(prepare(images.read_now(one.image), recipe))
        except Unprocessable:
            continue
        found.append(one)
    embedding, scores = _features(pictures, base, store)
    normal = None if scores is None else _normal(found, scores, base)
    rows = Taught(
        embedding=embedding,
        label=tuple(one.label for one in found),
        group=tuple(one.group for one in found),
        view=tuple(one.view for one in found),
        source=tuple(one.source for one in found),
        taxonomy=tuple(one.taxonomy for one in found),
        image=tuple(one.image.sha256 for one in found),
        fold=np.full(len(found), -1, np.int64),
        normal=normal,
        thumbnail=tuple(map(small_jpeg, pictures)),
    )
    return rows, len(missing) - len(found)


def _features(pictures: Sequence[Any], base: ModelSetV1, store: ModelStore) -> tuple[FloatArray, FloatArray | None]:
    """(embeddings, anomaly scores) by the file that is served; without an anomaly model by the trunk, and no scores."""
    model = base.model("anomaly")
    if model is None:
        trunk = load_trunk()
        if trunk.id != classifier(base).trunk_id:
            raise ValueError(f"the classifier in force is of trunk {classifier(base).trunk_id}, this program has {trunk.id}")
        return (trunk.features(pictures, ("embedding",))["embedding"] if pictures else _no_rows()), None
    ready = session((store.stored(model.ref.name, model.ref.version).folder / "model.onnx").read_bytes())
    blocks = [pictures[i : i + _BATCH] for i in range(0, len(pictures), _BATCH)]
    answers = [ready.run(["embedding", "score"], {"image": np.stack(block)}) for block in blocks]
    if not answers:
        return _no_rows(), np.zeros(0, np.float32)
    return np.concatenate([one[0] for one in answers]), np.concatenate([one[1][:, 0] for one in answers])


def _no_rows() -> FloatArray:
    return np.zeros((0, EMBEDDING_SIZE), np.float32)


def _normal(found: Sequence[Example], scores: FloatArray, base: ModelSetV1) -> Any:
    """As at the fit: not above the threshold of the smallest alpha that the view's calibration can give."""
    model = base.model("anomaly")
    assert model is not None
    limits = {view: threshold_for(smallest_alpha(len(own)), own) for view, own in model.calibration.items()}
    return np.array([score <= limits.get(one.view, -np.inf) for one, score in zip(found, scores, strict=True)], bool)
