"""From labels to a candidate: what was taught and what people said since, refitted, compared, written beside what is in force.

Nothing goes into force here. The anomaly model, its calibration and every baseline stay what they are: none adapts itself.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.common import ImageRef, canonical, digest
from schemas.model_set import LearnedV1, ModelSetV1
from schemas.policy import PolicyV1
from streams.review.taxonomy import Lineage
from streams.training.fitted import FittedModel
from streams.training.held_out import Compared, Part, compared, held_out, labels_of, parts, passed
from streams.training.lesson import LEAST_PARTS, Lesson, lesson, relabelled
from streams.training.stages import FOLDS, Alone, fit_classes_model
from streams.training.taught import Taught, chosen, dealt, joined, taught
from streams.training.trunk import load_trunk
from streams.training.truth import Truth, Why, today
from streams.wiring.adapters.model_store import ModelStore, StoredModel
from streams.wiring.fitting import served_parity, take_back
from streams.wiring.looked import Kept, classifier, looked_at


class NothingToLearn(ValueError):
    """What there is does not make another head: why."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a candidate starts from. base: in force; latest: the last candidate for it, where there is one, else base."""

    base: ModelSetV1
    latest: ModelSetV1
    policy: PolicyV1
    lineage: Lineage | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """thresholds: what the groups left out suggest; answers were accepted by those of the policy in force, and by these where it
    has no rule for a class. found: every part held out, with both answers; rows: what was taught, in the order of Part.at.
    labels: labelled images that the models in force have not learned, or not so.
    """

    ground: Ground
    rows: Taught
    model: FittedModel
    plan: Lesson
    left_out: Mapping[Why, int]
    thresholds: Mapping[str, float]
    found: Sequence[Part]
    labels: int

    @property
    def new_classes(self) -> tuple[str, ...]:
        return tuple(name for name in self.model.classes if name not in classifier(self.ground.base).classes)

    @property
    def overall(self) -> Compared:
        return compared(self.found)

    @property
    def by_class(self) -> list[Compared]:
        return [compared(self.found, label) for label in sorted({one.label for one in self.found})]

    @property
    def passed(self) -> Any:
        return passed(self.found)


def taught_to(models: ModelSetV1, store: ModelStore) -> Taught:
    """Raises StoreError; ValueError where it was not kept."""
    ref = classifier(models).ref
    arrays = store.taught(ref.name, ref.version)
    if arrays is None:
        raise ValueError(f"{ref.name}/{ref.version} was written without what it learned from: `verdictline fit` it once more")
    return taught(arrays)


def learn(ground: Ground, truth: Truth, store: ModelStore, images: Kept) -> Candidate:
    """Raises NothingToLearn, StoreError, ValueError, Unavailable, ParityError."""
    before = taught_to(ground.latest, store)
    base = before if ground.latest is ground.base else taught_to(ground.base, store)
    plan = lesson(before, truth, ground.lineage)
    taxonomy = ground.lineage.current if ground.lineage else ""
    fresh, gone = looked_at(plan.missing, ground.base, store, images)
    rows = relabelled(before, plan, taxonomy)
    rows = _enough(joined(rows, fresh) if len(fresh) else rows)
    if _same(rows, base):
        raise NothingToLearn("what would be learned is what the models in force have learned")
    rows = dealt(rows, FOLDS)
    model, thresholds = fit_classes_model(rows, classifier(ground.base).trunk_id, _alone(ground.base, store))
    return Candidate(
        ground=ground,
        rows=rows,
        model=model,
        plan=plan,
        left_out={**truth.left_out, **({"image_gone": gone} if gone else {})},
        thresholds=thresholds,
        found=_compared(ground, rows, base, thresholds),
        labels=len(_said(rows) - _said(base)),
    )


def write(
    candidate: Candidate, store: ModelStore, triton: str | None, report: Callable[[StoredModel], ImageRef]
) -> tuple[ModelSetV1, StoredModel]:
    """The version in the store, served and compared with its offline answers, and the message that offers it.

    report: writes the page. Raises StoreError, OSError, Unavailable, ModelRefused, ParityError: then the version is gone again.
    """
    base = classifier(candidate.ground.base)
    card = {**store.card(base.ref.name, base.ref.version), **_card(candidate)}
    probes = {"inputs": candidate.model.probes.images, "expected": candidate.model.probes.expected}
    model = candidate.model
    stored = store.write(base.ref.name, model.kind, model.onnx, card, probes, candidate.rows.arrays())
    try:
        if triton is not None:
            served_parity(triton, store, [stored])
        return _message(candidate, stored, report(stored)), stored
    except BaseException:
        take_back(store, [stored], triton)
        raise


