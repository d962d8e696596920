"""Golden parts: the injected image to the tolerance, the physical master to its own repeatability, and a third answer."""

from __future__ import annotations

import json
import random

import pytest

from streams.monitors import golden
from streams.monitors.golden import LEARNED, MOST, Golden

TOLERANCE = 0.02
IMAGE = Golden("g-1", "digital", "ab12")
MASTER = Golden("m-1", "physical", "")
OTHER = Golden("m-2", "physical", "")


def run(
    seen: Golden, scores: list[float], first: int = 0, state: tuple[Golden, ...] = (), every: int = 100
) -> tuple[Golden, ...]:
    for k, score in enumerate(scores):
        state = golden.step(state, seen, first + every * k, score, TOLERANCE)
    return state


def noisy(count: int, mean: float, seed: int, sd: float = 0.05) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(mean, sd) for _ in range(count)]


def test_an_injected_image_is_held_to_its_first_score() -> None:
    state = run(IMAGE, [1.5, 1.5, 1.501, 1.5])
    still = golden.answer(state, "digital", 0, TOLERANCE, by=0.4)
    assert (still.verdict, still.parts, still.passes, still.before) == ("still", ("g-1",), 3, 1.5)
    moved = golden.answer(run(IMAGE, [1.6, 1.6], 400, state), "digital", 400, TOLERANCE)
    assert (moved.verdict, round(moved.change, 3)) == ("moved", 0.1)
    assert golden.answer(state, "physical", 0, TOLERANCE).verdict == "unclear"


def test_another_image_under_the_same_name_starts_anew() -> None:
    state = run(IMAGE, [1.5, 1.5])
    after = golden.step(state, IMAGE._replace(image="cd34"), 300, 9.0, TOLERANCE)
    assert [(one.image, one.n, one.mean, one.recent) for one in after] == [("cd34", 1, 9.0, ())]


def test_a_master_is_held_to_its_own_repeatability() -> None:
    state = run(MASTER, noisy(LEARNED + 4, 2.0, seed=1))
    assert state[0].n == LEARNED
    assert len(state[0].recent) == 4
    assert golden.answer(state, "physical", 0, TOLERANCE, by=0.6).verdict == "still"
    after = run(MASTER, noisy(3, 2.4, seed=2), 5000, state)
    assert golden.answer(after, "physical", 5000, TOLERANCE, by=0.4).verdict == "moved"
    assert golden.answer(after, "physical", 0, TOLERANCE).passes == 7


def test_it_says_unclear_where_it_cannot_exclude_what_production_did() -> None:
    state = run(MASTER, noisy(LEARNED + 1, 2.0, seed=3))
    assert golden.answer(state, "physical", 0, TOLERANCE, by=0.05).verdict == "unclear"
    assert golden.answer(state, "physical", 5000, TOLERANCE, by=2.0) == golden.UNCLEAR
    assert golden.answer(run(MASTER, [2.0, 2.1]), "physical", 0, TOLERANCE).verdict == "unclear"


def test_masters_share_their_repeatability_and_keep_their_own_means() -> None:
    state = run(OTHER, noisy(LEARNED, 5.0, seed=4), state=run(MASTER, noisy(LEARNED, 2.0, seed=5)))
    after = run(OTHER, noisy(2, 5.3, seed=6), 900, run(MASTER, noisy(2, 2.3, seed=7), 900, state))
    found = golden.answer(after, "physical", 900, TOLERANCE)
    assert (found.verdict, set(found.parts), found.passes) == ("moved", {"m-1", "m-2"}, 4)
    assert found.change == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize(("seen", "usual", "other"), [(IMAGE, 1.5, 1.6), (MASTER, 2.0, 4.0)])
def test_a_warning_comes_once(seen: Golden, usual: float, other: float) -> None:
    state = run(seen, noisy(LEARNED + 6, usual, seed=8, sd=0.0 if seen is IMAGE else 0.05))
    assert not state[0].warned
    told = []
    for k in range(8):
        after = golden.step(state, seen, 9000 + k, other, TOLERANCE)
        if (one := golden.raised(state, after)) is not None:
            told.append((k, one.part))
        state = after
    assert len(told) == 1
    assert told[0][0] <= 3


def test_false_warnings_of_a_quiet_master_are_rare() -> None:
    warned = 0
    for seed in range(200):
        state = run(MASTER, noisy(60, 2.0, seed))
        warned += state[0].warned
    assert warned == 0  # .07 expected


def test_false_answers_at_an_alarm_are_one_in_a_hundred() -> None:
    wrong = sum(
        golden.answer(run(MASTER, noisy(LEARNED + 3, 2.0, seed)), "physical", 0, 0.0).verdict == "moved" for seed in range(1000)
    )
    assert wrong <= 20  # 10 expected


def test_it_is_bounded_and_survives_json() -> None:
    state: tuple[Golden, ...] = ()
    for k in range(3 * MOST):
        state = golden.step(state, Golden(f"p-{k}", "digital", "00"), k, 1.0 / (k + 3), TOLERANCE)
    state = run(MASTER, noisy(30, 2.0, seed=9), state=state)
    assert len(state) == MOST
    assert len(state[-1].recent) == golden.RECENT
    assert golden.load(json.loads(json.dumps(golden.dump(state)))) == state
