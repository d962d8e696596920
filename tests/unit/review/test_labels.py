"""Which labels stand: repeats are copies, a second tab comes too late, what is taken back is gone and stays in the log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.label import LabelledViewV1, LabelV1
from streams.review.labels import Shelf, last_of, last_words, shelve, taken_back
from tests.helpers.calm import CALM
from tests.helpers.labels import IMAGE, NOW, SHA, label

DEFECT: dict[str, Any] = {"answer": "defect", "label": "dent", "taxonomy": SHA}


def answers(*labels: LabelV1) -> list[tuple[str, str | None]]:
    return [(one.who, one.answer) for one in shelve(Shelf(), labels).standing()]


def test_an_answer_sent_again_is_a_copy_and_another_one_too_late() -> None:
    again = label(answered_at=NOW + timedelta(seconds=3), looked_ms=3900)
    shelf = shelve(Shelf(), [label(), again, label(**DEFECT)])
    assert [one.answer for one in shelf.standing()] == ["good"]
    assert (shelf.copies, shelf.conflicts) == (1, 1)


def test_undo_and_answer_again() -> None:
    first = label(**DEFECT)
    undo = taken_back(first, "ada")
    again = label(withdraws=undo.id)
    assert answers(first, undo) == []
    assert answers(first, undo, again) == [("ada", "good")]
    assert len({first.id, undo.id, again.id}) == 3
    assert (undo.label, undo.views[0].image) == (None, first.views[0].image)


def test_a_correction_in_one_step() -> None:
    first = label(**DEFECT)
    assert answers(first, label(withdraws=first.id)) == [("ada", "good")]


def test_opinions_of_several_people_stand_side_by_side() -> None:
    first, second = label(), label(who="bob", opinion="second", **DEFECT)
    assert answers(first, second) == [("ada", "good"), ("bob", "defect")]
    assert answers(first, second, taken_back(first, "ada")) == [("bob", "defect")]
    with pytest.raises(ValueError, match="opinion of your own"):
        taken_back(first, "bob")


def test_what_another_one_takes_back_stands() -> None:
    first = label()
    assert answers(first, label(who="bob", withdraws=first.id, **DEFECT)) == [("ada", "good"), ("bob", "defect")]


def test_a_part_and_its_view_have_labels_of_their_own() -> None:
    assert label().id != label(of="part").id
    assert answers(label(), label(of="part", **DEFECT)) == [("ada", "good"), ("ada", "defect")]


LABELS = [label(), label(**DEFECT), label(who="bob"), taken_back(label(), "ada"), taken_back(label(who="bob"), "bob"), label(8)]


@CALM
@given(st.lists(st.sampled_from(LABELS), max_size=20), st.integers(0, 20))
def test_split_is_whole_and_repeats_change_nothing(log: list[LabelV1], cut: int) -> None:
    whole = shelve(Shelf(), log)
    assert shelve(shelve(Shelf(), log[:cut]), log[cut:]) == whole
    assert shelve(whole, log).standing() == whole.standing()


@CALM
@given(st.permutations(LABELS[2:]))
def test_a_label_that_comes_after_what_takes_it_back_stays_taken_back(log: list[LabelV1]) -> None:
    assert {(one.who, one.inspection) for one in shelve(Shelf(), log).standing()} == {("ada", label(8).inspection)}


def test_the_last_word_of_a_person_is_what_their_next_label_takes_back() -> None:
    """Also the one that took back the word before; copies and other people's words do not count."""
    first = label()
    back = label(answer=None, withdraws=first.id)
    again = label(answer="unsure", withdraws=back.id)
    other = label(who="bo")
    assert last_of([], "ada") is None
    assert last_of([first, other, first], "ada") == first
    assert last_of([first, back, other], "ada") == back
    assert last_of([first, back, first, again], "ada") == again
    assert last_of([first, back, again], "bo") is None


def test_what_is_said_of_a_view_and_of_the_part_are_two_chains() -> None:
    views = (LabelledViewV1(view="v1", image=IMAGE), LabelledViewV1(view="v2", image=IMAGE))
    first, whole = label(), label(of="part", views=views, answer="unsure")
    back = label(answer=None, withdraws=first.id)
    assert last_words([], "ada") == {}
    assert last_words([first, label(who="bo"), whole, back], "ada") == {"v1": back, None: whole}
