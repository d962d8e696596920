"""What another policy would have said of a part that was judged long ago: the same rules on the evidence that was kept.

Nothing is judged here but by `policy.judge` and `standing.react_to`; what this adds is which evidence had come by the deadline,
and where the answer cannot be known. Knows no database.

* Of the first verdict (revision 1): no person has looked yet.
* A policy may ask for a size that was never measured, or in another scale, or for a region of another threshold whose heat map
  is gone: then it is undecided, and says why. Regions are those that were measured then: a new threshold may have shown others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from schemas.common import BaselineState, Disposition, Purpose, Stage
from schemas.evidence import InstanceV1
from schemas.policy import GeometryV1, PolicyV1
from streams.judgement.facts import Shape, Strangeness, ViewFacts
from streams.judgement.policy import accept, geometry_wanted, judge
from streams.judgement.region import prepared_region, strange_area
from streams.judgement.rules import Rules
from streams.judgement.standing import react_to, states_of
from streams.judgement.triage import of_view

Undecided = Literal["not_measured", "other_scale", "heat_map_gone", "policy_mismatch"]
Would = Disposition | Undecided
UNDECIDED: tuple[Undecided, ...] = ("not_measured", "other_scale", "heat_map_gone", "policy_mismatch")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenView:
    """What was kept of one view's evidence, each with its append time. cells: the heat map's values, ascending.

    failed: stages that had said, before they were observed, that they would not.
    """

    score: float | None = None
    score_us: int = 0
    probabilities: Mapping[str, float] | None = None
    kind_us: int = 0
    instances: tuple[InstanceV1, ...] | None = None
    shape_us: int = 0
    cells: Callable[[], NDArray[np.float32]] | None = None
    failed: frozenset[Stage] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """One announced part. frames: view -> (width, height) in pixels, of the views that were taken. decide_within_s: as announced.

    states: of the baselines, by view, as announced.
    """

    inspection: str
    purpose: Purpose
    announced_us: int
    decide_within_s: float
    views_expected: int
    frames: Mapping[str, tuple[int, int]]
    states: Mapping[str, BaselineState]
    views: Mapping[str, SeenView]


def would(rules: Rules, part: Retained, own: Rules) -> Would:
    """The disposition of revision 1 under these rules. own: those that it was judged by, to know what was measured and how.

    The deadline is the rules' own; under `own`, the announced one.
    """
    if rules.faults or ("anomaly" in rules.required and any(rules.threshold(view) is None for view in part.frames)):
        return "policy_mismatch"
    if len(part.frames) < part.views_expected:
        return "no_verdict"
    views = {view: part.views.get(view, SeenView()) for view in part.frames}
    due_us = due(part, part.decide_within_s if rules is own else rules.policy.decide_within_s)
    if not all(_complete(rules, seen, due_us) for seen in views.values()):
        return "no_verdict"
    facts: dict[str, ViewFacts] = {}
    for view, seen in views.items():
        found = _facts(rules, part, view, seen)
        sized = found if isinstance(found, str) else _sized(rules, own, part, view, seen, found, due_us)
        if isinstance(sized, str):
            return sized
        facts[view] = sized
    states = states_of(rules, part.states, part.frames)
    return react_to(rules, part.purpose, states, judge(rules, facts)).disposition


def due(part: Retained, within_s: float) -> int:
    """Append time, microseconds, from which evidence is late."""
    return part.announced_us + round(within_s * 1000) * 1000


def _complete(rules: Rules, seen: SeenView, due_us: int) -> bool:
    """Every required stage has spoken in time, and before it was given up."""
    said: dict[Stage, int | None] = {
        "anomaly": None if seen.score is None else seen.score_us,
        "classification": None if seen.probabilities is None else seen.kind_us,
    }
    times = [None if stage in seen.failed else said[stage] for stage in rules.required]
    return all(time is not None and time < due_us for time in times)


def _facts(rules: Rules, part: Retained, view: str, seen: SeenView) -> ViewFacts | Undecided:
    """Without the shape."""
    kind = None if seen.probabilities is None else accept(rules, seen.probabilities, 0)
    if seen.score is None:
        return ViewFacts(kind=kind)
    threshold, model, geometry = rules.threshold(view), rules.model_set.model("anomaly"), rules.policy.geometry
    strange = Strangeness(offset=0, score=seen.score)
    facts = ViewFacts(anomaly=strange, kind=kind)
    if geometry is None or model is None or threshold is None or seen.score <= threshold:
        return facts
    measurable = geometry.unknown_above_px is not None and rules.model_set.model("segmentation") is not None
    if not measurable or kind is None or kind.label in rules.policy.classes:
        return facts
    if seen.cells is None:
        return "heat_map_gone"
    prepared = prepared_region(model.preparation.roi, *part.frames[view])
    area = strange_area(seen.cells(), threshold, prepared)
    return ViewFacts(anomaly=Strangeness(offset=0, score=seen.score, area_px=area), kind=kind)


def _sized(
    rules: Rules, own: Rules, part: Retained, view: str, seen: SeenView, facts: ViewFacts, due_us: int
) -> ViewFacts | Would:
    """With the shape, where it decides."""
    if geometry_wanted(rules, view, facts) is None:
        return facts
    if seen.instances is None or seen.shape_us >= due_us or "segmentation" in seen.failed:
        if seen.instances is not None or "segmentation" in seen.failed or _was_asked(own, part, view, seen):
            return "no_verdict"
        return "not_measured"
    if rules is not own and _other_scale(rules.policy, own.policy, view):
        return "other_scale"
    return ViewFacts(anomaly=facts.anomaly, kind=facts.kind, shape=Shape(offset=0, instances=seen.instances))


def _was_asked(own: Rules, part: Retained, view: str, seen: SeenView) -> bool:
    facts = _facts(own, part, view, seen)
    return isinstance(facts, ViewFacts) and geometry_wanted(own, view, facts) is not None


def _other_scale(now: PolicyV1, then: PolicyV1, view: str) -> bool:
    """Sizes in mm are those of the scale, its uncertainty and the critical feature that the measurement was asked with."""
    new, old = now.geometry or GeometryV1(), then.geometry or GeometryV1()
    if not any("mm" in rule.measure for rule in new.rules):
        return False
    scales = of_view(new.mm_per_px, view), new.u_scale, of_view(new.critical, view)
    return scales != (of_view(old.mm_per_px, view), old.u_scale, of_view(old.critical, view))
