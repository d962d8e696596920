"""What a baseline is fitted from, says of itself, and refuses."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from streams.monitors.baseline import Baseline, dump, load
from streams.monitors.detector import Score, init, step
from streams.monitors.lots import of_blocks, of_lots

RNG = np.random.default_rng(11)
SAMPLE = np.exp(0.4 * RNG.normal(size=2000)).tolist()
NAN, INF = math.nan, math.inf


def test_it_is_immutable_named_by_its_content_and_survives_json() -> None:
    baseline = Baseline.fit(SAMPLE, arl0=1e5)
    data = json.loads(json.dumps(dump(baseline)))
    assert load(data) == baseline
    assert baseline.id == Baseline.fit(SAMPLE, arl0=1e5).id != Baseline.fit(SAMPLE, arl0=2e5).id
    with pytest.raises(AttributeError):
        baseline.n = 3  # type: ignore[misc]
    data["tables"][0][0] += 1
    with pytest.raises(ValueError, match="was changed"):
        load(data)
    with pytest.raises(ValueError, match="format 0"):
        load({**dump(baseline), "format": 0})


def test_a_pooled_sample_of_20000_stays_small() -> None:
    baseline = Baseline.fit(np.random.default_rng(1).normal(size=20_000).tolist(), arl0=1e5, commissioned=True)
    assert (baseline.n, len(baseline.sample), len(baseline.tables)) == (20_000, 2000, 9)
    assert np.quantile(baseline.sample, [0.1, 0.5, 0.9]) == pytest.approx([-1.2816, 0, 1.2816], abs=0.05)


@pytest.mark.parametrize(
    ("scores", "options", "why"),
    [
        ([], {}, "there are none"),
        ([1.0, NAN], {}, "score 1 of 2 is nan"),
        ([INF], {}, "score 0 of 1 is inf"),
        ([1.0, 2.0], {"lots": ["a"]}, "1 lots for 2 scores"),
        ([1.0], {"arl0": 0.5}, "arl0 is 0.5"),
        ([1.0], {"arl0": NAN}, "arl0 is nan"),
        ([1.0], {"deff": 0.9}, "deff is 0.9"),
        ([1.0], {"conf": -1}, "conf is -1"),
        ([1.0], {"tail_rate": 0.95}, "tail_rate is 0.95"),
    ],
)
def test_what_it_refuses_is_said_with_place_and_number(scores: list[float], options: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Baseline.fit(scores, **{"arl0": 1e5, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("scores", [[0.7], [0.7] * 500, [0.7] * 499 + [0.8]], ids=["one", "constant", "all but one"])
def test_a_sample_without_spread_is_blind_and_says_so(scores: list[float]) -> None:
    """It cannot see where good parts lie, but still that all of them rise above what it knows."""
    baseline = Baseline.fit(scores, arl0=1e5)
    assert baseline.blind
    assert baseline.smallest_shift == math.inf
    quiet, alarms = _played(baseline, [0.7, 0.7, 0.7, 0.69] * 100), _played(baseline, [0.9 + i / 1000 for i in range(200)])
    assert not [kind for kind in quiet if kind.startswith("baseline")]
    if baseline.n > 1:
        assert alarms[0] == "baseline_up"


def test_discrete_scores_merge_bins_and_are_quiet_when_nothing_happens() -> None:
    rng = np.random.default_rng(3)
    baseline = Baseline.fit(rng.binomial(4, 0.3, size=1000).astype(float).tolist(), arl0=1e5)
    assert baseline.edges == (0.0, 1.0, 2.0, 3.0)
    assert not baseline.blind
    assert _played(baseline, rng.binomial(4, 0.3, size=5000).astype(float).tolist()) == []
    assert _played(baseline, rng.binomial(4, 0.5, size=500).astype(float).tolist())[0] == "baseline_up"


def test_a_sample_in_unknown_order_has_no_deff_and_takes_equal_scores_only_as_repeats() -> None:
    baseline = Baseline.fit(sorted(SAMPLE), arl0=1e5, time_ordered=False)
    assert (baseline.deff, baseline.repeats.near) == (1.0, 1e-9)
    coarse = Baseline.fit(sorted(np.round(SAMPLE, 1).tolist()), arl0=1e5, time_ordered=False)
    assert 0.06 < coarse.repeats.rate < 0.12


def test_deff_is_found_by_lots_and_by_blocks() -> None:
    """Lots of 100 with an intraclass correlation of .05 are worth 1 + 99 x .05 = 5.95 for means."""
    rng = np.random.default_rng(4)
    lots = np.repeat(np.arange(400), 100)
    values = math.sqrt(0.95) * rng.normal(size=40_000) + math.sqrt(0.05) * rng.normal(size=400)[lots]
    assert of_lots(values, lots.tolist()) == pytest.approx(5.95, rel=0.2)
    assert of_blocks(values) == pytest.approx(5.95, rel=0.35)
    assert of_blocks(rng.normal(size=40_000)) == 1
    assert of_lots(values[:50], ["one"] * 50) == of_lots(values[:50], list(range(50))) == 1
    baseline = Baseline.fit(values[:10_000].tolist(), lots[:10_000].tolist(), arl0=1e5)
    assert 4 < baseline.deff < 9
    assert baseline.smallest_shift == pytest.approx(2.5 * math.sqrt(baseline.deff / 10_000))
    assert Baseline.fit(values[:10_000].tolist(), arl0=1e5, deff=3).deff == 3


def _played(baseline: Baseline, scores: list[float]) -> list[str]:
    state, kinds = init(baseline), list[str]()
    for n, score in enumerate(scores):
        state, events = step(baseline, state, Score(score, 0, n, n))
        kinds += [event.kind for event in events]
    return kinds
