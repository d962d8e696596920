"""What a baseline that is not active does to verdicts: annotated, audited or held, by state, view and purpose."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.common import BaselineState, Disposition, Message, digest
from schemas.evidence import ChallengeStampV1
from schemas.policy import PolicyV1, ReactionV1
from schemas.verdict import VerdictV1
from streams.judgement import memory
from streams.judgement.facts import Judgement, Why, strictness
from streams.judgement.part import Job, Part
from streams.judgement.rules import rules_of
from streams.judgement.shard import TriageShard
from streams.judgement.standing import audit_share, rate_is_valid, react
from streams.judgement.versions import RuleBook
from tests.helpers.evidence_log import Published, log_of, play, tick, verdicts
from tests.helpers.judgement import (
    STATION,
    announced,
    anomaly,
    classification,
    failed,
    model_set,
    policy,
    reviewed,
    stamp,
)

PART = f"{STATION}:1700000000000-000000000007"
MODELS = model_set("anomaly", "classification")
HOLD, AUDIT_ALL, ANNOTATE = {"do": "hold"}, {"do": "audit", "audit_fraction": 1.0}, {"do": "annotate"}
RED_RABBIT = ChallengeStampV1(set="shift-1", part="rabbit-3", proof="digital", kind="defect")


def told(rules: PolicyV1, states: dict[str, BaselineState], *more: tuple[float, Message], **changes: Any) -> list[VerdictV1]:
    """The verdicts on a good part whose views stand on baselines in these states."""
    views = tuple(states)
    stamps = {view: stamp(STATION, view, state) for view, state in states.items()}
    hello = announced(PART, rules, MODELS, views=views, **({"baselines": stamps} | changes))
    seen: list[tuple[float, Message]] = [(0.1, anomaly(PART, MODELS, view=view)) for view in views]
    seen += [(0.2, classification(PART, MODELS, view=view)) for view in views]
    return verdicts(play(log_of([(0, hello), *seen, *more]), Published(rules, MODELS))[0])


def reasons(verdict: VerdictV1) -> list[tuple[str | None, str]]:
    return [(why.view, why.code) for why in verdict.reasons]


@pytest.mark.parametrize(
    ("state", "do", "disposition", "audit", "code"),
    [
        ("active", HOLD, "pass", False, None),
        ("provisional", ANNOTATE, "pass", False, "baseline_provisional"),
        ("suspect", ANNOTATE, "pass", False, "baseline_suspect"),
        ("stale", AUDIT_ALL, "pass", True, "baseline_stale"),
        ("suspect", HOLD, "review", False, "baseline_suspect"),
        ("stale", HOLD, "review", False, "baseline_stale"),
        ("retired", HOLD, "review", False, "baseline_retired"),  # as provisional
    ],
)
def test_by_state(state: BaselineState, do: dict[str, Any], disposition: str, audit: bool, code: str | None) -> None:
    rules = policy(baseline={"provisional" if state in ("active", "retired") else state: do})
    (verdict,) = told(rules, {"v1": state})
    assert (verdict.disposition, verdict.audit, verdict.label) == (disposition, audit, "good")
    expected = [(None, "all_good")] if disposition == "pass" else []
    assert reasons(verdict) == expected + ([("v1", code)] if code else [])
    assert verdict.baselines == {"v1": stamp(STATION, "v1", state)}
    assert verdict.false_reject_rate_valid is (state == "active")


def test_of_several_views_the_strictest_reaction_counts_and_the_largest_share() -> None:
    rules = policy(
        audit_fraction=0.3,
        baseline={"provisional": {"do": "audit", "audit_fraction": 0.2}, "suspect": AUDIT_ALL, "stale": HOLD},
    )
    (audited,) = told(rules, {"v1": "provisional", "v2": "suspect"})
    assert (audited.disposition, audited.audit) == ("pass", True)
    assert reasons(audited) == [(None, "all_good"), ("v1", "baseline_provisional"), ("v2", "baseline_suspect")]
    (held,) = told(rules, {"v1": "provisional", "v2": "stale"})
    assert (held.disposition, held.audit) == ("review", False)
    assert reasons(held) == [("v2", "baseline_stale"), ("v1", "baseline_provisional")]  # what holds it comes first


def test_the_policys_own_share_stays_where_it_is_higher() -> None:
    rules = rules_of(policy(audit_fraction=0.3, baseline={"suspect": {"do": "audit", "audit_fraction": 0.2}}), MODELS)
    assert [audit_share(rules, job("suspect")), audit_share(rules, job("active"))] == [0.3, 0.3]
    loud = rules_of(policy(audit_fraction=0.1, baseline={"suspect": {"do": "audit", "audit_fraction": 0.2}}), MODELS)
    assert [audit_share(loud, job("suspect")), audit_share(loud, job("stale"))] == [0.2, 0.1]


@pytest.mark.parametrize("purpose", ["production", "rework", "reinspection"])
def test_every_part_that_is_delivered_is_held(purpose: str) -> None:
    assert [v.disposition for v in told(policy(baseline={"stale": HOLD}), {"v1": "stale"}, purpose=purpose)] == ["review"]


@pytest.mark.parametrize("purpose", ["challenge", "study", "setup"])
def test_others_show_what_the_models_say(purpose: str) -> None:
    known = {"challenge": RED_RABBIT} if purpose == "challenge" else {}
    rules = policy(baseline={"stale": HOLD, "provisional": AUDIT_ALL})
    (verdict,) = told(rules, {"v1": "stale", "v2": "provisional"}, purpose=purpose, **known)
    assert (verdict.disposition, verdict.audit, reasons(verdict)) == ("pass", False, [(None, "all_good")])
    assert (verdict.false_reject_rate_valid, verdict.challenge) == (False, known.get("challenge"))


def test_a_view_that_nobody_could_stamp_is_provisional() -> None:
    (verdict,) = told(policy(baseline={"provisional": HOLD}), {"v1": "active"}, baselines={})
    assert (verdict.disposition, reasons(verdict)) == ("review", [("v1", "baseline_provisional")])
    assert (verdict.baselines, verdict.false_reject_rate_valid) == ({}, False)


def test_without_an_anomaly_model_there_is_no_baseline_to_doubt() -> None:
    rules, models = policy(anomaly=None, baseline={"provisional": HOLD}), model_set("classification")
    log = log_of([(0, announced(PART, rules, models)), (0.1, classification(PART, models))])
    (verdict,) = verdicts(play(log, Published(rules, models))[0])
    assert (verdict.disposition, verdict.baselines, verdict.false_reject_rate_valid) == ("pass", {}, None)


def test_no_verdict_and_what_a_person_says_carry_the_baselines_too() -> None:
    rules, states = policy(baseline={"stale": HOLD}), {"v1": stamp(STATION, "v1", "stale")}
    lost = [(0, announced(PART, rules, MODELS, baselines=states)), (0.1, failed(PART, "anomaly"))]
    log = log_of([*lost, (1, reviewed(PART, 1, "pass"))])
    judged = verdicts(play(log, Published(rules, MODELS))[0])
    assert [(v.disposition, v.decided_by) for v in judged] == [("no_verdict", "policy"), ("pass", "person")]
    assert all(v.baselines == states and v.false_reject_rate_valid is False for v in judged)
    unknown = announced(PART, rules, MODELS, baselines=states, policy="0" * 64)
    (verdict,) = verdicts(play(log_of([(0, unknown)]), Published(rules, MODELS))[0])
    assert (verdict.baselines, verdict.false_reject_rate_valid) == (states, False)


def test_a_hold_does_not_take_back_what_a_person_released() -> None:
    rules = policy(baseline={"stale": HOLD})
    hello = announced(PART, rules, MODELS, baselines={"v1": stamp(STATION, "v1", "stale")})
    late = [(0, hello), (0.1, anomaly(PART, MODELS)), (5, tick()), (6, reviewed(PART, 1)), (7, classification(PART, MODELS))]
    judged = verdicts(play(log_of(late), Published(rules, MODELS))[0])
    assert [v.disposition for v in judged] == ["no_verdict", "pass"]
    in_time = told(rules, {"v1": "stale"}, (1, reviewed(PART, 1, "pass")))
    assert [v.disposition for v in in_time] == ["review", "pass"]


def test_state_of_the_program_before_stamps_is_read() -> None:
    shard = TriageShard(RuleBook(Published(policy(), MODELS)))
    known: dict[str, Any] = {"purpose": "challenge", "challenge": RED_RABBIT}
    packed = shard.step(log_of([(0, announced(PART, policy(), MODELS, **known))])[0]).changed[PART]
    assert packed is not None
    whole = memory.load(packed)
    assert isinstance(whole, Part)
    assert (whole.job.challenge, whole.job.baselines) == (RED_RABBIT, {"v1": stamp(STATION, "v1")})
    data = json.loads(packed)
    data["p"] = data["p"][:16]
    before = memory.load(json.dumps(data).encode())
    assert isinstance(before, Part)
    assert (before.job.challenge, before.job.baselines, before.job.frames) == (None, {}, whole.job.frames)


def job(*states: BaselineState, purpose: Any = "production") -> Job:
    views = [f"v{n}" for n in range(len(states))]
    return Job(
        inspection=PART,
        station=STATION,
        product="disc",
        purpose=purpose,
        announced_ms=0,
        due_ms=5000,
        policy=digest(policy()),
        frames={view: (640, 640) for view in views},
        baselines={view: stamp(STATION, view, state) for view, state in zip(views, states, strict=True)},
    )


STATES: st.SearchStrategy[BaselineState] = st.sampled_from(["provisional", "active", "suspect", "stale", "retired"])
REACTIONS = st.sampled_from([ANNOTATE, AUDIT_ALL, {"do": "audit", "audit_fraction": 0.1}, HOLD])
DISPOSITIONS: st.SearchStrategy[Disposition] = st.sampled_from(["pass", "review", "rework", "scrap"])


@given(
    st.lists(STATES, min_size=1, max_size=4),
    st.fixed_dictionaries({"provisional": REACTIONS, "suspect": REACTIONS, "stale": REACTIONS}),
    st.sampled_from(["production", "setup", "challenge", "study", "rework", "reinspection"]),
    DISPOSITIONS,
    st.floats(0, 1),
)
def test_never_more_lenient_and_only_passes_are_touched(
    states: list[BaselineState], reactions: dict[str, Any], purpose: str, disposition: Disposition, share: float
) -> None:
    rules = rules_of(policy(baseline=reactions, audit_fraction=share), MODELS)
    before, of = Judgement(disposition=disposition, label="good", reasons=(Why(code="all_good"),)), job(*states, purpose=purpose)
    after = react(rules, of, before)
    assert strictness(after.disposition) >= strictness(disposition)
    assert after.reasons
    assert after.label == "good"
    assert after == before or disposition == "pass"
    assert audit_share(rules, of) >= share
    assert rate_is_valid(rules, of) is (set(states) == {"active"})
    held = any(ReactionV1.model_validate(reactions[one]).do == "hold" for one in map(as_ruled, states) if one)
    if disposition == "pass" and purpose in ("production", "rework", "reinspection"):
        assert (after.disposition == "review") is held
    else:
        assert after == before


def as_ruled(state: BaselineState) -> str | None:
    return {"active": None, "retired": "provisional"}.get(state, state)
