"""What an old label means today, and which versions can follow which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.common import digest
from schemas.taxonomy import ClassV1, TaxonomyActV1, TaxonomyV1
from streams.review.taxonomy import Lineage, Today, check_successor, evolve, follow, lineage_of
from tests.helpers.calm import CALM
from tests.helpers.labels import label, taxonomy

FIRST = taxonomy("scratch", "dent", "pit")


def act(kind: str, of: str = "", into: str = "") -> TaxonomyActV1:
    return TaxonomyActV1.model_validate({"act": kind, "of": of.split(), "into": into.split()})


def called(*ids: str) -> dict[str, ClassV1]:
    return {id: ClassV1(id=id, name=id.title()) for id in ids}


def chain(*steps: TaxonomyActV1) -> tuple[dict[str, TaxonomyV1], Lineage]:
    """FIRST, then a version an act."""
    versions, now = {digest(FIRST): FIRST}, FIRST
    for step in steps:
        now = evolve(now, [step], called(*step.into))
        versions[digest(now)] = now
    return versions, lineage_of(versions, digest(now))


def today(id: str, lineage: Lineage, under: TaxonomyV1 = FIRST) -> Today:
    return follow(label(answer="defect", label=id, taxonomy=digest(under)), lineage)


def test_a_merged_class_is_the_other_one_a_renamed_one_itself() -> None:
    _, lineage = chain(act("merge", "dent pit", "dent"), act("rename", "dent", "dent"))
    assert today("pit", lineage) == today("dent", lineage) == Today(fate="current", label="dent")
    assert today("scratch", lineage) == Today(fate="current", label="scratch")


def test_after_a_split_a_part_needs_a_new_look() -> None:
    versions, lineage = chain(act("split", "scratch", "fine gouge"), act("merge", "gouge dent", "dent"))
    assert today("scratch", lineage) == Today(fate="ambiguous", candidates=("dent", "fine"))
    newest = versions[lineage.current]
    assert today("fine", lineage, newest) == Today(fate="current", label="fine")


def test_split_and_merged_again_is_clear_and_retired_is_said() -> None:
    _, lineage = chain(act("split", "scratch", "fine gouge"), act("merge", "fine gouge", "line"), act("retire", "line"))
    assert today("scratch", lineage) == Today(fate="retired", label="line")


def test_a_split_of_which_one_half_retired_stays_open() -> None:
    _, lineage = chain(act("split", "scratch", "fine gouge"), act("retire", "gouge"))
    assert today("scratch", lineage).fate == "ambiguous"


def test_a_label_of_another_line_of_versions_is_not_guessed() -> None:
    _, lineage = chain(act("add", "", "chip"))
    assert today("scratch", lineage, taxonomy("scratch")).fate == "unknown_version"
    assert today("never-there", lineage).fate == "unknown_version"
    assert follow(label(answer="defect"), lineage).fate == "no_class"
    assert follow(label(), lineage).fate == "no_class"


def test_several_acts_in_one_version_count_in_their_order() -> None:
    acts = [act("split", "scratch", "fine gouge"), act("merge", "gouge pit", "pit")]
    second = evolve(FIRST, acts, called("fine", "gouge", "pit"))
    assert {one.id: one.state for one in second.classes} == {
        "scratch": "retired",
        "dent": "active",
        "pit": "active",
        "fine": "active",
        "gouge": "retired",
    }
    lineage = lineage_of({digest(FIRST): FIRST, digest(second): second}, digest(second))
    assert today("scratch", lineage).candidates == ("fine", "pit")
    assert check_successor(FIRST, second) == []


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (act("add", "", "dent"), "never used again"),
        (act("retire", "chip"), "no active class"),
        (act("merge", "dent chip", "dent"), "no active class"),
        (act("split", "scratch", "fine dent"), "never used again"),
        (act("add", "", "chip"), "how is class 'chip' called"),
    ],
)
def test_an_act_that_does_not_fit_is_refused(step: TaxonomyActV1, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evolve(FIRST, [step], {})


def test_a_version_that_does_something_else_than_it_says_is_refused() -> None:
    second = evolve(FIRST, [act("retire", "pit")], {})
    quiet = second.model_copy(update={"classes": tuple(one for one in second.classes if one.id != "dent")})
    assert check_successor(FIRST, quiet) == ["its classes are not what its acts make of the version before"]
    assert "somebody changed" in check_successor(second, evolve(FIRST, [act("retire", "dent")], {}))[0]
    renamed = second.model_copy(update={"classes": (ClassV1(id="scratch", name="Something else"), *second.classes[1:])})
    assert check_successor(FIRST, renamed) == ["its classes are not what its acts make of the version before"]


@CALM
@given(st.lists(st.sampled_from(["retire", "merge", "split", "add", "rename"]), max_size=8), st.randoms())
def test_every_old_class_has_one_meaning_today(kinds: list[str], chance: object) -> None:
    """Whatever the history: current ones are active, ambiguous ones have several candidates, and nothing is lost."""
    versions, now, fresh = {digest(FIRST): FIRST}, FIRST, iter(range(1000))
    for kind in kinds:
        active = [one.id for one in now.classes if one.state == "active"]
        chance.shuffle(active)  # type: ignore[attr-defined]
        new = [f"c{next(fresh)}", f"c{next(fresh)}"]
        made = {
            "retire": active[:1] and act("retire", active[0]),
            "merge": len(active) > 1 and act("merge", " ".join(active[:2]), new[0]),
            "split": active[:1] and act("split", active[0], " ".join(new)),
            "add": act("add", "", new[0]),
            "rename": active[:1] and act("rename", active[0], active[0]),
        }[kind]
        if isinstance(made, TaxonomyActV1):
            now = evolve(now, [made], called(*made.into))
            versions[digest(now)] = now
    lineage = lineage_of(versions, digest(now))
    for version, then in versions.items():
        for one in then.classes:
            meaning = lineage.meanings[version][one.id]
            ends = meaning.candidates or (meaning.label,)
            assert (meaning.fate == "ambiguous") is (len(ends) > 1)
            found = [now.find(id or "") for id in ends]
            assert all(end is not None for end in found)
            if meaning.fate == "current":
                assert found[0] is not None
                assert found[0].state == "active"
