"""Rates of true defects: what the policy said is corrected by how the policy errs, and an audit is weighed as it was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from schemas.challenge import ChallengeItemV1, ChallengeResultV1
from schemas.envelope import from_millis
from streams.monitors.spc.true_rate import Proof, lang_reiczigel
from streams.wiring.adapters.database.ask_report import First, Known, Passes
from streams.wiring.report.truth import DefectRate, defect_rates, escapes, truths
from tests.helpers.challenges import PRODUCT, STATION, T0_MS, due, stamp, verdict


def first(disposition: Any, n: int) -> First:
    return First(product=PRODUCT, first=disposition, n=n)


def known(said: Any, truth: str, n: int) -> Known:
    return Known(product=PRODUCT, first=said, audit=False, truth=truth, by="verdict", n=n)


def passes(probability: float | None, *, n: int, drawn: bool = False, bad: bool | None = None) -> Passes:
    return Passes(product=PRODUCT, probability=probability, drawn=drawn, bad=bad, n=n)


def answered(defects: int, caught: int, golden: int, passed: int) -> ChallengeResultV1:
    """Caught ones went to review."""
    kinds = [("defect", k < caught, "review" if k < caught else "pass") for k in range(defects)]
    kinds += [("golden", k < passed, "pass" if k < passed else "review") for k in range(golden)]
    asked, part = due(), verdict(1).inspection
    items = tuple(
        ChallengeItemV1(stamp=stamp(asked, "a", kind), inspection=part, disposition=disposition, caught=ok)
        for kind, ok, disposition in kinds
    )
    return ChallengeResultV1(
        station=STATION,
        product=PRODUCT,
        proof="digital",
        set=asked.set,
        trigger="manual",
        passed=False,
        items=items,
        at=from_millis(T0_MS),
    )


def rate(firsts: Sequence[First], seen: Sequence[Known], drawn: Sequence[Passes], proof: ChallengeResultV1 | None) -> DefectRate:
    (found,) = defect_rates(truths(firsts, seen, []), escapes(drawn), [proof] if proof else [])
    return found


def test_the_correction_takes_what_the_policy_said_not_what_people_made_of_it() -> None:
    """People found 150 of 180 rejects good. Sensitivity and specificity are the policy's, so 180 is what they correct."""
    firsts = [first("pass", 9820), first("scrap", 100), first("review", 80), first("no_verdict", 7)]
    found = rate(firsts, [known("scrap", "good", 100), known("review", "good", 50)], [], answered(200, 190, 1000, 995))
    assert (found.apparent.events, found.apparent.n) == (180, 10_000)
    proof = Proof(caught=190, bad=200, passed=995, good=1000)
    assert found.proof == proof
    assert found.corrected == lang_reiczigel(180, 10_000, proof)


def test_an_audit_with_one_probability_counts_as_it_is() -> None:
    firsts, seen = [first("pass", 1000), first("scrap", 20)], [known("scrap", "defect", 15), known("scrap", "good", 5)]
    drawn = [passes(0.1, n=900), passes(0.1, n=99, drawn=True, bad=False), passes(0.1, n=1, drawn=True, bad=True)]
    found = rate(firsts, seen, drawn, None).audited
    assert found is not None
    assert found.value == pytest.approx((15 + 1000 * 0.01) / 1020)


def test_an_audit_with_several_probabilities_is_weighed_by_them() -> None:
    """Passes near the threshold are drawn 50 times as often; all bad ones are there: 1 % of passes, 8.5 % of audits."""
    drawn = [
        passes(0.01, n=8910),
        passes(0.01, n=90, drawn=True, bad=False),
        passes(0.5, n=500),
        passes(0.5, n=450, drawn=True, bad=False),
        passes(0.5, n=50, drawn=True, bad=True),
    ]
    (escaped,) = escapes(drawn)
    assert escaped.method == "betting"
    assert escaped.share == pytest.approx(0.01)
    found = rate([first("pass", 10_000)], [], drawn, None).audited
    assert found is not None
    assert found.value == pytest.approx(0.01)
    assert found.low == pytest.approx(50 / 10_000)
    assert found.low < found.value < found.high == pytest.approx(escaped.high)


def test_without_the_answers_that_are_pending_there_is_no_estimate() -> None:
    drawn = [passes(0.1, n=900), passes(0.1, n=90, drawn=True, bad=False), passes(0.1, n=10, drawn=True)]
    (escaped,) = escapes(drawn)
    assert (escaped.share, escaped.waiting, escaped.claimed) == (None, 10, True)
    assert rate([first("pass", 1000)], [], drawn, None).audited is None


def test_the_weighed_interval_holds_the_truth() -> None:
    """1000 passes drawn with .1 and 200 with .5, 5 and 20 of them bad: the interval covers at least 95 % of 200 audits."""
    rng, covered = np.random.default_rng(5), 0
    for _ in range(200):
        drawn = [row for chance, good, bad in ((0.1, 995, 5), (0.5, 180, 20)) for row in _drawn(rng, chance, good, bad)]
        found = rate([first("pass", 1200)], [], drawn, None).audited
        assert found is not None
        covered += found.low <= 25 / 1200 <= found.high
    assert covered >= 190


def _drawn(rng: np.random.Generator, chance: float, good: int, bad: int) -> list[Passes]:
    fine, found = int(rng.binomial(good, chance)), int(rng.binomial(bad, chance))
    return [
        passes(chance, n=good + bad - fine - found),
        passes(chance, n=fine, drawn=True, bad=False),
        passes(chance, n=found, drawn=True, bad=True),
    ]
