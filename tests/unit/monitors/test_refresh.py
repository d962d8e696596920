"""The gate of a refresh: against the anchor, whatever came between; error rates measured."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator

from streams.monitors.baseline import Baseline
from streams.monitors.lots import normal_scores
from streams.monitors.refresh import CONF, LIMIT_SD, Ledger, gate_refresh, shown
from streams.monitors.symbols import NORMAL

ANCHOR = Baseline.fit(np.exp(0.4 * np.random.default_rng(1).normal(size=2000)).tolist(), arl0=1e5)


def sample(rng: Generator, n: int, shift: float = 0.0, scale: float = 1.0) -> Baseline:
    return Baseline.fit(np.exp(0.4 * (scale * rng.normal(size=n) + shift)).tolist(), arl0=1e5, deff=1)


def test_an_equal_sample_passes_and_a_shift_of_a_quarter_sd_does_not() -> None:
    rng = np.random.default_rng(2)
    anchors = [sample(rng, 2000) for _ in range(60)]
    equal = [gate_refresh(anchor, sample(rng, 2000), Ledger()).accepted for anchor in anchors]
    moved = [gate_refresh(anchor, sample(rng, 2000, shift), Ledger()).accepted for anchor in anchors for shift in (-0.25, 0.25)]
    assert all(equal)
    assert np.mean(moved) <= 0.09  # 5 % promised, 120 runs


def test_the_reasons_name_the_figure() -> None:
    rng = np.random.default_rng(3)
    decision = gate_refresh(ANCHOR, sample(rng, 2000, 0.6), Ledger())
    assert not decision.accepted
    assert f"{decision.shift_sd:+.2f} sd" in decision.reasons[0]
    assert decision.shift_sd == pytest.approx(0.6, abs=0.08)
    error = np.sqrt(ANCHOR.deff / 2000 + 1 / 2000)
    assert decision.bound_sd == pytest.approx(decision.shift_sd + CONF * error, rel=0.01)
    few = gate_refresh(ANCHOR, sample(rng, 100), Ledger())
    assert "the smaller has 100" in few.reasons[0]
    wide = gate_refresh(ANCHOR, sample(rng, 2000, 0.0, 1.7), Ledger())
    assert "spread" in wide.reasons[0]
    assert wide.scale > 1.25


def test_a_shift_is_measured_in_latent_units_whatever_clipping_and_ties_hide() -> None:
    """Mean of clip(Z + .25, -2, 2): .23806, by integration. On two values, half each: that of the mass that changes sides."""
    own = normal_scores(ANCHOR.sample, ANCHOR.sample)
    for shift in (-LIMIT_SD, LIMIT_SD):
        assert shown(ANCHOR, own, shift) == pytest.approx(0.23806, abs=5e-4)
    halves = Baseline.fit([1.0] * 500 + [2.0] * 500, arl0=1e5, deff=1)
    values = normal_scores(halves.sample, halves.sample)
    assert shown(halves, values, LIMIT_SD) == pytest.approx((NORMAL.cdf(0.25) - 0.5) * (values[-1] - values[0]))
    rng = np.random.default_rng(6)
    coarse = [Baseline.fit((rng.random(2000) < NORMAL.cdf(x)).tolist(), arl0=1e5, deff=1) for x in (0.0, 0.5)]
    assert gate_refresh(coarse[0], coarse[1], Ledger()).shift_sd == pytest.approx(0.5, abs=0.1)


def test_a_creep_in_small_steps_is_stopped_by_the_anchor() -> None:
    """Each step alone would pass against the sample before it."""
    rng = np.random.default_rng(4)
    ledger, shift = Ledger(), 0.0
    while (decision := gate_refresh(ANCHOR, sample(rng, 2000, shift), ledger)).accepted:
        ledger = ledger.add(decision)
        shift += 0.05
    assert 0.15 <= shift <= 0.35
    assert sum(ledger.steps_sd) == pytest.approx(ledger.total_sd)
    assert ledger.total_sd < 0.25
    assert decision.step_sd == pytest.approx(decision.shift_sd - ledger.total_sd)


def test_lots_make_a_sample_worth_less() -> None:
    rng = np.random.default_rng(5)
    many = Baseline.fit(np.exp(0.4 * rng.normal(size=2000)).tolist(), arl0=1e5, deff=40)
    assert "the smaller has 50" in gate_refresh(ANCHOR, many, Ledger()).reasons[0]


def test_a_constant_anchor_accepts_its_own_value_only() -> None:
    constant = Baseline.fit([1.0] * 500, arl0=1e5)
    assert gate_refresh(constant, Baseline.fit([1.0] * 800, arl0=1e5), Ledger()).accepted
    assert not gate_refresh(constant, Baseline.fit([1.1] * 800, arl0=1e5), Ledger()).accepted
