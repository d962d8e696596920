"""What engineers do to classes: each act makes the version that its acts say, or is refused with a plain text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.taxonomy import RESERVED, TaxonomyV1
from streams.review.changes import MOST_SPLIT, added, first, id_of, merged, renamed, retired, split
from streams.review.taxonomy import check_successor
from tests.helpers.calm import CALM
from tests.helpers.labels import taxonomy

OLD = taxonomy("scratch", "dent", "hole")  # called Scratch, Dent, Hole


def active(found: TaxonomyV1) -> dict[str, str]:
    return {one.id: one.name for one in found.classes if one.state == "active"}


def test_the_first_version_is_what_the_models_know() -> None:
    found = first("disc", ["good", "scratch", "dent", "scratch"])
    assert (active(found), found.previous) == ({"dent": "dent", "scratch": "scratch"}, None)
    assert first("disc", []).classes == ()


def test_each_act_makes_its_successor() -> None:
    made = {
        "add": added(OLD, " Rim chip ", "at the edge"),
        "rename": renamed(OLD, "dent", "Dimple"),
        "merge": merged(OLD, ["scratch", "dent"], "Mark"),
        "merge into one": merged(OLD, ["scratch", "dent"], "dent"),
        "split": split(OLD, "hole", ["Pore", "Hole"]),
        "retire": retired(OLD, "hole"),
    }
    assert {name: active(found) for name, found in made.items()} == {
        "add": {**active(OLD), "rim-chip": "Rim chip"},
        "rename": {**active(OLD), "dent": "Dimple"},
        "merge": {"hole": "Hole", "mark": "Mark"},
        "merge into one": {"dent": "Dent", "hole": "Hole"},
        "split": {"scratch": "Scratch", "dent": "Dent", "pore": "Pore", "hole-2": "Hole"},
        "retire": {"scratch": "Scratch", "dent": "Dent"},
    }
    for found in made.values():
        assert check_successor(OLD, found) == []
        assert {one.id for one in OLD.classes} <= {one.id for one in found.classes}, "nothing vanishes"


Change = Callable[[], TaxonomyV1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: added(OLD, "SCRATCH"), "a class Scratch already"),
        (lambda: added(OLD, "x" * 81), "1 to 80"),
        (lambda: added(OLD, "  "), "1 to 80"),
        (lambda: added(OLD, "a\u202eb"), "visible"),
        (lambda: added(OLD, "a\nb"), "visible"),
        (lambda: added(OLD, "Good"), "something else"),
        (lambda: renamed(OLD, "dent", "Hole"), "a class Hole already"),
        (lambda: renamed(OLD, "dent", "Dent"), "called Dent already"),
        (lambda: renamed(OLD, "crack", "Crack"), "no such class"),
        (lambda: merged(OLD, ["dent", "dent"], "Mark"), "two classes"),
        (lambda: merged(OLD, ["dent", "scratch"], "Hole"), "a class Hole already"),
        (lambda: merged(OLD, ["dent", "crack"], "Mark"), "no such class"),
        (lambda: split(OLD, "dent", ["One"]), "one a line"),
        (lambda: split(OLD, "dent", ["One", "one"]), "one is there twice"),
        (lambda: split(OLD, "dent", [f"K{n}" for n in range(MOST_SPLIT + 1)]), "one a line"),
        (lambda: retired(retired(OLD, "dent"), "dent"), "no such class"),
    ],
)
def test_what_does_not_fit_is_refused(change: Change, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        change()


@given(st.text(max_size=100), st.sets(st.sampled_from(["class", "class-2", "a", "good-2", "x"])))
@CALM
def test_an_id_is_a_name_that_nobody_has(name: str, taken: set[str]) -> None:
    found = id_of(name, taken)
    assert found not in taken | set(RESERVED)
    TaxonomyV1.model_validate({"product": "disc", "classes": [{"id": found, "name": "n"}]})


def test_a_retired_name_is_free_and_its_id_is_not() -> None:
    again = added(retired(OLD, "dent"), "Dent")
    assert active(again) == {"scratch": "Scratch", "hole": "Hole", "dent-2": "Dent"}
