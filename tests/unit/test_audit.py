"""Which passes go to blind review: by p-value, with a probability that the verdict says, the same in every replay."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from schemas.common import Message, digest
from schemas.policy import PolicyV1
from schemas.verdict import VerdictV1
from streams.judgement.audit import drawn_for_audit
from tests.helpers.evidence_log import Published, log_of, play, verdicts
from tests.helpers.judgement import STATION, announced, anomaly, classification, model_set, policy, reviewed, stamp

MODELS = model_set("anomaly", "classification")
STEPS = [{"p_at_most": 0.2, "audit_fraction": 0.5}, {"p_at_most": 0.5, "audit_fraction": 0.1}]
WEIGHTED = policy(audit_fraction=0.02, audit_steps=STEPS)
PART = f"{STATION}:1700000000000-000000000007"


def told(rules: PolicyV1, *scores: float, part: str = PART, more: list[Message] | None = None, **changes: Any) -> list[VerdictV1]:
    """The verdicts on a good part with these anomaly scores, a view each."""
    views = tuple(f"v{n + 1}" for n in range(len(scores)))
    seen: list[Message] = [anomaly(part, MODELS, score, view) for view, score in zip(views, scores, strict=True)]
    seen += [classification(part, MODELS, view=view) for view in views]
    log = log_of([(0, announced(part, rules, MODELS, views=views, **changes)), *((0.1, one) for one in [*seen, *(more or [])])])
    return verdicts(play(log, Published(rules, MODELS))[0])


def test_audit_draws_its_share_and_always_the_same_parts() -> None:
    drawn = Counter(drawn_for_audit(f"a/b/c:1-{n:012d}", 0.1) for n in range(20_000))
    assert drawn[True] == pytest.approx(2000, abs=150)
    assert not drawn_for_audit("a/b/c:1-000000000000", 0)
    assert drawn_for_audit("a/b/c:1-000000000000", 1)


@pytest.mark.parametrize(
    ("scores", "probability"),
    [
        ((0.85,), 0.5),  # p = .15
        ((0.805,), 0.5),  # p = .2: at most
        ((0.795,), 0.1),
        ((0.3,), 0.02),
        ((0.3, 0.85), 0.5),  # the stranger view counts
        ((0.3, 0.6), 0.1),
    ],
)
def test_the_stranger_a_pass_the_likelier_its_audit(scores: tuple[float, ...], probability: float) -> None:
    (verdict,) = told(WEIGHTED, *scores)
    assert (verdict.disposition, verdict.audit_probability) == ("pass", probability)
    assert verdict.audit is drawn_for_audit(PART, probability)


def test_of_several_shares_the_largest_counts() -> None:
    rules = policy(audit_fraction=0.02, audit_steps=STEPS, baseline={"suspect": {"do": "audit", "audit_fraction": 0.3}})
    doubtful: dict[str, Any] = {"baselines": {"v1": stamp(STATION, "v1", "suspect")}}
    assert [told(rules, score, **doubtful)[0].audit_probability for score in (0.85, 0.6, 0.1)] == [0.5, 0.3, 0.3]


def test_what_is_drawn_has_its_probability() -> None:
    parts = [f"{STATION}:1700000000000-{n:012d}" for n in range(1500)]
    drawn = {score: [told(WEIGHTED, score, part=part)[0].audit for part in parts[::3]] for score in (0.85, 0.6)}
    assert [sum(drawn[0.85]), sum(drawn[0.6])] == [pytest.approx(250, abs=45), pytest.approx(50, abs=27)]  # 4 sigma


def test_only_a_pass_by_the_policy_says_how_likely_its_audit_was() -> None:
    (held,) = told(WEIGHTED, 0.95)
    assert (held.disposition, held.audit, held.audit_probability) == ("review", False, None)
    passed, scrapped = told(WEIGHTED, 0.85, more=[reviewed(PART, 1, "scrap")])
    assert (passed.audit_probability, scrapped.audit_probability, scrapped.audit) == (0.5, None, False)


def test_a_policy_without_audit_writes_what_it_always_did() -> None:
    (verdict,) = told(policy(), 0.3)
    assert (verdict.audit, verdict.audit_probability) == (False, None)
    assert b"audit_probability" not in verdict.json_bytes()
    assert b"audit_steps" not in policy().json_bytes()
    assert digest(policy()) == digest(PolicyV1.read(policy().json_bytes()))


def test_a_replay_gives_the_same_bytes() -> None:
    log = log_of(
        [
            (0, announced(PART, WEIGHTED, MODELS)),
            (0.1, anomaly(PART, MODELS, 0.85)),
            (0.2, classification(PART, MODELS)),
            (0.3, reviewed(PART, 1, "scrap")),
        ]
    )
    first, second = (play(log, Published(WEIGHTED, MODELS))[0] for _ in range(2))
    assert first == second
    assert [verdict.audit_probability for verdict in verdicts(first)] == [0.5, None]
