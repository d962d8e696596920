"""Challenge parts: a miss at once, a fall of the margins before it, false alarms as seldom as promised."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streams.monitors.evidence import DriftEvent
from streams.monitors.margins import ChallengeReference, ChallengeSet, H, challenge_init, challenge_step, moved
from streams.monitors.score import Point

REFERENCE = ChallengeReference(means=(3.0, 3.0, 3.0), sd=1.0, passes=20)


def sets(margins: list[list[float]], missed: int | None = None) -> list[ChallengeSet]:
    return [ChallengeSet(at=Point(0, n, n), margins=tuple(row), missed=n == missed) for n, row in enumerate(margins)]


def test_a_miss_is_said_at_once_with_the_last_pass() -> None:
    state = challenge_init()
    told = []
    for one in sets([[3.0, 3.0, 3.0]] * 5, missed=3):
        state, events = challenge_step(REFERENCE, state, one)
        told += events
    (event,) = told
    assert (event.kind, event.at.n, event.change_point) == ("challenge_miss", 3, Point(0, 2, 2))
    assert state.last_pass == Point(0, 4, 4)


def test_a_fall_of_the_margins_is_found_in_a_few_sets_and_dated() -> None:
    rng = np.random.default_rng(1)
    delays = []
    for _ in range(100):
        state, n = challenge_init(), 0
        events: list[DriftEvent] = []
        while not events:
            row = 3 + rng.normal(size=3) - (1 if n >= 10 else 0)
            state, events = challenge_step(REFERENCE, state, ChallengeSet(at=Point(0, n, n), margins=tuple(row), missed=False))
            n += 1
        assert events[0].kind == "challenge_margin"
        delays.append(n - 10)
        assert state.cusum == 0
    assert 3 <= np.mean(delays) <= 8


def test_false_alarms_are_thousands_of_sets_apart() -> None:
    """4600 by design; margins learnt from twenty sets, so the references differ."""
    rng = np.random.default_rng(2)
    alarms, cusum = 0, 0.0
    for _ in range(8):
        reference = ChallengeReference.fit((3 + rng.normal(size=(20, 3))).tolist())
        for row in (3 + rng.normal(size=(2500, 3))).tolist():
            cusum = moved(reference, cusum, row)
            alarms += cusum >= H
            cusum = 0.0 if cusum >= H else cusum
    assert alarms <= 20


def test_what_repeats_exactly_still_has_a_scale() -> None:
    reference = ChallengeReference.fit([[2.0, 4.0]] * 20)
    assert reference.sd == pytest.approx(0.03)
    assert moved(reference, 0.0, [2.0, 4.0]) == 0
    assert moved(reference, 0.0, [1.8, 3.6]) > H


@pytest.mark.parametrize("passes", [[], [[1.0]], [[]] * 3, [[1.0], [1.0, 2.0]], [[1.0], [math.nan]]])
def test_margins_that_nothing_can_be_learnt_from(passes: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="margin"):
        ChallengeReference.fit(passes)


@pytest.mark.parametrize("row", [(1.0, 2.0), (1.0, 2.0, math.inf)])
def test_a_set_of_other_margins_is_refused(row: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="3 finite margins"):
        challenge_step(REFERENCE, challenge_init(), ChallengeSet(at=Point(0, 0, 0), margins=row, missed=False))
