"""The true rate against worked examples, its edges, and how often its intervals hold it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binomtest
from statsmodels.stats.contingency_tables import mcnemar

from streams.monitors.spc.true_rate import (
    Audit,
    Proof,
    audited_rate,
    lang_reiczigel,
    none_found_bound,
    rogan_gladen,
    software_effect,
)

PROOF = Proof(caught=190, bad=200, passed=995, good=1000)


def test_rogan_gladen() -> None:
    assert round(100 * (rogan_gladen(23 / 150, 0.96, 0.89) or 0), 3) == 5.098  # R epiR, epi.prev
    assert round(100 * (rogan_gladen(0.018, 0.95, 0.995) or 0), 3) == 1.376


def test_lang_reiczigel_beside_it() -> None:
    rate = lang_reiczigel(180, 10_000, PROOF)
    assert rate is not None
    assert [round(100 * x, 3) for x in (rate.value, rate.low, rate.high)] == [1.298, 0.721, 1.872]


def test_an_inspection_no_better_than_a_coin_estimates_nothing() -> None:
    assert rogan_gladen(0.1, 0.5, 0.5) is None
    assert rogan_gladen(0.1, 0.2, 0.3) is None
    assert lang_reiczigel(10, 100, Proof(caught=1, bad=10, passed=5, good=10)) is None
    assert lang_reiczigel(0, 0, PROOF) is None
    assert lang_reiczigel(1, 10, Proof(caught=0, bad=0, passed=5, good=5)) is None


def test_fewer_rejects_than_false_alarms_alone_are_a_rate_of_0_with_an_upper_bound() -> None:
    assert rogan_gladen(0.001, 0.95, 0.99) == 0
    rate = lang_reiczigel(10, 10_000, Proof(caught=190, bad=200, passed=990, good=1000))
    assert rate is not None
    assert (rate.value, rate.low) == (0, 0)
    assert 0 < rate.high < 0.02
    assert rogan_gladen(1.0, 0.9, 0.9) == 1


@pytest.mark.parametrize(("truth", "least", "most"), [(0.002, 0.95, 0.985), (0.01, 0.95, 0.985), (0.05, 0.95, 0.985)])
def test_lang_reiczigel_covers_at_least_what_it_says(truth: float, least: float, most: float) -> None:
    rng = np.random.default_rng(17)
    runs, se, sp = 4000, 0.95, 0.995
    rejects = rng.binomial(10_000, truth * se + (1 - truth) * (1 - sp), size=runs)
    caught, passed = rng.binomial(200, se, size=runs), rng.binomial(1000, sp, size=runs)
    hits = 0
    for x, k, m in zip(rejects.tolist(), caught.tolist(), passed.tolist(), strict=True):
        rate = lang_reiczigel(x, 10_000, Proof(caught=k, bad=200, passed=m, good=1000))
        hits += rate is not None and rate.low <= truth <= rate.high
    assert least <= hits / runs <= most


def test_reviewed_rejects_and_audited_passes() -> None:
    found = audited_rate(Audit(rejects=180, confirmed=130, passes=9820, audited=500, bad=1))
    assert found is not None
    rate, escaped = found
    assert [round(100 * x, 2) for x in (rate.value, rate.low, rate.high)] == [1.50, 1.30, 2.39]
    assert (escaped.low, escaped.high) == pytest.approx((beta.ppf(0.025, 1, 500), beta.ppf(0.975, 2, 499)), abs=1e-9)


def test_what_was_not_audited_is_not_claimed() -> None:
    assert audited_rate(Audit(rejects=180, confirmed=130, passes=9820, audited=0, bad=0)) is None
    assert audited_rate(Audit(rejects=0, confirmed=0, passes=0, audited=0, bad=0)) is None
    only_rejects = audited_rate(Audit(rejects=10, confirmed=4, passes=0, audited=0, bad=0))
    assert only_rejects is not None
    assert (only_rejects[0].low, only_rejects[0].value, only_rejects[0].high) == (0.4, 0.4, 0.4)
    all_audited = audited_rate(Audit(rejects=0, confirmed=0, passes=50, audited=50, bad=1))
    assert all_audited is not None
    assert all_audited[0].low == all_audited[0].high == 0.02
    none_bad = audited_rate(Audit(rejects=0, confirmed=0, passes=900, audited=300, bad=0))
    assert none_bad is not None
    assert (none_bad[0].value, none_bad[0].low) == (0, 0)
    assert none_bad[0].high > 0
    assert none_found_bound(300) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert none_found_bound(300) == pytest.approx(beta.ppf(0.95, 1, 300))


def test_the_audits_interval_covers_at_least_what_it_says() -> None:
    rng = np.random.default_rng(23)
    truth_of_passes, hits, runs = 0.004, 0, 2000
    for bad in rng.binomial(500, truth_of_passes, size=runs).tolist():
        found = audited_rate(Audit(rejects=200, confirmed=150, passes=9800, audited=500, bad=bad))
        assert found is not None
        hits += found[0].low <= (150 + 9800 * truth_of_passes) / 10_000 <= found[0].high
    assert hits / runs >= 0.95


def test_the_effect_of_software_from_the_same_parts() -> None:
    effect = software_effect(12, 30, 20_000)
    assert round(100 * effect.change.value, 3) == 0.090
    assert round(effect.p, 4) == 0.0079
    assert effect.p == pytest.approx(mcnemar([[0, 12], [30, 0]], exact=True).pvalue)
    assert 0 < effect.change.low < effect.change.value < effect.change.high
    turned = software_effect(30, 12, 20_000)
    assert [turned.change.high, turned.p] == pytest.approx([-effect.change.low, effect.p])


@pytest.mark.parametrize(("old", "new"), [(0, 0), (5, 5), (0, 1), (1, 0), (0, 40), (3, 4)])
def test_mcnemar_is_a_binomial_test(old: int, new: int) -> None:
    expected = binomtest(new, old + new, 0.5).pvalue if old + new else 1.0
    assert software_effect(old, new, 100).p == pytest.approx(expected)


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="more than were tried"):
        Proof(caught=3, bad=2, passed=0, good=0)
    with pytest.raises(ValueError, match="do not fit"):
        Audit(rejects=1, confirmed=2, passes=0, audited=0, bad=0)
    with pytest.raises(ValueError, match="11 rejects of 10"):
        lang_reiczigel(11, 10, PROOF)
    with pytest.raises(ValueError, match="differ"):
        software_effect(6, 6, 10)
    with pytest.raises(ValueError, match="nothing was audited"):
        none_found_bound(0)
