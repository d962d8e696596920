"""A policy tried on the parts that the database holds: from rows to evidence, and each kind of part judged once.

Judging is `judgement.retained`'s; that parts which agree in all crossings get one answer is `judgement.crossings`'.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any, cast

import numpy as np
from pydantic import TypeAdapter

from schemas.common import Disposition, Stage
from schemas.evidence import InstanceV1
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from streams.judgement.crossings import ALONE, Columns, crossings, numbers
from streams.judgement.retained import Retained, SeenView, Would, would
from streams.judgement.rules import Rules, rules_of
from streams.judgement.trial import Change, Trial, count
from streams.wiring.adapters.database.ask_evidence import EvidenceRow, FailedRow, PartRow, Stretch
from streams.wiring.adapters.database.cells import unpack_cells

_INSTANCES = TypeAdapter(tuple[InstanceV1, ...])
_TRUTH = {"pass": "good", "rework": "defect", "scrap": "defect"}
Answers = dict[tuple[Any, ...], tuple[Would, Would]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What was ever published, by digest, and what people said is true, by inspection."""

    policies: Mapping[str, PolicyV1]
    model_sets: Mapping[str, ModelSetV1]
    truths: Mapping[str, str]


def try_policy(policy: PolicyV1, stretches: Iterable[Stretch], versions: Versions) -> Trial:
    """Every part of the stretches, each counted once."""
    trial, made = Trial(), _Rules(policy, versions)
    for stretch in stretches:
        groups: dict[tuple[str, str], list[PartRow]] = {}
        for part in stretch.parts:
            groups.setdefault((part.policy, part.model_set), []).append(part)
        for pair, parts in groups.items():
            pairs = made.of(*pair)
            if pairs is None:
                trial.parts += len(parts)
                trial.left_out["versions_gone"] += len(parts)
            else:
                _Group(pairs, parts, stretch).judge(trial, versions.truths)
    return trial


