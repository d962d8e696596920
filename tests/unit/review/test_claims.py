"""Never two people on one part, never one person twice; stale forms and second tabs are refused; opinions decide by two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.review.claims import (
    Case,
    Form,
    Said,
    answer,
    close,
    contested,
    decided,
    drawn_for_second,
    free_for,
    open_case,
    release,
    revised,
    take,
    undo,
    wanted,
)
from tests.helpers.calm import CALM
from tests.helpers.labels import part

LEASE = 60_000
ONCE = open_case(part(1), 1, 0)
TWICE = open_case(part(1), 1, 1)


def form(case: Case, who: str, now_ms: int = 0) -> Form:
    taken = take(case, who, now_ms, LEASE)
    assert not isinstance(taken, str), taken
    return taken[1]


def given_(case: Case, who: str, said: Any, label: str | None = None) -> Case:
    """Taken and answered."""
    after = answer(case, form(case, who), said, label, 0)
    assert isinstance(after, Case), after
    return after


def test_a_part_is_one_persons_until_the_lease_ends() -> None:
    taken = take(ONCE, "ada", 0, LEASE)
    assert not isinstance(taken, str)
    case, adas = taken
    assert take(case, "bob", LEASE - 1, LEASE) == "held_by_another"
    assert free_for([case, TWICE], "bob", 0) == [TWICE]
    later = take(case, "bob", LEASE, LEASE)
    assert not isinstance(later, str)
    assert answer(later[0], adas, "good", None, LEASE) == "held_by_another"
    assert isinstance(answer(later[0], later[1], "good", None, LEASE), Case)


def test_an_answer_after_the_lease_counts_where_nobody_else_came() -> None:
    case, adas = ONCE, form(ONCE, "ada")
    assert isinstance(answer(case, adas, "good", None, 10 * LEASE), Case)


def test_two_tabs_of_one_person_answer_once() -> None:
    first = take(ONCE, "ada", 0, LEASE)
    assert not isinstance(first, str)
    second = take(first[0], "ada", 10, LEASE)
    assert not isinstance(second, str)
    case = answer(second[0], first[1], "good", None, 20)
    assert isinstance(case, Case)
    assert answer(case, second[1], "defect", "dent", 30) == "already_answered"


def test_a_form_of_a_revision_that_was_overtaken_is_refused() -> None:
    adas = form(ONCE, "ada")
    assert answer(revised(ONCE, 2, ours=False), adas, "good", None, 0) == "stale"
    assert isinstance(answer(revised(ONCE, 2, ours=True), adas, "good", None, 0), Case)
    assert answer(ONCE, replace(adas, revision=5), "good", None, 0) == "stale"
    assert revised(revised(ONCE, 3, ours=False), 2, ours=False).revision == 3  # an old one that comes late


def test_our_own_answer_does_not_make_the_second_look_stale() -> None:
    case = given_(TWICE, "ada", "defect", "dent")
    bobs = form(case, "bob")
    case = revised(case, 2, ours=True)
    assert isinstance(answer(case, bobs, "good", None, 0), Case)


def test_a_second_look_is_another_persons_and_a_third_where_they_differ() -> None:
    case = given_(TWICE, "ada", "defect", "dent")
    assert (wanted(case), decided(case)) == ("second", None)
    assert take(case, "ada", 0, LEASE) == "already_answered"
    agreed = given_(case, "bob", "defect", "dent")
    assert (wanted(agreed), decided(agreed)) == (None, Said(who="ada", answer="defect", label="dent"))
    assert take(agreed, "cem", 0, LEASE) == "closed"
    differ = given_(case, "bob", "defect", "scratch")
    assert (wanted(differ), form(differ, "cem").opinion) == ("third", "third")
    assert decided(given_(differ, "cem", "defect", "scratch")) == Said(who="bob", answer="defect", label="scratch")


def test_where_no_two_agree_an_engineer_decides() -> None:
    case = given_(given_(given_(TWICE, "ada", "good"), "bob", "defect", "dent"), "cem", "unsure")
    assert (wanted(case), decided(case), contested(case)) == (None, None, True)
    assert not contested(close(case))
    assert take(close(ONCE), "ada", 0, LEASE) == "closed"


def test_who_is_unsure_asks_another() -> None:
    case = given_(ONCE, "ada", "unsure")
    assert wanted(case) == "second"
    assert wanted(given_(case, "bob", "unsure")) == "third"
    assert decided(given_(given_(case, "bob", "good"), "cem", "good")) == Said(who="bob", answer="good")
    assert contested(given_(given_(case, "bob", "unsure"), "cem", "unsure"))


def test_undo_takes_back_the_last_and_only_ones_own() -> None:
    case = given_(ONCE, "ada", "good")
    assert undo(case, "bob", 0) == "not_yours"
    assert undo(case, "ada", 0) == ONCE
    both = given_(given_(TWICE, "ada", "good"), "bob", "good")
    assert undo(both, "ada", 0) == "stale"
    assert isinstance(take(ONCE, "ada", 0, LEASE), tuple)


def test_nobody_takes_back_what_somebody_looks_at_for_the_second_time() -> None:
    case = given_(TWICE, "ada", "good")
    taken = take(case, "bob", 0, LEASE)
    assert not isinstance(taken, str)
    assert undo(taken[0], "ada", LEASE - 1) == "held_by_another"
    assert isinstance(answer(*taken, "defect", "dent", 0), Case)
    assert undo(taken[0], "ada", LEASE) == replace(taken[0], said=())


def test_what_is_closed_by_half_is_not_decided_and_stays_as_it_is() -> None:
    closed = close(given_(TWICE, "ada", "good"))
    assert (wanted(closed), decided(closed)) == (None, None)
    assert undo(closed, "ada", 0) == "closed"
    whole = given_(given_(TWICE, "ada", "good"), "bob", "good")
    assert decided(close(whole)) == decided(whole) == Said(who="ada", answer="good")


def test_releasing_gives_it_to_the_next() -> None:
    taken = take(ONCE, "ada", 0, LEASE)
    assert not isinstance(taken, str)
    assert isinstance(take(release(taken[0], "ada"), "bob", 1, LEASE), tuple)
    assert release(taken[0], "bob") == taken[0]


def test_the_second_look_draws_its_share() -> None:
    drawn = sum(drawn_for_second(part(n), 0.1) for n in range(20_000))
    assert drawn == pytest.approx(2000, abs=170)
    assert sum(drawn_for_second(part(n), 0.1) and drawn_for_second(part(n), 0.05) for n in range(20_000)) < drawn


PEOPLE = st.sampled_from(["ada", "bob", "cem", "dee"])
STEPS = st.one_of(
    st.tuples(st.just("take"), PEOPLE),
    st.tuples(st.just("answer"), PEOPLE),
    st.tuples(st.just("undo"), PEOPLE),
    st.tuples(st.just("release"), PEOPLE),
    st.tuples(st.just("wait"), st.integers(1, 90_000)),
    st.tuples(st.just("revise"), st.booleans()),
)


@CALM
@given(
    st.booleans(), st.lists(STEPS, max_size=40), st.lists(st.sampled_from(["good", "defect", "unsure"]), min_size=40, max_size=40)
)
def test_whatever_happens(twice: bool, steps: list[tuple[str, Any]], answers: list[Any]) -> None:
    """At most one person holds a part; nobody speaks twice; at most three do; a decision has two behind it where two spoke."""
    case, now_ms, forms = (TWICE if twice else ONCE), 0, dict[str, list[Form]]()
    for (what, arg), said in zip(steps, answers, strict=False):
        before = case
        if what == "wait":
            now_ms += arg
        elif what == "revise":
            case = revised(case, case.revision + 1, arg)
        elif what == "take":
            taken = take(case, arg, now_ms, LEASE)
            holder = case.lease.who if case.lease and now_ms < case.lease.until_ms else arg
            assert isinstance(taken, str) or holder == arg
            if not isinstance(taken, str):
                case = taken[0]
                forms.setdefault(arg, []).append(taken[1])
        elif what == "answer" and forms.get(arg):
            after = answer(case, forms[arg][-1], said, "dent" if said == "defect" else None, now_ms)
            case = case if isinstance(after, str) else after
        elif what == "undo":
            after = undo(case, arg, now_ms)
            case = case if isinstance(after, str) else after
        elif what == "release":
            case = release(case, arg)
        people = [one.who for one in case.said]
        assert len(people) == len(set(people)) <= 3
        assert len(case.said) <= len(before.said) + 1
        found = decided(case)
        if found is not None and len(case.said) > 1:
            assert sum(one.meaning == found.meaning for one in case.said) >= 2
        assert wanted(case) is None or (found is None and not contested(case))
