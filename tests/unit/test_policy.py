"""The table, row by row; sizes with their guard band; several views; policies that fit no models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.common import Region, Stage
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from streams.fates import Unprocessable
from streams.judgement.facts import Kind, Shape, Strangeness, ViewFacts
from streams.judgement.policy import accept, check, geometry_wanted, judge, judge_view, rules_of
from streams.judgement.region import heat_map, prepared_region, strange_region
from tests.helpers.judgement import heat_text, instance, model_set, policy

BOTH: tuple[Stage, ...] = ("anomaly", "classification")
ALL: tuple[Stage, ...] = ("anomaly", "classification", "segmentation")
HARMLESS = {"good": {"threshold": 0.8, "disposition": "pass"}, "scratch": {"threshold": 0.8, "disposition": "pass"}}
SIZES = {
    "good": {"threshold": 0.8, "disposition": "pass"},
    "scratch": {"threshold": 0.8, "disposition": "rework", "geometry": True},
    "dent": {"threshold": 0.8, "disposition": "scrap"},
}
GEOMETRY: dict[str, Any] = {
    "mm_per_px": {"*": 0.1},
    "coverage": 2,
    "rules": [
        {"measure": "length_mm", "at_most": 0.5, "disposition": "pass"},
        {"measure": "length_mm", "at_least": 2, "disposition": "scrap"},
    ],
}


def facts(score: float | None, label: str | None, *, shape: Shape | None = None, area_px: int = 0) -> ViewFacts:
    return ViewFacts(
        anomaly=None if score is None else Strangeness(offset=1, score=score, area_px=area_px),
        kind=None if label is None else Kind(offset=2, label=label, best="scratch", probability=0.9),
        shape=shape,
    )


@pytest.mark.parametrize(
    ("score", "label", "disposition", "code"),
    [
        (0.1, "good", "pass", "all_good"),
        (0.1, "scratch", "rework", "defect"),
        (0.1, "dent", "scrap", "defect"),
        (0.1, "unknown", "review", "unknown_class"),
        (0.1, None, "pass", "all_good"),
        (0.95, "good", "review", "contradiction"),
        (0.95, "scratch", "rework", "defect"),
        (0.95, "unknown", "review", "unknown_defect"),
        (0.95, None, "review", "anomalous"),
        (None, "good", "pass", "all_good"),
        (None, "dent", "scrap", "defect"),
        (None, "unknown", "review", "unknown_class"),
        (0.9, "good", "pass", "all_good"),  # at the threshold: not above it
        (0.901, "good", "review", "contradiction"),
    ],
)
def test_table(score: float | None, label: str | None, disposition: str, code: str) -> None:
    there: dict[Stage, bool] = {"anomaly": score is not None, "classification": label is not None}
    stages = [stage for stage, wanted in there.items() if wanted]
    rules = rules_of(
        policy(anomaly={"alpha": 0.1} if score is not None else None, **({} if label else {"classes": {}})), model_set(*stages)
    )
    assert rules.faults == ()
    judged = judge_view(rules, "v1", facts(score, label))
    assert (judged.disposition, judged.reasons[0].code, judged.label) == (disposition, code, label)


def test_what_is_accepted_as_harmless_passes_only_where_it_is_normal() -> None:
    rules = rules_of(policy(classes=HARMLESS), model_set(*BOTH, classes=("good", "scratch")))
    assert judge_view(rules, "v1", facts(0.1, "scratch")).disposition == "pass"
    assert judge_view(rules, "v1", facts(0.95, "scratch")).reasons[0].code == "never_pass"
    lenient = rules_of(policy(unknown="pass"), model_set(*BOTH))
    assert judge_view(lenient, "v1", facts(0.1, "unknown")).disposition == "pass"
    assert judge_view(lenient, "v1", facts(0.95, "unknown")).disposition == "review"


@given(
    st.sampled_from(["good", "scratch", "unknown"]),
    st.sampled_from(["pass", "rework", "scrap", "review"]),
    st.sampled_from(["pass", "rework", "review"]),
    st.integers(0, 19),
    st.booleans(),
)
def test_without_anomaly_model_and_without_enough_good_parts_pass_does_not_exist(
    label: str, unknown: str, disposition: str, ok_parts: int, has_good: bool
) -> None:
    classes = {"scratch": {"threshold": 0.8, "disposition": disposition}, "dent": {"threshold": 0.8, "disposition": "scrap"}}
    classes |= {"good": {"threshold": 0.8, "disposition": "pass"}} if has_good else {}
    models = model_set("classification", ok_parts=ok_parts if has_good else 999, classes=tuple(classes))
    rules = rules_of(policy(anomaly=None, unknown=unknown, classes=classes), models)
    assert rules.faults == ()
    assert judge_view(rules, "v1", facts(None, label if label in classes else "unknown")).disposition != "pass"


def test_a_class_counts_only_above_its_own_threshold_and_a_defect_before_good() -> None:
    rules = rules_of(policy(), model_set(*BOTH))
    assert accept(rules, {"good": 0.79, "scratch": 0.21, "dent": 0}, 5).label == "unknown"
    assert accept(rules, {"good": 0.8, "scratch": 0.2, "dent": 0}, 5).label == "good"
    wary = policy(classes=SIZES | {"scratch": {"threshold": 0.3, "disposition": "rework"}})
    assert accept(rules_of(wary, model_set(*BOTH)), {"good": 0.6, "scratch": 0.35, "dent": 0.05}, 5).label == "scratch"
    assert accept(rules_of(wary, model_set(*BOTH)), {"stranger": 0.9, "good": 0.1}, 5).label == "unknown"


@pytest.mark.parametrize(
    ("score", "lengths", "u", "disposition", "code"),
    [
        (0.1, [0.3], 0.0, "pass", "size"),
        (0.1, [0.3, 0.4], 0.0, "pass", "size"),
        (0.95, [0.3], 0.0, "review", "never_pass"),
        (0.1, [1.0], 0.0, "rework", "defect"),
        (0.1, [3.0], 0.0, "scrap", "size"),
        (0.1, [0.3, 3.0], 0.0, "scrap", "size"),
        (0.1, [0.3, 1.0], 0.0, "rework", "defect"),
        (0.1, [1.9], 0.1, "review", "near_limit"),
        (0.1, [2.1], 0.1, "review", "near_limit"),
        (0.1, [2.3], 0.1, "scrap", "size"),
        (0.1, [0.45], 0.1, "review", "near_limit"),
        (0.1, [None], 0.0, "review", "not_measured"),
        (0.1, [], 0.0, "review", "no_instance"),
    ],
)
def test_size(score: float, lengths: list[float | None], u: float, disposition: str, code: str) -> None:
    rules = rules_of(policy(classes=SIZES, geometry=GEOMETRY), model_set(*ALL))
    assert rules.faults == ()
    shape = Shape(offset=3, instances=tuple(instance(length, u) for length in lengths))
    judged = judge_view(rules, "v1", facts(score, "scratch", shape=shape))
    assert (judged.disposition, judged.reasons[-1].code) == (disposition, code)


def test_geometry_is_wanted_by_class_or_for_a_large_unknown() -> None:
    rules = rules_of(policy(classes=SIZES, geometry=GEOMETRY | {"unknown_above_px": 1000}), model_set(*ALL))
    assert geometry_wanted(rules, "v1", facts(0.1, "scratch")) == "class"
    assert geometry_wanted(rules, "v1", facts(0.1, "dent")) is None
    assert geometry_wanted(rules, "v1", facts(0.95, "unknown", area_px=999)) is None
    assert geometry_wanted(rules, "v1", facts(0.95, "unknown", area_px=1000)) == "unknown"
    assert geometry_wanted(rules, "v1", facts(0.1, "unknown", area_px=1000)) is None
    assert judge_view(rules, "v1", facts(0.1, "scratch")).disposition == "review"


def test_a_small_unknown_passes_nowhere_without_an_anomaly_model() -> None:
    rules = rules_of(
        policy(anomaly=None, classes=SIZES, geometry=GEOMETRY | {"unknown_above_px": 10}),
        model_set("classification", "segmentation"),
    )
    assert rules.faults == ()
    small = Shape(offset=3, instances=(instance(0.1),))
    assert judge_view(rules, "v1", facts(None, "scratch", shape=small)).disposition == "pass"
    assert judge_view(rules, "v1", facts(None, "unknown", shape=small)).disposition == "review"


def test_the_strictest_view_wins() -> None:
    rules = rules_of(policy(), model_set(*BOTH))
    judged = judge(rules, {"v1": facts(0.95, "unknown"), "v2": facts(0.1, "scratch")})
    assert (judged.disposition, judged.label) == ("rework", "scratch")
    assert [(why.view, why.code) for why in judged.reasons] == [("v1", "unknown_defect"), ("v2", "defect")]
    assert judge(rules, {"v1": facts(0.1, "good"), "v2": facts(0.1, "good")}).disposition == "pass"


@pytest.mark.parametrize(
    ("rules", "models", "said"),
    [
        (policy(product="cloth"), model_set(*BOTH), "product"),
        (policy(anomaly=None), model_set(*BOTH), "no alpha"),
        (policy(), model_set("classification"), "no anomaly model"),
        (policy(anomaly={"alpha": 0.009}), model_set(*BOTH), "smallest is 1/100"),
        (policy(), model_set("anomaly"), "classes.dent: no classifier"),
        (policy(), model_set(*BOTH, classes=("good", "scratch", "dent", "stain")), "'stain' has no rule"),
        (policy(classes=SIZES, geometry=GEOMETRY), model_set(*BOTH), "no segmentation model"),
        (policy(classes=SIZES, geometry=GEOMETRY | {"mm_per_px": {}}), model_set(*ALL), "mm_per_px is empty"),
        (
            policy(geometry={"rules": [{"measure": "count", "at_least": 2, "disposition": "scrap", "labels": ["x"]}]}),
            model_set(*ALL),
            "'x'",
        ),
    ],
)
def test_a_policy_that_does_not_fit_its_models_is_refused(rules: PolicyV1, models: ModelSetV1, said: str) -> None:
    assert any(said in fault for fault in check(rules, models)), check(rules, models)


@pytest.mark.parametrize(
    ("score", "unknown", "said"), [(0.1, "pass", "review"), (0.95, "pass", "review"), (None, "pass", "review")]
)
def test_a_class_without_a_rule_goes_to_review_and_says_why(score: float | None, unknown: str, said: str) -> None:
    """As between a new model set and the policy that names its new class: parts are judged all the same."""
    stages: tuple[Stage, ...] = BOTH if score is not None else ("classification",)
    models = model_set(*stages, classes=("good", "scratch", "dent", "stain"))
    rules = rules_of(policy(unknown="pass", anomaly={"alpha": 0.1} if score is not None else None), models)
    assert rules.faults == ()
    kind = accept(rules, {"good": 0.02, "scratch": 0.02, "dent": 0.02, "stain": 0.94}, 7)
    assert (kind.label, kind.best) == ("unknown", "stain")
    strange = None if score is None else Strangeness(offset=1, score=score, area_px=0)
    judged = judge_view(rules, "v1", ViewFacts(anomaly=strange, kind=kind))
    assert judged.disposition == "review"
    assert judged.reasons[0].detail.endswith("stain at 0.940, for which the policy has no rule")
    known = accept(rules, {"good": 0.7, "scratch": 0.2, "dent": 0.05, "stain": 0.05}, 7)
    assert judge_view(rules, "v1", ViewFacts(anomaly=strange, kind=known)).disposition == ("pass" if score == 0.1 else "review")


def test_a_rule_without_a_class_changes_nothing() -> None:
    """As after a roll-back to models that do not know a class yet."""
    before, after = model_set(*BOTH, classes=("good", "scratch")), model_set(*BOTH)
    rules = rules_of(policy(), before)
    assert rules.faults == ()
    for label in ("good", "scratch", "unknown"):
        here, there = (judge_view(one, "v1", facts(0.1, label)) for one in (rules, rules_of(policy(), after)))
        assert here == there


def test_region_from_the_heat_map_lies_where_the_part_is_strange() -> None:
    heat = np.zeros((32, 32))
    heat[4:8, 10:12] = 5  # 8 cells; the ten strangest always count
    heat[8, 10:12] = 1
    prepared = prepared_region(Region(x0=100, y0=200, x1=420, y1=520), 400, 520)
    assert prepared == Region(x0=100, y0=200, x1=400, y1=520)
    region, area = strange_region(heat_map(heat_text(heat)), 3.0, Region(x0=100, y0=200, x1=420, y1=520))
    assert region == Region(x0=190, y0=230, x1=230, y1=300)
    assert area == 1000
    corner = np.zeros((32, 32))
    corner[:4, :4] = 9
    assert strange_region(heat_map(heat_text(corner)), 3.0, prepared)[0] == Region(x0=100, y0=200, x1=147, y1=250)
    with pytest.raises(Unprocessable, match="bad_heat_map"):
        heat_map(heat_text(np.full((32, 32), np.nan)))
    with pytest.raises(Unprocessable, match="bad_heat_map"):
        heat_map("AAAA")