class _Rules:
    """The two sets of rules for each pair of policy and model set that parts were stamped with, made once, with their answers."""

    def __init__(self, policy: PolicyV1, versions: Versions) -> None:
        self._policy, self._versions = policy, versions
        self._made: dict[tuple[str, str], _Pair | None] = {}

    def of(self, policy: str, model_set: str) -> _Pair | None:
        key = (policy, model_set)
        if key not in self._made:
            then, models = self._versions.policies.get(policy), self._versions.model_sets.get(model_set)
            known = then is not None and models is not None
            self._made[key] = (
                _Pair(own=rules_of(then, models), new=rules_of(self._policy, models)) if known and then and models else None
            )
        return self._made[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """own: what the parts were judged by; new: the policy that is tried. answers: of kinds of parts seen so far, in any stretch.

    views: a number for each view's name, the same in every stretch: a kind is made of these.
    """

    own: Rules
    new: Rules
    answers: Answers = field(default_factory=dict)
    views: dict[str, int] = field(default_factory=dict)


class _Group:
    """Parts of one stretch that were stamped alike."""

    def __init__(self, pair: _Pair, parts: Sequence[PartRow], stretch: Stretch) -> None:
        self._pair, self._parts = pair, parts
        index = {part.inspection: i for i, part in enumerate(parts)}
        self._kept = _kept(index, parts[0].model_set, pair.own.model_set, stretch.evidence)
        self._failed = _by_part(index, stretch.failed)
        self._begin = np.searchsorted(self._kept.part, np.arange(len(parts) + 1)).tolist()

    def judge(self, trial: Trial, truths: Mapping[str, str]) -> None:
        """Each kind of part is judged once, and all parts of it are counted together."""
        crossed, begin, answers = self._crossed(), self._begin, self._pair.answers
        counted: Counter[tuple[str, Would, Would, str | None]] = Counter()
        for i, part in enumerate(self._parts):
            low, high = begin[i], begin[i + 1]
            mine = crossed[low] if high - low == 1 else tuple(crossed[low:high])
            key = (mine, part.views, part.baselines, part.purpose, part.views_expected)
            answer = answers.get(key)
            if answer is None:
                answer = self._judge_one(i)
                if ALONE not in crossed[low:high]:
                    answers[key] = answer
            truth = truths.get(part.inspection) or (_TRUTH.get(part.now or "") if part.decided_by == "person" else None)
            kind = (part.first or "", *answer, truth)
            counted[kind] += 1
            if answer[1] != part.first and answer[0] == part.first:
                _list(trial, part, answer[1], truth)
        for (first, own, new, truth), parts in counted.items():
            if first:
                count(trial, cast(Disposition, first), own, new, truth, parts)
            else:
                trial.parts += parts
                trial.left_out["no_verdict_yet"] += parts

    def _judge_one(self, i: int) -> tuple[Would, Would]:
        part, models = self._parts[i], self._pair.own.model_set
        kept = Retained(
            inspection=part.inspection,
            purpose=cast(Any, part.purpose),
            announced_us=part.announced_us,
            decide_within_s=part.decide_within_s,
            views_expected=part.views_expected,
            frames={view: (w, h) for view, (w, h) in json.loads(part.views).items()},
            states=json.loads(part.baselines) if part.baselines else {},
            views={
                self._kept.view[row]: _seen(self._kept.of(row), self._kept.view[row], models, self._failed.get(i, ()))
                for row in range(self._begin[i], self._begin[i + 1])
            },
        )
        return would(self._pair.own, kept, self._pair.own), would(self._pair.new, kept, self._pair.own)

    def _crossed(self) -> list[int]:
        """Of every view: one number for its name and its crossings under both sets of rules; ALONE: to be judged by itself.

        Equal numbers of one pair mean the same in every stretch.
        """
        kept = self._kept
        if not kept.part:
            return []
        views = sorted(set(kept.view))
        columns = _columns(kept, views, self._pair.own.model_set, set(self._failed))
        part = np.array(kept.part)
        announced = np.array([one.announced_us for one in self._parts])[part]
        within_s = np.array([one.decide_within_s for one in self._parts])[part]
        new_s = np.full(len(part), self._pair.new.policy.decide_within_s)
        own, new = (
            crossings(rules, columns, announced + np.round(seconds * 1000).astype(np.int64) * 1000)
            for rules, seconds in ((self._pair.own, within_s), (self._pair.new, new_s))
        )
        known, size = self._pair.views, numbers(len(columns.classes))
        named = np.array([known.setdefault(view, len(known)) for view in views])[columns.view]
        both = (named * size + own) * size + new
        return cast(list[int], np.where((own == ALONE) | (new == ALONE), ALONE, both).tolist())


def _list(trial: Trial, part: PartRow, new: Would, truth: str | None) -> None:
    """Where it is decided."""
    if new in ("not_measured", "other_scale", "heat_map_gone", "policy_mismatch"):
        return
    change = Change(
        inspection=part.inspection,
        station=part.station,
        serial=part.serial,
        lot=part.lot,
        was=cast(Disposition, part.first),
        would_be=cast(Disposition, new),
        truth=truth,
    )
    trial.changes.append(change)


@dataclass(slots=True)
class _Kept:
    """Views of parts as columns, in the order of the parts. shares: JSON; odd: another model answered than was stamped.

    first: where a view's evidence begins in `evidence`, which also holds that of other parts and model sets.
    """

    evidence: Sequence[tuple[Any, ...]]
    model_set: str
    part: list[int] = field(default_factory=list)
    view: list[str] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    score_us: list[int] = field(default_factory=list)
    shares: list[str] = field(default_factory=list)
    kind_us: list[int] = field(default_factory=list)
    odd: list[bool] = field(default_factory=list)
    first: list[int] = field(default_factory=list)

    def add(self, part: int, view: str, first: int) -> None:
        self.part.append(part)
        self.view.append(view)
        self.score.append(np.nan)
        self.score_us.append(0)
        self.shares.append("{}")
        self.kind_us.append(0)
        self.odd.append(False)
        self.first.append(first)

    def of(self, row: int) -> dict[str, EvidenceRow]:
        """By stage."""
        found: dict[str, EvidenceRow] = {}
        at = self.first[row]
        key = self.evidence[at][:2]
        while at < len(self.evidence) and self.evidence[at][:2] == key:
            one = EvidenceRow._make(self.evidence[at])
            if one.model_set == self.model_set:
                found[one.stage] = one
            at += 1
        return found


def _kept(index: Mapping[str, int], stamp: str, models: ModelSetV1, evidence: Sequence[tuple[Any, ...]]) -> _Kept:
    """The evidence comes in the order of inspections, views and stages. One loop over millions of rows: no objects in it."""
    refs: dict[str, str] = {model.stage: model.ref.digest for model in models.models}
    kept, last, part = _Kept(evidence=evidence, model_set=stamp), ("", ""), -1
    for at, (inspection, view, stage, model_set, model, score, shares, _, _, _, at_us) in enumerate(evidence):
        if (inspection, view) != last:
            last, part = (inspection, view), index.get(inspection, -1)
            if part >= 0:
                kept.add(part, view, at)
        if part < 0 or model_set != stamp:
            continue
        if stage == "anomaly":
            kept.score[-1], kept.score_us[-1] = score, at_us
        elif stage == "classification":
            kept.shares[-1], kept.kind_us[-1] = shares, at_us
        if refs.get(stage) != model:
            kept.odd[-1] = True
    return kept


def _by_part(index: Mapping[str, int], failed: Iterable[FailedRow]) -> dict[int, list[FailedRow]]:
    found: dict[int, list[FailedRow]] = {}
    for one in failed:
        if one.inspection in index:
            found.setdefault(index[one.inspection], []).append(one)
    return found


def _seen(by: Mapping[str, EvidenceRow], view: str, models: ModelSetV1, failed: Sequence[FailedRow]) -> SeenView:
    """What had failed before it was observed stays failed; so does what another model than the stamped one has answered."""
    refs = {model.stage: model.ref.digest for model in models.models}
    given_up = {
        cast(Stage, stage)
        for one in failed
        if one.view in ("", view)
        for stage in json.loads(one.stages)
        if stage not in by or by[stage].log_offset > one.log_offset
    }
    wrong = {cast(Stage, stage) for stage, one in by.items() if refs.get(cast(Stage, stage)) != one.model}
    right = {stage: one for stage, one in by.items() if stage not in wrong}
    anomaly, kind, shape = (right.get(stage) for stage in ("anomaly", "classification", "segmentation"))
    return SeenView(
        score=anomaly.score if anomaly else None,
        score_us=anomaly.at_us if anomaly else 0,
        probabilities=json.loads(kind.probabilities) if kind and kind.probabilities else None,
        kind_us=kind.at_us if kind else 0,
        instances=_INSTANCES.validate_json(shape.instances) if shape and shape.instances is not None else None,
        shape_us=shape.at_us if shape else 0,
        cells=partial(unpack_cells, anomaly.cells) if anomaly and anomaly.cells else None,
        failed=frozenset(given_up | wrong),
    )


def _columns(kept: _Kept, views: Sequence[str], models: ModelSetV1, failed: set[int]) -> Columns:
    """failed: parts with failures."""
    number = {view: i for i, view in enumerate(views)}
    classifier = models.model("classification")
    classes = sorted(classifier.classes) if classifier else []
    shares, strange = _shares(kept.shares, classes)
    broken = np.array([part in failed for part in kept.part]) if failed else np.zeros(len(kept.part), bool)
    return Columns(
        views=views,
        classes=classes,
        view=np.array([number[view] for view in kept.view]),
        score=np.array(kept.score),
        score_us=np.array(kept.score_us),
        shares=shares,
        kind_us=np.array(kept.kind_us),
        odd=np.array(kept.odd) | strange | broken,
    )


def _shares(texts: Sequence[str], classes: Sequence[str]) -> tuple[Any, Any]:
    """float64 (rows, classes), nan where nothing was said; and where it names other classes."""
    found = json.loads(f"[{','.join(texts)}]")
    names, nothing = set(classes), [np.nan] * len(classes)
    fits = [shares.keys() == names for shares in found]
    strange = np.array([bool(shares) and not ok for shares, ok in zip(found, fits, strict=True)], bool)
    pick = itemgetter(*classes) if len(classes) > 1 else lambda shares: [shares[name] for name in classes]
    table = [pick(shares) if ok and shares else nothing for shares, ok in zip(found, fits, strict=True)]
    return np.array(table, np.float64).reshape(len(texts), len(classes)), strange
