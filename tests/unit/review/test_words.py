"""What becomes of a part by policy and choice, and what label and decision say of it."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.policy import PolicyV1
from streams.review.docket import Spoken, Stood
from streams.review.words import Facts, Told, becomes, first_taxonomy, label_of, record_of_review, reviewed_of, withdrawal_of
from tests.helpers.judgement import instance
from tests.helpers.labels import IMAGE, NOW, SHA, STATION, part

POLICY = PolicyV1(
    product="disc",
    title="t",
    classes={
        "scratch": {"threshold": 0.6, "disposition": "rework"},
        "dirt": {"threshold": 0.6, "disposition": "pass"},
        "odd": {"threshold": 0.6, "disposition": "review"},
    },
)
FACTS = Facts(
    inspection=part(1), station=STATION, product="disc", purpose="production", acquisition=SHA, serial="S1", images={"v1": IMAGE}
)
SPOKEN = Spoken(who="ada", role="reviewer", answer="defect", label="scratch", becomes="rework", revision=1, looked_ms=9)


def told(**changes: Any) -> Told:
    return Told(**{"opinion": "first", "shown": "review", "withdraws": None, "taxonomy": SHA, "at": NOW, **changes})


@pytest.mark.parametrize(
    ("answer", "label", "chosen", "fate"),
    [
        ("good", None, None, "pass"),
        ("unsure", None, None, None),
        ("defect", "scratch", None, "rework"),
        ("defect", "scratch", "scrap", "rework"),  # the policy has ruled: nobody chooses
        ("defect", "dirt", None, "pass"),
        ("defect", "odd", None, "scrap"),
        ("defect", "odd", "rework", "rework"),
        ("defect", "new-one", None, "scrap"),
        ("defect", None, None, "scrap"),
        ("defect", None, "rework", "rework"),
        ("defect", None, "pass", "scrap"),
    ],
)
def test_what_becomes_of_a_part(answer: Any, label: str | None, chosen: Any, fate: str | None) -> None:
    assert becomes(answer, label, POLICY, {}, chosen) == fate


def test_the_policys_word_on_the_unknown_counts_where_it_decides_and_without_a_policy_nothing_passes() -> None:
    assert becomes("defect", None, POLICY.model_copy(update={"unknown": "rework"}), {}, None) == "rework"
    assert becomes("defect", None, POLICY.model_copy(update={"unknown": "pass"}), {}, None) == "scrap"
    assert becomes("defect", "scratch", None, {}, None) == "scrap"


SIZED = PolicyV1.model_validate(
    {
        "product": "disc",
        "title": "t",
        "classes": {"scratch": {"threshold": 0.6, "disposition": "rework", "geometry": True}},
        "geometry": {"mm_per_px": {"*": 0.1}, "rules": [{"measure": "length_mm", "at_least": 2, "disposition": "scrap"}]},
    }
)


@pytest.mark.parametrize(
    ("lengths", "chosen", "fate"),
    [
        ([1.0], None, "rework"),
        ([1.0, 3.0], None, "scrap"),
        ([3.0], "rework", "scrap"),  # the size has decided: nobody chooses
        ([2.01], None, "rework"),  # near the limit: the class's own
        ([2.01], "scrap", "scrap"),
        ([], "scrap", "scrap"),  # nobody measured it
        ([], None, "rework"),
    ],
)
def test_where_geometry_decides_the_size_does_and_near_a_limit_the_person(lengths: list[float], chosen: Any, fate: str) -> None:
    measured = {"v1": [instance(length, 0.1, label="scratch") for length in lengths]}
    assert becomes("defect", "scratch", SIZED, measured, chosen) == fate


def test_one_view_is_labelled_as_that_view_and_several_as_the_part() -> None:
    one = label_of(FACTS, SPOKEN, told())
    several = label_of(Facts(**{**_fields(FACTS), "images": {"v1": IMAGE, "v2": IMAGE}}), SPOKEN, told())
    assert one is not None
    assert several is not None
    assert (one.of, one.view, one.label, one.taxonomy) == ("view", "v1", "scratch", SHA)
    assert (several.of, [view.view for view in several.views]) == ("part", ["v1", "v2"])
    assert label_of(Facts(**{**_fields(FACTS), "images": {}}), SPOKEN, told()) is None


def test_a_withdrawal_says_nothing_but_what_it_takes_back() -> None:
    first = label_of(FACTS, SPOKEN, told())
    assert first is not None
    back = withdrawal_of(FACTS, SPOKEN, told(withdraws=first.id))
    assert back is not None
    assert (back.answer, back.label, back.taxonomy, back.withdraws) == (None, None, None, first.id)
    assert back.id != first.id


def test_an_audit_says_how_likely_it_was_drawn() -> None:
    drawn = Facts(**{**_fields(FACTS), "audit_probability": 0.1})
    audit, review = label_of(drawn, SPOKEN, told(shown="audit")), label_of(drawn, SPOKEN, told())
    assert audit is not None
    assert review is not None
    assert (audit.audit_probability, review.audit_probability) == (0.1, None)


def test_a_decision_copies_what_the_verdict_before_said() -> None:
    was, now = Stood(disposition="review", label="unknown"), Stood(disposition="rework", label="scratch")
    review = reviewed_of(FACTS, 3, was, now, SPOKEN)
    assert (review.revision, review.disposition, review.label) == (3, "rework", "scratch")
    assert (review.supersedes, review.supersedes_label, review.serial) == ("review", "unknown", "S1")
    record = record_of_review(review, NOW)
    assert (record.topic, record.key) == ("evidence.v1", STATION.encode())
    assert dict(record.headers)["ce_id"] == f"{part(1)}/reviewed-3-ada".encode()


def test_classes_of_a_classifier_are_a_first_taxonomy() -> None:
    taxonomy = first_taxonomy("disc", ["scratch", "good", "dent", "No Name", "unknown"])
    assert [one.id for one in taxonomy.classes] == ["dent", "scratch"]


def _fields(facts: Facts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in Facts.__dataclass_fields__}
