"""Scenarios: the course of the knobs, what is drawn for a part, the judgement, and one rehearsal through the monitor's rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ids import parse_inspection
from streams.workbench.plant import Knobs
from streams.workbench.scenarios import SCENARIOS, Must, Reported, Scenario, ScenarioPlant, judged, scenario_named
from streams.workbench.scenarios.course import QUIET, Course, Phase
from streams.workbench.scenarios.recorded import GOLDEN, number, part_of
from streams.workbench.scenarios.rehearsal import rehearse
from streams.workbench.scenarios.table import STATION, Freeze
from tests.helpers.scenarios import ACQUISITION, MODELS, POLICY, look, run, shots


# ---------------------------------------------------------------- the course
def test_a_ramp_is_straight_and_a_step_is_one() -> None:
    course = Course(phases=(Phase(begin=10, knobs=replace(QUIET, wear=0.5), over=100), Phase(begin=200, knobs=QUIET)))
    assert [round(course.knobs(n).wear, 3) for n in (0, 9, 10, 60, 110, 199, 200)] == [0, 0, 0, 0.25, 0.5, 0.5, 0]
    assert len(course.looks()) == 9
    assert all(course.look(n, np.random.default_rng(n)) in course.looks() for n in range(0, 300, 7))


def test_shifts_take_turns() -> None:
    course = Course(phases=(Phase(begin=50, knobs=replace(QUIET, light_gain=1.1), turns=50),))
    assert [course.knobs(n).light_gain for n in (49, 50, 99, 100, 149, 150)] == [1.0, 1.1, 1.1, 1.0, 1.0, 1.1]


def test_phases_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="one after the other"):
        Course(phases=(Phase(begin=5, knobs=QUIET), Phase(begin=5, knobs=QUIET)))


# ---------------------------------------------------------------- the table
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda one: one.name)
def test_a_scenario_asks_for_something_after_its_change_and_nothing_before(scenario: Scenario) -> None:
    assert scenario.must or scenario.never
    assert all(must.since >= scenario.commissioned for must in scenario.must)
    assert all(must.since == scenario.changes_at for must in scenario.must)
    assert not {kind for must in scenario.must for kind in must.kinds} & scenario.never
    assert scenario_named(scenario.name) is scenario


def test_unknown_and_impossible_scenarios_say_so() -> None:
    with pytest.raises(ValueError, match="there are light, creep"):
        scenario_named("earthquake")
    with pytest.raises(ValueError, match="too few"):
        replace(SCENARIOS["light"], parts=510)


# ---------------------------------------------------------------- the plant
def test_a_frozen_camera_repeats_one_picture_under_new_serials() -> None:
    frozen = replace(SCENARIOS["frozen"], freeze=Freeze(begin=400))
    parts = [ScenarioPlant(seed=1, scenario=frozen).part(STATION, n) for n in (399, 400, 401)]
    assert len({part.views[0].encoded for part in parts}) == 1
    assert len({part.serial for part in parts}) == 3
    noisy = ScenarioPlant(seed=1, scenario=replace(frozen, freeze=Freeze(begin=400, noise=0.5)))
    first, second = (noisy.part(STATION, n).views[0] for n in (400, 401))
    assert first.encoded != second.encoded
    assert np.abs(first.image.astype(np.float32) - second.image).mean() < 2


def test_masters_see_the_lens_and_not_the_material() -> None:
    made = ScenarioPlant(seed=1, scenario=SCENARIOS["material"])
    dirty = ScenarioPlant(seed=1, scenario=SCENARIOS["lens-dirt"])
    clean = ScenarioPlant(seed=1, scenario=SCENARIOS["bursts"])
    plants = (made, dirty, clean)
    golden, defective = [one.master(STATION, 0, 3500) for one in plants], [one.defective(STATION, 2, 3500) for one in plants]
    for pictures in ([part.views[0].encoded for part in parts] for parts in (golden, defective)):
        assert pictures[0] == pictures[2] != pictures[1]
    assert clean.master(STATION, 0, 3500).good
    assert [one.known for one in clean.defective(STATION, 2, 3500).defects] == [True]


# ---------------------------------------------------------------- recorded evidence
@given(every=st.integers(1, 200), n=st.integers(0, 100_000))
def test_numbers_of_parts_and_golden_parts_are_told_apart(every: int, n: int) -> None:
    scenario = replace(SCENARIOS["light"], masters_every=every)
    assert part_of(scenario, number(scenario, n)) == n
    if n and n % every == 0:
        assert [part_of(scenario, number(scenario, n) - k) for k in range(1, GOLDEN + 1)] == [n] * GOLDEN


@settings(max_examples=6, deadline=None)
@given(cut=st.integers(2000, 2400))
def test_recorded_evidence_is_pure_in_order_and_counts_golden_parts(cut: int) -> None:
    made = run(SCENARIOS["defect-rate"], look(1))
    whole = list(made.evidence(1990, 2410, ACQUISITION))
    assert [*made.evidence(1990, cut, ACQUISITION), *made.evidence(cut, 2410, ACQUISITION)] == whole
    places = [parse_inspection(one.inspection).n for one in whole]
    assert places == sorted(set(places))
    golden = [one for one in whole if one.challenge is not None]
    assert {one.purpose for one in golden} == {"challenge"}
    assert len(golden) == GOLDEN * sum(n % 50 == 0 for n in range(1990, 2410))
    injected = [one for one in golden if one.challenge is not None and one.challenge.proof == "digital"]
    assert len({(one.image.sha256, one.score) for one in injected}) == 1


def test_bursts_keep_the_share_of_defects() -> None:
    course = Course(phases=(Phase(begin=2000, knobs=replace(QUIET, defect_rate=0.2, burst=10)),))
    usual = look(1)
    strange = {shot.sha256 for shot in (*usual.known, *usual.strange)}
    made = run(replace(SCENARIOS["bursts"], masters_every=0, course=course), usual)
    bad = [one.image.sha256 in strange for one in made.evidence(2000, 5000, None)]
    assert 390 <= sum(bad) <= 810  # 600 expected, three standard deviations to each side
    assert all(len(set(bad[k : k + 10])) == 1 for k in range(0, len(bad), 10))


# ---------------------------------------------------------------- the judgement
def test_the_judgement_names_what_was_late_wrong_or_forbidden() -> None:
    must = [
        Must(kinds=frozenset({"baseline_up"}), within=50, since=100, causes=frozenset({"camera_light"})),
        Must(kinds=frozenset({"stuck"}), within=10, since=100),
    ]
    events = [Reported(90, "baseline_up", "camera_light"), Reported(120, "baseline_up", "unknown"), Reported(110, "stuck")]
    rows = judged(events, must, frozenset({"stale", "recovered"}), 100)
    assert [row.met for row in rows] == [False, False, True, True]
    assert (rows[0].after, rows[0].found) == (20, "baseline_up (unknown)")
    good = judged(
        [*events, Reported(130, "baseline_up", "camera_light"), Reported(105, "stuck"), Reported(99, "stale")],
        must,
        frozenset({"stale"}),
        100,
    )
    assert [row.met for row in good] == [True, True, True]
    assert good[0].after == 30
    assert not judged([Reported(100, "stale")], (), frozenset({"stale"}), 100)[0].met


# ---------------------------------------------------------------- through the monitor's rules
def test_a_lens_out_of_focus_is_found_and_named() -> None:
    found = rehearse(run(SCENARIOS["blur"], look(1), look(2, shift=0.9, sharpness=-300)), MODELS, POLICY)
    assert found.met, found.rows
    alarm = next(event for event in found.events if event.kind == "baseline_up")
    assert alarm.cause is not None
    assert any("sharpness fell from 670.0" in line for line in alarm.cause.by)


def test_another_material_is_named_by_masters_that_stand() -> None:
    scenario = SCENARIOS["material"]
    usual, other = look(1), look(2, shift=0.9)
    found = rehearse(run(scenario, usual, other._replace(masters=usual.masters)), MODELS, POLICY)
    assert found.met, found.rows


def test_more_defects_move_no_baseline() -> None:
    found = rehearse(run(SCENARIOS["defect-rate"], look(1)), MODELS, POLICY)
    assert found.met, found.rows


def test_a_poisoned_refresh_is_refused_and_a_clean_one_is_not() -> None:
    scenario = SCENARIOS["poisoned-refresh"]
    usual, other = look(1), look(2, shift=0.5)
    assert rehearse(run(scenario, usual, other._replace(masters=usual.masters)), MODELS, POLICY).ends == ("refused",)
    assert rehearse(run(scenario, usual, usual), MODELS, POLICY).ends == ("accepted",)


def test_a_scenario_whose_plant_does_not_move_is_not_met() -> None:
    """The judgement can fail."""
    found = rehearse(run(SCENARIOS["blur"], look(1), look(1)), MODELS, POLICY)
    assert not found.met
    assert [row.found for row in found.rows if not row.met] == ["nothing", "nothing"]


def test_dirty_calibration_scores_are_flagged() -> None:
    clean = rehearse(run(SCENARIOS["dirty-training"], look(1)), MODELS, POLICY)
    scores = [shot.score for shot in shots(152, 99)] + [shot.score for shot in shots(8, 98, 3.0)]
    model = MODELS.models[0].model_copy(update={"calibration": {"face": tuple(sorted(scores))}})
    dirty = MODELS.model_copy(update={"models": (model, *MODELS.models[1:])})
    assert not clean.flagged
    assert rehearse(run(SCENARIOS["dirty-training"], look(1), models=dirty), dirty, POLICY).flagged
    assert Knobs(dirty_normals=0.05) == SCENARIOS["dirty-training"].training
