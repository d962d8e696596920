"""What triage says and when, case by case; the properties are in tests/property/test_triage.py."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from schemas.common import Message, Region, digest
from schemas.dead_letter import dead_letter_facts
from schemas.envelope import Record, from_millis
from schemas.evidence import AnomalyV1
from schemas.segment_request import SegmentRequestV1
from schemas.verdict import VerdictV1
from streams.effects import NOTHING
from streams.judgement import memory, triage
from streams.judgement.shard import TriageShard
from streams.judgement.versions import RuleBook
from tests.helpers.evidence_log import T0_MS, Published, appended, evidence_record, log_of, play, tick, verdicts
from tests.helpers.judgement import (
    PRODUCT,
    STATION,
    announced,
    anomaly,
    classification,
    failed,
    instance,
    model_set,
    policy,
    reviewed,
    segmentation,
)

PART = f"{STATION}:1700000000000-000000000007"
OTHER = f"{STATION}:1700000000000-000000000008"
MODELS = model_set("anomaly", "classification", "segmentation")
RULES = policy(
    classes={
        "good": {"threshold": 0.8, "disposition": "pass"},
        "scratch": {"threshold": 0.8, "disposition": "rework", "geometry": True},
        "dent": {"threshold": 0.8, "disposition": "scrap"},
    },
    geometry={"mm_per_px": {"*": 0.1}, "rules": [{"measure": "length_mm", "at_least": 2, "disposition": "scrap"}]},
)
PUBLISHED = Published(RULES, MODELS)
HELLO = announced(PART, RULES, MODELS)
GOOD: list[tuple[float, Message]] = [(0.1, anomaly(PART, MODELS)), (0.2, classification(PART, MODELS))]


def said(*events: tuple[float, Message]) -> list[VerdictV1]:
    return verdicts(play(log_of(events), PUBLISHED)[0])


def dead(outputs: list[Record]) -> list[str]:
    letters = [appended(record, 0, 0) for record in outputs if record.topic == "dead-letter.v1"]
    return [dead_letter_facts(letter)["reason"] for letter in letters]


def codes(verdict: VerdictV1) -> list[str]:
    return [reason.code for reason in verdict.reasons]


def test_a_verdict_says_all_that_decided() -> None:
    (verdict,) = said((0, HELLO), *GOOD)
    assert (verdict.disposition, verdict.label, verdict.decided_by, verdict.late) == ("pass", "good", "policy", False)
    assert verdict.decided_at == from_millis(T0_MS + 200)
    assert verdict.announced_at == from_millis(T0_MS)
    assert (verdict.policy, verdict.model_set, verdict.serial) == (digest(RULES), digest(MODELS), "S1")
    assert set(verdict.calibration) == {"v1"}
    assert [(used.stage, used.offset, used.p_value) for used in verdict.evidence] == [
        ("anomaly", 1, 0.91),
        ("classification", 2, None),
    ]
    record = play(log_of([(0, HELLO), *GOOD]), PUBLISHED)[0][0]
    headers = dict(record.headers)
    assert headers["ce_id"] == f"{PART}/1".encode()
    assert headers["ce_time"] == b"2026-01-05T08:00:00.200000Z"
    assert record.key == STATION.encode()


def test_the_deadline_is_the_logs_and_names_what_is_missing() -> None:
    (verdict,) = said((0, HELLO), (0.1, anomaly(PART, MODELS)), (4.999, tick()), (5.4, announced(OTHER, RULES, MODELS)))
    assert (verdict.disposition, codes(verdict)) == ("no_verdict", ["missing_evidence"])
    assert "classification of v1" in verdict.reasons[0].detail
    assert verdict.decided_at == from_millis(T0_MS + 5400)


def test_evidence_at_the_deadline_is_late_even_in_the_record_that_brings_it() -> None:
    first, second = said((0, HELLO), GOOD[0], (5.0, GOOD[1][1]))
    assert (first.disposition, second.disposition, second.revision, second.late) == ("no_verdict", "review", 2, True)
    assert codes(second) == ["late_pass"]


def test_late_and_bad_gets_its_disposition_and_waits_for_no_geometry() -> None:
    late = [(5.5, classification(PART, MODELS, "dent"))]
    assert [(v.revision, v.disposition) for v in said((0, HELLO), GOOD[0], (5, tick()), *late)] == [
        (1, "no_verdict"),
        (2, "scrap"),
    ]
    outputs, _ = play(log_of([(0, HELLO), GOOD[0], (5, tick()), (6, classification(PART, MODELS, "scratch"))]), PUBLISHED)
    assert [codes(v) for v in verdicts(outputs)] == [["missing_evidence"], ["late", "defect", "not_measured"]]
    assert not [record for record in outputs if record.topic == "segment-request.v1"]


def test_a_revision_says_what_it_supersedes_and_every_verdict_which_tool_made_the_part() -> None:
    hello = announced(PART, RULES, MODELS, tool="mould-2")
    first, second = said((0, hello), GOOD[0], (5, tick()), (5.5, classification(PART, MODELS, "dent")))
    assert (first.supersedes, first.supersedes_label, first.tool) == (None, None, "mould-2")
    assert (second.supersedes, second.supersedes_label, second.tool) == ("no_verdict", None, "mould-2")
    judged, released = said(
        (0, hello), GOOD[0], (1, classification(PART, MODELS, "dent")), (3, reviewed(PART, revision=1, disposition="pass"))
    )
    assert (judged.disposition, judged.label) == (released.supersedes, released.supersedes_label) == ("scrap", "dent")


def test_a_verdict_says_when_its_gate_is_and_a_restart_does_not_forget_it() -> None:
    hello = announced(PART, RULES, MODELS, gate_time_s=0.35)
    log = log_of([(0, hello), *GOOD, (5, reviewed(PART, 1, "scrap"))])
    shard, entries = TriageShard(RuleBook(PUBLISHED)), dict[str, bytes | None]()
    for record in log[:2]:
        entries |= shard.step(record).changed
    restored = TriageShard(RuleBook(PUBLISHED))
    for key, value in entries.items():
        restored.restore(key, value)
    gate = hello.captured_at + timedelta(milliseconds=350)
    for one in (shard, restored):
        given = verdicts([output for record in log[2:] for output in one.step(record).outputs])
        assert [verdict.gate_time for verdict in given] == [gate, gate]
    assert [verdict.gate_time for verdict in said((0, HELLO), *GOOD)] == [None]


def test_a_gate_that_no_calendar_has_costs_no_verdict() -> None:
    (verdict,) = said((0, announced(PART, RULES, MODELS, gate_time_s=1e300)), *GOOD)
    assert (verdict.disposition, verdict.gate_time) == ("pass", None)


def test_state_of_a_program_that_knew_no_gate_is_read() -> None:
    part = triage.announce(
        announced(PART, RULES, MODELS, tool="m2"), "unknown_policy", "x", triage.Moment(now_ms=1, append_ms=1, offset=1)
    ).part
    older = json.loads(memory.dump(part))
    assert older["p"].pop() is None
    assert memory.load(json.dumps(older).encode()) == part


def test_while_something_waits_the_clock_of_the_log_never_goes_back() -> None:
    before = log_of([(-30, HELLO), (-29, tick()), (-40, announced(OTHER, RULES, MODELS))])
    shard, entries = TriageShard(RuleBook(PUBLISHED)), dict[str, bytes | None]()
    for record in before:
        entries |= shard.step(record).changed
    restored = TriageShard(RuleBook(PUBLISHED))
    for key, value in entries.items():
        restored.restore(key, value)
    after = log_of([(-40, tick()), (-26, tick()), (-25.001, tick()), (-25, tick())])
    for one in (shard, restored):
        assert [len(one.step(record).outputs) for record in after] == [1, 0, 0, 1]


def test_where_nothing_waits_a_broker_clock_that_was_wrong_does_no_harm_and_ticks_write_nothing() -> None:
    shard = TriageShard(RuleBook(PUBLISHED))
    assert [shard.step(record) for record in log_of([(9000, tick())])] == [NOTHING]
    outputs = [output for record in log_of([(0, HELLO), *GOOD]) for output in shard.step(record).outputs]
    assert [verdict.disposition for verdict in verdicts(outputs)] == ["pass"]
    assert [shard.step(record) for record in log_of([(1, tick())])] == [NOTHING]


def of_another_version() -> Message:
    said = anomaly(PART, MODELS)
    return said.model_copy(update={"model": said.model.model_copy(update={"version": 9})})


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (failed(PART, "anomaly", "classification"), "stage_failed"),
        (failed(PART, "classification", view=None), "stage_failed"),
        (of_another_version(), "wrong_model"),
    ],
)
def test_what_cannot_come_any_more_is_no_verdict_at_once(message: Message, code: str) -> None:
    events = [(0.0, HELLO), (0.1, message), (0.2, classification(PART, MODELS)), (0.3, anomaly(PART, MODELS)), (6.0, tick())]
    (verdict,) = said(*events)
    assert (verdict.disposition, codes(verdict)) == ("no_verdict", [code])
    assert verdict.decided_at == from_millis(T0_MS + 100)


def test_a_failure_after_the_evidence_changes_nothing() -> None:
    events = [(0.0, HELLO), GOOD[0], (0.15, failed(PART, "anomaly", "segmentation", reason="expired")), GOOD[1]]
    assert [verdict.disposition for verdict in said(*events)] == ["pass"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"policy": "0" * 64}, "unknown_policy"),
        ({"model_set": "0" * 64}, "unknown_model_set"),
        ({"views_expected": 2}, "missing_view"),
        ({"product": "cloth"}, "policy_mismatch"),
        ({"views": (HELLO.views[0].model_copy(update={"view": "v9"}),)}, "policy_mismatch"),
    ],
)
def test_what_can_never_be_judged_is_said_at_once_and_stays(changes: dict[str, Any], code: str) -> None:
    hello = HELLO.model_copy(update=changes)
    outputs, _ = play(log_of([(0, hello), *GOOD, (6, tick())]), PUBLISHED)
    (verdict,) = verdicts(outputs)
    assert (verdict.disposition, codes(verdict), verdict.decided_at) == ("no_verdict", [code], from_millis(T0_MS))


def test_an_unreadable_announcement_is_no_verdict_and_a_dead_letter_once() -> None:
    good = evidence_record(HELLO)
    bad = replace(good, value=b'{"product": "disc", "views": []}')
    records = [bad, evidence_record(GOOD[0][1]), bad, good]
    outputs, shard = play([appended(record, i, T0_MS + i) for i, record in enumerate(records)], PUBLISHED)
    (verdict,) = verdicts(outputs)
    assert (verdict.disposition, verdict.product, codes(verdict)) == ("no_verdict", PRODUCT, ["bad_announcement"])
    assert dead(outputs) == ["bad_data", "conflict"]
    assert (shard.tally.copies["announced"], shard.tally.conflicts["announced"]) == (1, 1)


@pytest.mark.parametrize(
    ("change", "reason", "disposition"),
    [
        ({"value": b"\xff{"}, "not_json", "no_verdict"),
        ({"value": None}, "not_json", "no_verdict"),
        ({"headers": (("ce_type", b"verdictline.evidence.anomaly.v1"),)}, "missing_header", None),
        ({"headers": ()}, "missing_header", None),
    ],
)
def test_unreadable_evidence_is_a_dead_letter_and_dooms_its_part_if_that_is_known(
    change: dict[str, Any], reason: str, disposition: str | None
) -> None:
    records = [evidence_record(HELLO), replace(evidence_record(GOOD[0][1]), **change)]
    outputs, _ = play([appended(record, i, T0_MS + i) for i, record in enumerate(records)], PUBLISHED)
    assert dead(outputs) == [reason]
    assert [(v.disposition, codes(v)) for v in verdicts(outputs)] == ([(disposition, ["bad_evidence"])] if disposition else [])


def test_types_unknown_are_ignored_and_versions_unknown_are_dead_letters() -> None:
    record = evidence_record(GOOD[0][1])

    def typed(text: bytes) -> Record:
        return replace(record, headers=tuple((k, text if k == "ce_type" else v) for k, v in record.headers))

    log = [typed(b"verdictline.evidence.actuated.v1"), typed(b"org.example.thing"), typed(b"verdictline.evidence.anomaly.v2")]
    outputs, shard = play([appended(one, i, T0_MS + i) for i, one in enumerate(log)], PUBLISHED)
    assert (dead(outputs), shard.tally.ignored) == (["unknown_version"], 2)


def test_orphans_wait_a_minute_and_then_are_dead_letters() -> None:
    outputs, shard = play(log_of([*GOOD, (59, tick()), (60.1, tick()), (60.2, HELLO)]), PUBLISHED)
    assert dead(outputs) == ["orphan", "orphan"]
    assert len(shard) == 1
    assert [verdict.disposition for verdict in said(*GOOD, (59, HELLO))] == ["pass"]


def test_copies_conflicts_and_what_lies_within_the_tolerance() -> None:
    moved = GOOD[0][1].model_copy(update={"latency_ms": 99.0})
    near, far = anomaly(PART, MODELS, 0.1 + 5e-4), anomaly(PART, MODELS, 0.2)
    shadow = anomaly(PART, model_set("anomaly"), 5.0)
    events = [(0.0, HELLO), GOOD[0], (0.1, moved), (0.1, near), (0.1, far), (0.1, shadow), GOOD[1], (0.3, HELLO)]
    outputs, shard = play(log_of(events), PUBLISHED)
    assert [verdict.disposition for verdict in verdicts(outputs)] == ["pass"]
    assert (dict(shard.tally.copies), dict(shard.tally.conflicts)) == ({"anomaly": 2, "announced": 1}, {"anomaly": 1})
    assert dead(outputs) == ["conflict"]
    assert shard.tally.ignored == 1


def test_geometry_is_asked_for_where_it_decides_with_region_and_deadline() -> None:
    heat = np.zeros((32, 32))
    heat[10:14, 20:23] = 4
    strange: AnomalyV1 = anomaly(PART, MODELS, 2.0, heat=heat)
    events = [
        (0, HELLO),
        (0.1, classification(PART, MODELS, "scratch")),
        (0.2, strange),
        (0.3, segmentation(PART, MODELS, instance(3))),
    ]
    outputs, _ = play(log_of(events), PUBLISHED)
    request = SegmentRequestV1.read(outputs[0].value or b"")
    assert request.region == Region(x0=380, y0=180, x1=480, y1=300)
    assert (request.why, request.label, request.mm_per_px) == ("class", "scratch", 0.1)
    assert request.due == from_millis(T0_MS + 5000)
    (verdict,) = verdicts(outputs)
    assert (verdict.disposition, codes(verdict)) == ("scrap", ["defect", "size"])
    lost = said(*events[:3], (0.3, failed(PART, "segmentation", by="segmentation")))
    assert [(v.disposition, codes(v)) for v in lost] == [("no_verdict", ["stage_failed"])]


def test_two_views_are_judged_together_and_a_foreign_view_is_a_dead_letter() -> None:
    hello = announced(PART, RULES, MODELS, views=("v1", "v2"))
    second = [(0.3, anomaly(PART, MODELS, view="v2")), (0.4, classification(PART, MODELS, "dent", view="v2"))]
    outputs, _ = play(log_of([(0, hello), *GOOD, (0.25, anomaly(PART, MODELS, view="v7")), *second]), PUBLISHED)
    assert [(v.disposition, v.label, v.decided_at) for v in verdicts(outputs)] == [("scrap", "dent", from_millis(T0_MS + 400))]
    assert dead(outputs) == ["unknown_view"]


def test_a_person_releases_and_what_is_bad_afterwards_is_containment() -> None:
    release = (6.0, reviewed(PART, 1, "pass"))
    _, second, third = said((0, HELLO), GOOD[0], (5, tick()), release, (7, classification(PART, MODELS, "dent")))
    assert (second.disposition, second.decided_by, second.who, second.late) == ("pass", "person", "ada", False)
    assert (third.revision, third.disposition, third.late, codes(third)) == (3, "scrap", True, ["containment", "late", "defect"])
    assert "serial S1" in third.reasons[0].detail
    assert len(said((0, HELLO), GOOD[0], (5, tick()), release, (7, classification(PART, MODELS)))) == 2
    passed, scrapped = said((0, HELLO), *GOOD, (1, reviewed(PART, 1, "scrap", why="crack")))
    assert (passed.disposition, scrapped.disposition, codes(scrapped)) == ("pass", "scrap", ["containment", "person"])


def test_a_review_of_another_revision_is_stale_and_kept_as_a_dead_letter() -> None:
    events = [
        (0.0, HELLO),
        (0.05, reviewed(PART, 1)),
        *GOOD,
        (1.0, reviewed(PART, 1, "scrap")),
        (1.1, reviewed(PART, 1, who="bob")),
    ]
    outputs, shard = play(log_of([*events, (1.2, events[4][1])]), PUBLISHED)
    assert [verdict.revision for verdict in verdicts(outputs)] == [1, 2]
    assert dead(outputs) == ["stale_review", "stale_review"]
    assert shard.tally.copies["reviewed"] == 1


def test_after_ten_minutes_only_the_number_is_left_and_a_review_still_counts() -> None:
    shot = from_millis(T0_MS)
    copied = {"announced_at": shot, "captured_at": shot, "serial": "S1", "tool": "m2", "visit": 2, "previous": OTHER}
    later = reviewed(PART, 1, "scrap", supersedes="pass", **copied)
    events = [(0.0, HELLO), *GOOD, (600.3, tick()), (601.0, HELLO), (601.1, GOOD[0][1])]
    outputs, shard = play(log_of([*events, (900, reviewed(PART, 1, "scrap", who="bob")), (901, later), (902, later)]), PUBLISHED)
    assert (shard.tally.copies["announced"], shard.tally.copies["anomaly"], shard.tally.copies["reviewed"]) == (1, 1, 1)
    assert dead(outputs) == ["forgotten"]
    first, second = verdicts(outputs)
    assert (first.disposition, second.disposition, second.revision) == ("pass", "scrap", 2)
    assert codes(second) == ["containment", "person"]
    assert {name: getattr(second, name) for name in copied} == copied
    stale = reviewed(PART, 1, "pass", announced_at=shot, who="eve")
    again = reviewed(PART, 2, "pass", announced_at=shot, who="eve")
    more = log_of([(2000, stale), (2001, again), (7 * 86400 + 3000, tick())])
    outputs = [output for record in more for output in shard.step(record).outputs]
    assert (dead(outputs), [verdict.revision for verdict in verdicts(outputs)]) == (["stale_review"], [3])
    assert len(shard) == 0


def test_geometry_is_asked_for_once_a_view() -> None:
    hello = announced(PART, RULES, MODELS, views=("v1", "v2"))
    first = [(0.1, anomaly(PART, MODELS)), (0.2, classification(PART, MODELS, "scratch"))]
    second = [(0.3, anomaly(PART, MODELS, view="v2")), (0.4, classification(PART, MODELS, "scratch", view="v2"))]
    outputs, _ = play(log_of([(0, hello), *first, *second]), PUBLISHED)
    assert [SegmentRequestV1.read(record.value or b"").view for record in outputs] == ["v1", "v2"]


def test_evidence_that_names_another_inspection_than_its_subject_is_a_dead_letter() -> None:
    foreign = evidence_record(GOOD[1][1])
    foreign = replace(foreign, headers=evidence_record(classification(OTHER, MODELS)).headers)
    records = [evidence_record(HELLO), evidence_record(GOOD[0][1]), foreign]
    outputs, _ = play([appended(record, i, T0_MS + i) for i, record in enumerate(records)], PUBLISHED)
    assert (dead(outputs), verdicts(outputs)) == (["bad_data"], [])


def test_what_waits_for_an_announcement_is_bounded() -> None:
    views = [anomaly(PART, MODELS, view=f"v{n}") for n in range(100)]
    outputs, shard = play(log_of([(0, view) for view in views]), PUBLISHED)
    assert 0 < dead(outputs).count("orphan") < 100
    (held,) = shard._states.values()
    assert not isinstance(held, bytes)
    assert len(memory.dump(held)) < 600_000


def test_more_instances_than_fit_into_a_record_are_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    hello = announced(PART, RULES, MODELS, views=("v1", "v2"))
    many = [instance(length_mm=1.0)] * 500
    events: list[tuple[float, Message]] = [(0, hello)]
    for view in ("v1", "v2"):
        events += [(0.1, anomaly(PART, MODELS, view=view)), (0.2, classification(PART, MODELS, "scratch", view=view))]
    events += [(0.3, segmentation(PART, MODELS, *many, view=view)) for view in ("v1", "v2")]
    assert [verdict.disposition for verdict in said(*events)] == ["rework"]
    monkeypatch.setattr(triage, "MOST_INSTANCES", 999)
    assert [(v.disposition, codes(v)) for v in said(*events)] == [("no_verdict", ["bad_evidence"])]


def test_the_audit_share_of_the_passes_is_marked() -> None:
    rules = policy(audit_fraction=0.5)
    models = model_set("anomaly", "classification")
    events: list[tuple[float, Message]] = []
    for n in range(200):
        part = f"{STATION}:1700000000000-{n:012d}"
        kind = "good" if n % 2 else "dent"
        events += [(n, announced(part, rules, models)), (n, anomaly(part, models)), (n, classification(part, models, kind))]
    judged = verdicts(play(log_of(events), Published(rules, models))[0])
    assert 30 <= sum(verdict.audit for verdict in judged) <= 70
    assert all(verdict.disposition == "pass" for verdict in judged if verdict.audit)