def _enough(rows: Taught) -> Taught:
    """Without classes that only labels gave, and of which too few images could be had."""
    of_folder = {label for label, source in zip(rows.label, rows.source, strict=True) if not source}
    few = {label for label in set(rows.label) - of_folder - {"good"} if rows.parts(label) < LEAST_PARTS}
    return chosen(rows, [at for at, label in enumerate(rows.label) if label not in few])


def _said(rows: Taught) -> set[tuple[str, str]]:
    return {(source, label) for source, label in zip(rows.source, rows.label, strict=True) if source}


def _same(rows: Taught, base: Taught) -> bool:
    return Counter(zip(rows.image, rows.label, strict=True)) == Counter(zip(base.image, base.label, strict=True))


def _alone(base: ModelSetV1, store: ModelStore) -> Alone | None:
    model = classifier(base)
    if model.input == "embedding":
        return None
    trunk, images = load_trunk(), store.probes(model.ref.name, model.ref.version)["inputs"]
    return Alone(weights=trunk.weights, images=images, embedding=trunk.features(list(images), ("embedding",))["embedding"])


def _compared(ground: Ground, rows: Taught, base: Taught, suggested: Mapping[str, float]) -> list[Part]:
    """Both heads about every part: neither has learned from the part that it is asked about."""
    fold = dict(zip(base.group, base.fold.tolist(), strict=True))
    asked = np.array([fold.get(group, -1) for group in rows.group], np.int64)
    rules = {name: rule.threshold for name, rule in ground.policy.classes.items()}
    kinds = sorted(set(base.label))
    before = labels_of(held_out(base, rows.embedding, asked), kinds, {**dict.fromkeys(kinds, 1.0), **rules})
    after = labels_of(held_out(rows, rows.embedding, rows.fold), sorted(set(rows.label)), {**suggested, **rules})
    version = ground.base.taxonomy or ""
    return parts(rows.label, rows.group, [_today(name, version, ground.lineage) for name in before], after)


def _today(name: str, version: str, lineage: Lineage | None) -> str:
    """An answer of the head in force in the classes of today; where it has no single one, as it is: then it is wrong."""
    found = today(name, version, lineage)
    return found.label if found.fate == "current" and found.label else name


def _message(candidate: Candidate, stored: StoredModel, report: ImageRef) -> ModelSetV1:
    ground, overall = candidate.ground, candidate.overall
    before = classifier(ground.base)
    model = before.model_copy(
        update={
            "ref": before.ref.model_copy(update={"version": stored.version, "digest": stored.digest}),
            "classes": candidate.model.classes,
            "ok_parts": candidate.model.ok_parts,
        }
    )
    learned = LearnedV1(
        base=digest(ground.base),
        labels=candidate.labels,
        new_classes=candidate.new_classes,
        parts=overall.found_after.n,
        gained=overall.gained,
        lost=overall.lost,
        chance=overall.chance,
        report=report,
    )
    return ModelSetV1(
        product=ground.base.product,
        station=ground.base.station,
        models=tuple(model if one.stage == "classification" else one for one in ground.base.models),
        data=data_digest(candidate.rows),
        taxonomy=ground.lineage.current if ground.lineage else None,
        learned=learned,
    )


def _card(candidate: Candidate) -> dict[str, Any]:
    model, rows = candidate.model, candidate.rows
    return {
        "classes": list(model.classes),
        "ok_parts": model.ok_parts,
        "metrics": dict(model.metrics),
        "thresholds": dict(candidate.thresholds),
        "data": data_digest(rows),
        "images": dict(sorted(Counter(rows.label).items())),
        "base": digest(candidate.ground.base),
        "taxonomy": candidate.ground.lineage.current if candidate.ground.lineage else None,
        "notes": [f"{why}: {n} left out" for why, n in sorted(candidate.left_out.items())],
    }


def data_digest(rows: Taught) -> str:
    """SHA-256 of label, group, view and image of every row, in any order."""
    lines: Iterable[tuple[str, ...]] = zip(rows.label, rows.group, rows.view, rows.image, strict=True)
    return hashlib.sha256(canonical(sorted(map(list, lines)))).hexdigest()
