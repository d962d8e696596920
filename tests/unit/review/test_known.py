"""Challenges among the parts of one person: never more than their share, spread by chance, and each part once in a long time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.review.known import ODDS, REST, answers_between, in_order, is_due

DAY_US = 86_400 * 10**6


@dataclass(frozen=True)
class Showing:
    inspection: str
    part: str


def given_to(who: str, share: float, parts: list[str]) -> list[bool]:
    """Whether each part was exchanged, in the order in which they came; a challenge is answered like any part."""
    found, answers = [], 0
    for one in parts:
        due = is_due(who, one, answers, share)
        found.append(due)
        answers = 1 if due else answers + 1  # the answer to it comes after it was given
    return found


@given(st.text(max_size=5), st.floats(0.01, 1), st.lists(st.text(max_size=8), max_size=400))
def test_at_every_moment_no_more_than_the_share(who: str, share: float, parts: list[str]) -> None:
    shown = 0
    for n, challenge in enumerate(given_to(who, share, parts), start=1):
        shown += challenge
        assert shown <= share * n + 1e-6


@given(st.text(max_size=5), st.lists(st.text(max_size=8), max_size=50), st.integers(0, 10**6))
def test_without_a_share_there_are_none(who: str, parts: list[str], answers: int) -> None:
    assert not any(is_due(who, one, answers, 0) for one in parts)


def test_how_many_come_and_where_is_chance_that_can_be_repeated() -> None:
    parts = [f"plant/line-1/cam-1:1-{n:012d}" for n in range(60_000)]
    ada, bob = given_to("ada", 0.02, parts), given_to("bob", 0.02, parts)
    assert ada == given_to("ada", 0.02, parts)
    gaps = [after - before for before, after in pairwise(n for n, due in enumerate(ada) if due)]
    assert sum(ada) / len(ada) == pytest.approx(1 / (49 + 1 / ODDS), rel=0.1), "one in 59"
    assert min(gaps) >= 50
    assert sum(gap == 50 for gap in gaps) / len(gaps) == pytest.approx(ODDS, abs=0.03)
    both = sum(a and b for a, b in zip(ada, bob, strict=True))
    assert both < 0.1 * sum(ada), "another person has theirs elsewhere"


@pytest.mark.parametrize(("share", "answers"), [(0.02, 50), (0.03, 34), (0.1, 10), (1, 1), (0.07, 15)])
def test_answers_between_two(share: float, answers: int) -> None:
    assert answers_between(share) == answers


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_a_share_that_is_none(share: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        answers_between(share)


showings = st.lists(st.builds(Showing, st.text("abc", min_size=1, max_size=4), st.sampled_from("vwxyz")), max_size=20)


@given(showings, st.lists(st.integers(0, 40), max_size=30))
def test_a_person_has_each_part_once_in_a_long_time(shown: list[Showing], days: list[int]) -> None:
    had: dict[str, int] = {}
    now_us = 0
    for waited in days:
        now_us += waited * DAY_US
        order = in_order("ada", shown, had, now_us)
        assert {one.part for one in order} == {
            one.part for one in shown if one.part not in had or now_us - had[one.part] >= REST.days * DAY_US
        }
        if order:
            had[order[0].part] = now_us


@given(st.permutations([Showing(f"s{n}", f"p{n}") for n in range(6)]))
def test_the_order_is_the_same_however_they_are_listed(shown: list[Showing]) -> None:
    assert in_order("ada", shown, {}, 0) == in_order("ada", sorted(shown, key=lambda one: one.part), {}, 0)


def test_who_is_first_differs_from_person_to_person() -> None:
    shown = [Showing(f"s{n}", f"p{n}") for n in range(10)]
    firsts = [in_order(f"r{n}", shown, {}, 0)[0].part for n in range(100)]
    assert len(set(firsts)) == 10
