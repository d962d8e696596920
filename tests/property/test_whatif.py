"""A policy tried on kept evidence says what triage would have said; and parts with equal crossings are judged alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.common import digest
from schemas.envelope import Received
from schemas.evidence import AnnouncedV1, SegmentationV1
from schemas.policy import PolicyV1
from schemas.verdict import VerdictV1
from streams.judgement.crossings import ALONE, Columns, crossings
from streams.judgement.retained import UNDECIDED, Retained, SeenView, would
from streams.judgement.rules import rules_of
from streams.judgement.trial import Trial
from streams.wiring.adapters.database import ask_monitors
from streams.wiring.adapters.database.ask_evidence import stretches
from streams.wiring.adapters.database.connection import reading
from streams.wiring.adapters.database.scope import Scope
from streams.wiring.adapters.database.store import Store
from streams.wiring.trying import Versions, try_policy
from tests.helpers.database import fresh_engine, write
from tests.helpers.evidence_log import Published, log_of, play, tick, verdicts
from tests.helpers.history import MODELS, RULES, history, parts
from tests.helpers.judgement import CALIBRATION, CLASSES, model_set, policy

N = 150
EVERYWHERE = Scope(purposes=())


def tried(new: PolicyV1, seed: int, folder: Path, records: Sequence[Received] = ()) -> Trial:
    engine = fresh_engine(None, folder)
    write(Store(engine), records or history(N, seed), 1000)
    with reading(engine) as connection:
        known = Versions(policies=ask_monitors.policies(connection), model_sets=ask_monitors.model_sets(connection), truths={})
        trial = try_policy(new, stretches(connection, EVERYWHERE, size=37), known)
    engine.dispose()
    return trial


def first_verdicts(rules: PolicyV1, seed: int) -> dict[str, str]:
    """What triage says of the same evidence where the announcements name these rules."""
    events = [(at, _stamped(message, rules)) for at, message in parts(N, seed)]
    events.append((N + 1000.0, tick()))
    said = verdicts(play(log_of(events), Published(rules, MODELS))[0])
    return {verdict.inspection: verdict.disposition for verdict in said if verdict.revision == 1}


def _stamped(message: Any, rules: PolicyV1) -> Any:
    if not isinstance(message, AnnouncedV1):
        return message
    return message.model_copy(update={"policy": digest(rules), "decide_within_s": rules.decide_within_s})


POLICIES: Mapping[str, Mapping[str, Any]] = {
    "the same": {},
    "stricter": {"anomaly": {"alpha": 0.15}},
    "laxer": {"anomaly": {"alpha": 0.02}},
    "another class threshold": {
        "classes": {
            "good": {"threshold": 0.4, "disposition": "pass"},
            "scratch": {"threshold": 0.3, "disposition": "scrap", "geometry": True},
            "dent": {"threshold": 0.9, "disposition": "rework"},
        }
    },
    "no geometry": {"geometry": None, "classes": {name: {"threshold": 0.5, "disposition": d}
                    for name, d in zip(CLASSES, ("pass", "rework", "scrap"), strict=True)}},
    "other sizes": {"geometry": {"mm_per_px": {"*": 0.1}, "unknown_above_px": 15_000,
                    "rules": [{"measure": "length_mm", "at_least": 1, "disposition": "scrap"},
                              {"measure": "count", "at_least": 2, "disposition": "rework"}]}},
    "more time": {"decide_within_s": 60},
    "less time": {"decide_within_s": 0.05},
    "unknown passes": {"unknown": "pass"},
}  # fmt: skip


@pytest.mark.parametrize("name", POLICIES)
def test_it_says_what_triage_would_have_said(name: str, tmp_path: Path) -> None:
    new = PolicyV1.model_validate({**RULES.model_dump(exclude_none=True), **POLICIES[name], "title": name})
    trial = tried(new, 1, tmp_path)
    then, now = first_verdicts(RULES, 1), first_verdicts(new, 1)
    assert trial.parts == N
    assert trial.left_out == {}
    changed = {(one.inspection, one.was, one.would_be) for one in trial.changes}
    undecided = trial.undecided.total()
    really = {(part, then[part], now[part]) for part in then if then[part] != now[part]}
    assert changed <= really
    assert trial.judged + undecided == N
    assert len(really - changed) <= undecided
    assert undecided <= 12
    if name in ("stricter", "laxer", "another class threshold", "other sizes", "no geometry", "less time"):
        assert len(changed) >= 3


def test_a_policy_that_asks_what_was_never_measured_says_so(tmp_path: Path) -> None:
    unsized = {**RULES.model_dump(exclude_none=True), "geometry": None}
    unsized["classes"] = {name: {**rule, "geometry": False} for name, rule in unsized["classes"].items()}
    then = PolicyV1.model_validate({key: value for key, value in unsized.items() if value is not None})
    records = [r for r in history(N, 2, then) if r.header("ce_type") != SegmentationV1.TYPE]
    trial = tried(RULES, 2, tmp_path, records)
    assert trial.left_out == {}
    assert {why for why, _ in trial.undecided} == {"not_measured"}
    rework = [VerdictV1.read(r.value or b"") for r in records if r.topic == "verdict.v1"]
    scratched = [v for v in rework if v.revision == 1 and v.disposition == "rework"]
    assert trial.undecided["not_measured", "rework"] == len(scratched) > 5
    assert ("not_measured", "pass") not in trial.undecided


def test_sizes_in_another_scale_are_not_used(tmp_path: Path) -> None:
    scaled = {**RULES.model_dump(exclude_none=True), "title": "another lens"}
    scaled["geometry"] = {**scaled["geometry"], "mm_per_px": {"*": 0.2}}
    assert {why for why, _ in tried(PolicyV1.model_validate(scaled), 2, tmp_path).undecided} == {"other_scale"}


def test_a_policy_that_does_not_fit_the_models_decides_nothing(tmp_path: Path) -> None:
    trial = tried(policy(anomaly=None), 3, tmp_path)
    assert {why for why, _ in trial.undecided} == {"policy_mismatch"}
    assert trial.undecided.total() == trial.parts == N


def test_recorded_verdicts_are_counted_as_they_were_said(tmp_path: Path) -> None:
    trial = tried(RULES, 4, tmp_path)
    said = [VerdictV1.read(r.value or b"") for r in history(N, 4) if r.topic == "verdict.v1"]
    first = [one.disposition for one in said if one.revision == 1]
    assert trial.was() == trial.would_be()
    assert sum(trial.was().values()) == len(first) == N
    assert trial.was() == {name: first.count(name) for name in set(first)}
    assert trial.changes == []


GRID = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0])
STATES = ("active", "stale")
SHARES = st.lists(GRID, min_size=3, max_size=3)


@st.composite
def policies(draw: st.DrawFn) -> PolicyV1:
    kinds = {
        name: {
            "threshold": draw(GRID),
            "disposition": "pass" if name == "good" else draw(st.sampled_from(["pass", "rework", "scrap", "review"])),
            "geometry": name != "good" and draw(st.booleans()),
        }
        for name in CLASSES
    }
    geometry: dict[str, Any] = {"unknown_above_px": draw(st.sampled_from([None, 1, 5000])), "rules": []}
    return policy(
        classes=kinds,
        geometry=geometry,
        anomaly={"alpha": draw(st.sampled_from([0.05, 0.1, 0.5]))},
        unknown=draw(st.sampled_from(["pass", "review", "scrap"])),
        decide_within_s=draw(st.sampled_from([1.0, 5.0])),
        baseline={"stale": {"do": draw(st.sampled_from(["annotate", "hold"]))}},
    )


@settings(max_examples=60, deadline=None)
@given(policies(), policies(), st.data())
def test_equal_crossings_are_judged_alike(old: PolicyV1, new: PolicyV1, data: st.DataObject) -> None:
    """Values lie on limits, and shares are equal to each other, on purpose."""
    models = model_set("anomaly", "classification", "segmentation")
    own, rules = rules_of(old, models), rules_of(new, models)
    scores = st.sampled_from([0.0, 0.5, 0.9, 0.90001, 0.95, 1.0, *CALIBRATION[48:52]])
    times = st.sampled_from([1, 999_999, 1_000_000, 4_999_999, 5_000_000])
    seen = [
        SeenView(
            score=data.draw(st.one_of(st.none(), scores)),
            score_us=data.draw(times),
            probabilities=data.draw(st.one_of(st.none(), SHARES.map(lambda p: dict(zip(sorted(CLASSES), p, strict=True))))),
            kind_us=data.draw(times),
        )
        for _ in range(30)
    ]
    columns = _columns(seen)
    state = data.draw(st.sampled_from(STATES))
    for pair, mine in (((own, own), own), ((rules, own), rules)):
        due_us = np.full(len(seen), round(mine.policy.decide_within_s * 1e6))
        answers: dict[int, set[str]] = {}
        for number, one in zip(crossings(mine, columns, due_us).tolist(), seen, strict=True):
            if number != ALONE:
                answers.setdefault(number, set()).add(would(pair[0], _part(one, old, state), pair[1]))
        assert all(len(found) == 1 for found in answers.values()), answers


def _part(seen: SeenView, old: PolicyV1, state: Any) -> Retained:
    return Retained(
        inspection="plant/line-1/cam-1:1-000000000001",
        purpose="production",
        announced_us=0,
        decide_within_s=old.decide_within_s,
        views_expected=1,
        frames={"v1": (640, 640)},
        states={"v1": state},
        views={"v1": seen},
    )


def _columns(seen: list[SeenView]) -> Columns:
    names = sorted(CLASSES)
    nothing = [np.nan] * len(names)
    return Columns(
        views=["v1"],
        classes=names,
        view=np.zeros(len(seen), np.int64),
        score=np.array([np.nan if one.score is None else one.score for one in seen]),
        score_us=np.array([one.score_us for one in seen]),
        shares=np.array([[one.probabilities[n] for n in names] if one.probabilities else nothing for one in seen]),
        kind_us=np.array([one.kind_us for one in seen]),
        odd=np.zeros(len(seen), bool),
    )


def test_a_baseline_that_is_doubted_holds_passes_in_the_trial_too() -> None:
    held = policy(baseline={"stale": {"do": "hold"}}, classes={})
    rules = rules_of(held, model_set("anomaly"))
    assert rules.faults == ()
    seen = SeenView(score=0.1, score_us=1)
    stale, active = (_part(seen, held, state) for state in ("stale", "active"))
    assert would(rules, stale, rules) == "review"
    assert would(rules, active, rules) == "pass"
    assert would(rules, replace(stale, purpose="challenge"), rules) == "pass"


def test_undecided_is_no_disposition() -> None:
    assert not set(UNDECIDED) & {"pass", "rework", "scrap", "review", "no_verdict"}
