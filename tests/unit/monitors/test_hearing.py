"""What of a part's anomaly evidence the monitor judges, and what it only witnesses."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.evidence import UNPAINTED, ChallengeStampV1
from streams.monitors.hearing import scored
from tests.helpers.scores import score_evidence

STAMP: dict[str, Any] = {"set": "s", "part": "g1", "proof": "digital", "kind": "golden"}


def heard(**changes: Any) -> tuple[bool, bool]:
    """(has a score, is a golden part)."""
    part = scored(score_evidence(3, **changes), 100)
    return part.score is not None, part.golden is not None


@pytest.mark.parametrize("purpose", ["setup", "study", "rework", "reinspection", "challenge"])
def test_only_production_is_judged(purpose: str) -> None:
    assert heard() == (True, False)
    assert heard(purpose=purpose) == (False, False)


def test_golden_parts_witness_and_unpainted_parts_of_a_limit_set_do_not() -> None:
    assert heard(purpose="challenge", challenge=ChallengeStampV1(**STAMP)) == (True, True)
    assert heard(purpose="challenge", challenge=ChallengeStampV1(**STAMP, label=UNPAINTED)) == (False, False)
    assert heard(purpose="challenge", challenge=ChallengeStampV1(**{**STAMP, "kind": "defect"})) == (False, False)
    assert heard(challenge=None) == (True, False)
