"""The drift bench itself: its streams are what they claim, its estimates are right, its peers detect what is plain to see."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from streams.monitors.evidence import Kind
from streams.workbench.drift_bench import reading
from streams.workbench.drift_bench.calibrate import OURS, bisect, calibrated
from streams.workbench.drift_bench.cells import BASELINE, Cell, Run, draw, pieces
from streams.workbench.drift_bench.estimate import Estimate, quantile, run_length, share
from streams.workbench.drift_bench.families import FAMILIES, Family, Values, scale_of
from streams.workbench.drift_bench.inputs import Input, fed
from streams.workbench.drift_bench.ours import Seen
from streams.workbench.drift_bench.peers import CHARTS, LEARNERS, Chart, Learner, first_alarm, first_reach
from streams.workbench.drift_bench.plan import FULL, cells
from streams.workbench.drift_bench.rows import Row, dump, shown
from streams.workbench.drift_bench.simulator import Frozen, Jump, Moved, Sample, World, reference, stream

N = 40_000
LAWS = {
    "lognormal": stats.lognorm(0.4),
    "gamma": stats.gamma(3),
    "weibull": stats.weibull_min(3),
}


def sample(world: World, parts: int = N, change: Moved | Jump | Frozen | None = None, at: int = 0) -> Sample:
    return stream(world, parts, np.random.default_rng(5), change, at)


def clean(family: Family = "lognormal") -> World:
    return World(family=family, defects=0.0, step=1e-6)


@pytest.mark.parametrize("family", sorted(LAWS))
def test_good_parts_follow_their_law(family: Family) -> None:
    assert stats.kstest(sample(clean(family)).scores, LAWS[family].cdf).pvalue > 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_scales_are_monotone(family: Family) -> None:
    steps = np.diff(scale_of(family).scores)
    middle = len(steps) // 2
    assert np.all(steps >= 0)
    assert np.all(steps[middle - 1000 : middle + 1000] > 0), "within 5 sd"


def test_the_bimodal_law_has_two_modes() -> None:
    counts, _ = np.histogram(sample(clean("bimodal")).scores, np.arange(0.5, 2.2, 0.1))
    peaks = [i for i in range(1, len(counts) - 1) if counts[i] > max(counts[i - 1], counts[i + 1])]
    assert len(peaks) == 2


def test_scores_are_rounded() -> None:
    scores = sample(World(step=0.1), 5000).scores
    assert_array_equal(scores, np.round(scores, 1))
    assert len(set(scores.tolist())) < 80


def test_a_shift_moves_the_latent_value_from_the_change_on() -> None:
    before, after = np.split(np.log(sample(clean(), change=Moved(shift=0.5, scale=0.7), at=N // 2).scores) / 0.4, 2)
    assert abs(before.mean()) < 0.03
    assert after.mean() == pytest.approx(0.5, abs=0.03)
    assert after.std() == pytest.approx(0.7, abs=0.03)


def test_a_creep_arrives_in_the_end_and_a_transient_ends() -> None:
    still = np.log(sample(clean(), 4000).scores) / 0.4
    creep = np.log(sample(clean(), 4000, Moved(shift=1.0, over=2000), 1000).scores) / 0.4 - still
    assert creep[999] == pytest.approx(0, abs=1e-4)
    assert creep[1999] == pytest.approx(0.5, abs=1e-3)
    assert creep[3500] == pytest.approx(1.0, abs=1e-3)
    passing = np.log(sample(clean(), 4000, Moved(shift=0.7, parts=150), 1000).scores) / 0.4 - still
    assert_array_equal(np.flatnonzero(np.abs(passing) > 0.1), np.arange(1000, 1150))


def test_a_jump_changes_the_defects_and_leaves_the_good_parts() -> None:
    scores = sample(World(defects=0.01), change=Jump(to=0.2), at=N // 2).scores
    clear_from = float(scale_of("lognormal").score(np.array([2.3]))[0])
    before, after = (float(np.mean(half > clear_from)) for half in np.split(scores, 2))
    assert before == pytest.approx(0.0107 + 0.8 * 0.01, abs=0.004)
    assert after == pytest.approx(0.0107 * 0.8 + 0.8 * 0.2 + 0.2 * 0.2 * 0.097, abs=0.01)
    body = [half[half < np.exp(0.4)] for half in np.split(scores, 2)]
    assert abs(float(np.median(body[0]) - np.median(body[1]))) < 0.02


def test_lots_share_the_variance_that_was_asked_for() -> None:
    lots = sample(replace(clean(), icc=0.3), 200_000)
    latent = np.log(lots.scores) / 0.4
    sizes = np.bincount(lots.lots)
    means = np.bincount(lots.lots, latent)[sizes > 0] / sizes[sizes > 0]
    assert latent.var() == pytest.approx(1.0, abs=0.05)
    assert sizes.mean() == pytest.approx(100, rel=0.1)
    assert means[sizes[sizes > 0] > 50].var() == pytest.approx(0.3, abs=0.04)


def test_a_frozen_source_repeats_and_noise_stays_near() -> None:
    held = sample(World(), 2000, Frozen(), 1000).scores[1000:]
    assert set(held.tolist()) == {held[0]}
    noisy = np.log(sample(clean(), 2000, Frozen(noise=0.02), 1000).scores[1000:]) / 0.4
    assert noisy.std() == pytest.approx(0.02, rel=0.1)


def test_a_dirty_reference_has_defects_and_a_clean_one_has_none() -> None:
    rng = np.random.default_rng(1)
    top = [float(reference(World(), 5000, rng, dirty=dirty).scores.max()) for dirty in (0.0, 0.03)]
    assert top[0] < math.exp(0.4 * 4.6) < top[1]


def test_runs_are_functions_of_name_and_number() -> None:
    cell = Cell(name="x", parts=100)
    assert_array_equal(draw(cell, 3)[1].scores, draw(cell, 3)[1].scores)
    assert not np.array_equal(draw(cell, 3)[1].scores, draw(cell, 4)[1].scores)
    assert not np.array_equal(draw(cell, 3)[1].scores, draw(replace(cell, name="y"), 3)[1].scores)


def test_cells_of_the_plan_have_names_of_their_own_and_enough_runs() -> None:
    plan = cells(FULL)
    assert len({cell.name for cell in plan}) == len(plan)
    assert min(plan.values()) >= 200
    assert [len(runs) for _, runs in pieces({Cell(name="x", parts=1): 25}, 10)] == [10, 10, 5]


# ---------------------------------------------------------------- estimates
def test_run_lengths_of_a_known_rate() -> None:
    waits = np.random.default_rng(2).geometric(1e-3, 500) - 1
    found = run_length([int(wait) if wait < 2000 else None for wait in waits], 2000)
    assert found.value == pytest.approx(1000, abs=4 * found.se)
    assert found.low is not None
    assert found.low < 1000


@pytest.mark.parametrize("alarms", [0, 3, 40])
def test_the_lower_bound_is_that_of_a_poisson_count(alarms: int) -> None:
    low = run_length([999] * alarms + [None] * (100 - alarms), 1000).low
    assert low == pytest.approx(100_000 / (stats.chi2.ppf(0.95, 2 * alarms + 2) / 2), rel=0.01)


def test_quantiles_keep_what_was_never_found() -> None:
    values = [*range(1, 80), *[math.inf] * 21]
    assert quantile(values, 0.5).value == 50
    assert quantile(values, 0.5).se == pytest.approx(5, abs=1)
    assert quantile(values, 0.9).value == math.inf
    assert share(0, 200).se > 0


def run(*events: tuple[Kind, int, int | None]) -> Run:
    return Run(parts=100, events=tuple(Seen(kind=kind, at=at, start=start) for kind, at, start in events))


def test_events_are_read_from_the_change_on() -> None:
    runs = [run(("defect_rate_up", 52, 50), ("baseline_up", 60, 51)), run(("baseline_up", 10, 9)), run()]
    quiet = reading.undisturbed(runs, 50)
    assert quiet == [runs[0], runs[2]]
    assert reading.delays(quiet, "baseline_up", 50) == [11, math.inf]
    assert reading.called(quiet, "defect_rate_up", 50).value == 0.5
    assert reading.any_of(quiet, BASELINE, 50).value == 0.5
    assert reading.start_errors(quiet, "baseline_up", 50) == [1]
    assert reading.false_alarms(runs, 100).value == (61 + 11 + 100) / 2


def test_rows_say_whether_the_goal_is_met() -> None:
    low = Estimate(value=2e5, se=1e5, runs=9, low=9e4)
    rows = [
        Row(target=3, name="a", found=Estimate(value=5, se=1, runs=9), goal=5, stretch=4),
        Row(target=3, name="b", found=Estimate(value=math.inf, se=math.inf, runs=9), goal=5),
        Row(target=1, name="c", found=low, goal=1e5, at_most=False),
    ]
    first, second, third = dump(rows)
    assert [first["id"], second["id"], third["id"]] == ["1", "3a", "3b"]
    assert [first["met"], second["met"], third["met"]] == [False, True, False]
    assert second["stretch_met"] is False
    assert third["value"] is None
    assert shown(first, "value") == "2.0e+05"
    json.dumps([first, second, third], allow_nan=False)


# ---------------------------------------------------------------- peers
def lotless(scores: Values) -> Sample:
    return Sample(scores=scores, lots=np.zeros(len(scores), dtype=np.int64))


def test_ranks_do_not_know_the_scale_and_clip_defects() -> None:
    normal, parts = lotless(np.arange(1.0, 101.0)), lotless(np.array([0, 50.5, 1e9]))
    squared = [lotless(np.square(s.scores)) for s in (normal, parts)]
    ranks = fed("rank", normal, parts).production
    assert_array_equal(ranks, fed("rank", *squared).production)
    assert ranks[0] == -2
    assert abs(ranks[1]) < 0.02
    assert ranks[2] == 2


def test_deciles_hold_a_tenth_each() -> None:
    scores = np.random.default_rng(1).permutation(np.arange(1000.0))
    normal = lotless(scores)
    assert_array_equal(np.bincount(fed("decile", normal, normal).production.astype(int)), [100] * 10)


def plain(takes: Input, seed: int, shift: float) -> tuple[Sample, Sample]:
    rng = np.random.default_rng(seed)
    world = World(defects=0.0)
    return reference(world, 2000, rng), stream(world, 3000, rng, Moved(shift=shift), 1500)


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_charts_find_a_large_shift_and_nothing_before(chart: Chart) -> None:
    path = chart.path(np.column_stack([fed(chart.takes, *plain(chart.takes, seed, 1.5)).production for seed in range(4)]))
    for place in first_reach(path, calibrated()[chart.name]):
        assert place is not None
        assert 1500 <= place < 2000


@pytest.mark.parametrize("learner", [learner for learner in LEARNERS if not learner.slow], ids=lambda learner: learner.name)
def test_detectors_of_river_find_a_large_shift_and_nothing_before(learner: Learner) -> None:
    place = first_alarm(learner, calibrated()[learner.name], fed(learner.takes, *plain(learner.takes, 1, 1.5)))
    assert place is not None
    assert 1500 <= place < 2300


def test_kswin_alarms_at_its_level_and_not_at_a_lower_one() -> None:
    (learner,) = (learner for learner in LEARNERS if learner.slow)
    run = fed("z", *plain("z", 1, 3.0))
    run = replace(run, reference=run.reference[-1000:], production=run.production[1300:1800])
    place = first_alarm(learner, calibrated()[learner.name], run)
    assert place is not None
    assert place >= 200
    assert first_alarm(learner, 0.0, replace(run, production=run.production[:50])) is None


def test_the_index_of_a_window_is_its_definition() -> None:
    (chart,) = (chart for chart in CHARTS if "PSI" in chart.name)
    values = np.random.default_rng(3).integers(0, 10, (1100, 2)).astype(float)
    share_ = (np.bincount(values[50:550, 1].astype(int), minlength=10) + 0.5) / 505
    path = chart.path(values)
    assert path[549, 1] == pytest.approx(float(np.sum((share_ - 0.1) * np.log(share_ / 0.1))))
    assert not path[:499].any()


def test_every_peer_is_calibrated() -> None:
    assert {OURS, *(peer.name for peer in (*CHARTS, *LEARNERS))} == set(calibrated())


def test_calibration_finds_the_run_length() -> None:
    assert bisect(lambda x: x**2, 0.0, 1e4, 40) == pytest.approx(math.sqrt(1e5), rel=1e-3)
