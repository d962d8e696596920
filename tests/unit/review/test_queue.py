"""The order of open reviews: deadlines and risk first, then what teaches most, without repeats; fast when many wait."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.review.queue import KINDS, WINDOW, Queue, Waiting, band, kind_of, unsure
from tests.helpers.calm import CALM
from tests.helpers.labels import part


def one(n: int, **changes: Any) -> Waiting:
    return Waiting(**({"inspection": part(n), "kind": "other"} | changes))


def unit(*values: float) -> Any:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def order(*these: Waiting) -> list[int]:
    """The numbers, as one person would get them who answers each at once."""
    queue = Queue()
    for waiting in these:
        queue.add(waiting)
    found = []
    while (first := queue.next()) is not None:
        queue.shown(first.inspection)
        queue.remove(first.inspection)
        found.append(int(first.inspection[-12:]))
    return found


def test_deadline_and_risk_come_before_what_teaches() -> None:
    teaching = {"uncertainty": 1.0, "novelty": 2.0}
    assert order(
        one(1, **teaching),
        one(2, kind="strange", p_value=0.009),
        one(3, kind="strange", p_value=0.0005),
        one(4, kind="unknown_defect"),
        one(5, kind="containment"),
        one(6, kind="gate", due_ms=2000, **teaching),
        one(7, kind="gate", due_ms=1000),
    ) == [7, 6, 5, 4, 3, 2, 1]


def test_among_equals_the_most_teaching_then_the_id() -> None:
    assert order(one(1), one(4, uncertainty=0.2), one(3, novelty=0.9), one(2)) == [3, 4, 1, 2]
    strange = {"kind": "strange", "uncertainty": 0.5}
    assert order(one(1, p_value=0.0052, kind="strange"), one(2, p_value=0.0071, **strange)) == [2, 1]  # within a factor of two


def test_what_is_like_the_last_one_waits() -> None:
    """Two heaps of twins: they are shown in turns, not one heap after the other."""
    left, right = unit(1, 0), unit(0, 1)
    twins = [one(n, novelty=0.8 - n / 100, sketch=left if n < 3 else right) for n in range(6)]
    assert order(*twins)[:2] == [0, 3]
    assert order(*(one(n, novelty=0.8 - n / 100) for n in range(6))) == [0, 1, 2, 3, 4, 5]  # without sketches


def test_what_others_hold_is_skipped_and_comes_back() -> None:
    queue = Queue()
    for n in range(3):
        queue.add(one(n))
    assert [queue.next(skip), queue.next()] == [one(1), one(0)] if (skip := {part(0)}) else False
    assert queue.next({part(n) for n in range(3)}) is None
    assert len(queue) == 3


def test_a_change_moves_a_part_and_removing_twice_is_nothing() -> None:
    queue = Queue()
    queue.add(one(1))
    queue.add(one(2))
    queue.add(one(2, kind="gate", due_ms=5))
    assert (len(queue), queue.next()) == (2, one(2, kind="gate", due_ms=5))
    queue.add(one(2))
    assert queue.next() == one(1)
    queue.remove(part(1))
    queue.remove(part(1))
    assert (queue.next(), part(1) in queue, part(2) in queue) == (one(2), False, True)


def test_many_that_were_closed_below_one_that_stays_do_not_slow_it_down() -> None:
    queue = Queue()
    for n in range(30_000):
        queue.add(one(n, uncertainty=1 - n / 30_000))
    for n in range(1, 14_000):
        queue.remove(part(n))
    assert [queue.next({part(0)}) for _ in range(3)] == [one(14_000, uncertainty=1 - 14_000 / 30_000)] * 3
    assert len(queue._heap) == len(queue) == 16_001


WAITING = st.builds(
    Waiting,
    inspection=st.integers(0, 15).map(part),
    kind=st.sampled_from(KINDS),
    due_ms=st.none() | st.integers(0, 3),
    p_value=st.sampled_from([1.0, 0.5, 0.01]),
    uncertainty=st.sampled_from([0.0, 0.5, 1.0]),
    novelty=st.sampled_from([0.0, 0.3]),
)
ACTS = st.lists(st.tuples(st.sampled_from(["add", "add", "remove"]), WAITING), max_size=25)


@CALM
@given(ACTS, st.sets(st.integers(0, 15).map(part)))
def test_it_is_the_best_of_what_stands(acts: list[tuple[str, Waiting]], skip: set[str]) -> None:
    queue, standing = Queue(), dict[str, Waiting]()
    for act, waiting in acts:
        if act == "add":
            queue.add(waiting)
            standing[waiting.inspection] = waiting
        else:
            queue.remove(waiting.inspection)
            standing.pop(waiting.inspection, None)
        left = [other for other in standing.values() if other.inspection not in skip]
        best = min(left, key=lambda w: (band(w), -(w.uncertainty + w.novelty), w.inspection), default=None)
        assert queue.next(skip) == best
        assert len(queue) == len(standing)


@CALM
@given(st.permutations([one(n, uncertainty=n % 3 / 2, sketch=unit(n + 1, 3)) for n in range(9)]))
def test_the_order_in_which_they_came_does_not_matter(these: list[Waiting]) -> None:
    assert order(*these) == order(*sorted(these, key=lambda waiting: waiting.inspection))


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        (("review", ["unknown_defect"], 9), "gate"),
        (("review", ["containment", "person"], 9), "containment"),
        (("scrap", ["containment", "late"], None), "containment"),
        (("review", ["unknown_defect"], None), "unknown_defect"),
        (("review", ["near_limit"], None), "strange"),
        (("review", ["late_pass"], None), "other"),
    ],
)
def test_kinds_come_from_the_verdict(verdict: tuple[str, list[str], int | None], kind: str) -> None:
    assert kind_of(*verdict) == kind


def test_a_hundred_thousand_waiting() -> None:
    """All alike in urgency: the slowest case. CPU time, and many times what was measured (docs/review.md)."""
    chance = np.random.default_rng(3)
    sketches = chance.normal(size=(100_000, 64)).astype(np.float32)
    sketches /= np.linalg.norm(sketches, axis=1, keepdims=True)
    queue = Queue()
    for n in range(100_000):
        queue.add(one(n, uncertainty=float(chance.random()), novelty=0.5, sketch=sketches[n]))
    held = {part(n) for n in range(50)}
    took = []
    for _ in range(200):
        begin = time.process_time()
        first = queue.next(held)
        assert first is not None
        queue.shown(first.inspection)
        queue.remove(first.inspection)
        took.append(time.process_time() - begin)
    assert np.median(took) < 0.01, "ten times what was measured"
    assert len(queue) == 100_000 - 200
    assert len(queue._heap) <= 2 * len(queue) + WINDOW + 1


@pytest.mark.parametrize(
    ("shares", "doubt"),
    [((1.0, 0.0), 0.0), ((0.5, 0.5), 1.0), ((0.1, 0.6, 0.3), 0.7), ((0.25,) * 4, 1.0), ((1.0,), 0.0), ((), 0.0)],
)
def test_doubt_is_how_close_the_best_two_are(shares: tuple[float, ...], doubt: float) -> None:
    assert unsure(shares) == pytest.approx(doubt)


def test_distances_count_as_a_share_of_how_far_parts_are_from_each_other() -> None:
    """Images of one product are all alike: without a scale their differences would be nothing beside doubt."""
    near = [unit(100, n, 0) for n in range(4)]
    far = unit(100, 40, 0)
    queue = Queue()
    for n, sketch in enumerate([*near, far]):
        queue.add(one(n, uncertainty=0.3 if n < 4 else 0.1, novelty=2.0, sketch=sketch))
    queue.shown(part(0))
    queue.remove(part(0))
    found = queue.next()
    assert found is not None
    assert found.inspection == part(4), "the one that is unlike what was shown, though it is doubted less"
