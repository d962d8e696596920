"""An answer decides once, names what it supersedes, and can be taken back; what the log says besides ends old opinions."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.common import Disposition
from schemas.label import Answer, Opinion
from streams.review import docket as d
from streams.review.claims import OPINIONS, drawn_for_second, wanted
from streams.review.docket import Change, Docket, Spoken, Stood, answer, dump, load, met, open_docket, overrule, take, undo
from tests.helpers.calm import CALM
from tests.helpers.labels import part

LEASE = 60_000
REVIEW = Stood(disposition="review", label="unknown")
BECOMES: dict[str, Disposition | None] = {"good": "pass", "defect": "scrap", "unsure": None}


def fresh(second: float = 0.0, stands: Stood = REVIEW) -> Docket:
    return open_docket(part(1), 1, stands, "review", second)


def spoken(who: str, said: Answer, revision: int = 1, label: str | None = None) -> Spoken:
    return Spoken(who=who, role="reviewer", answer=said, label=label, becomes=BECOMES[said], revision=revision, looked_ms=5)


def say(docket: Docket, who: str, said: Answer, label: str | None = None, now_ms: int = 0) -> Change:
    opinion = wanted(docket.case)
    assert opinion is not None
    change = answer(docket, opinion, spoken(who, said, docket.case.revision, label), now_ms)
    assert isinstance(change, Change), change
    return change


def test_the_only_opinion_decides_and_names_the_revision_that_it_makes() -> None:
    change = say(fresh(), "ada", "defect", "dent")
    assert change.decided is not None
    assert change.docket.stands == Stood(disposition="scrap", label="dent")
    assert (change.docket.case.revision, change.docket.before, change.docket.is_open) == (2, REVIEW, False)
    assert take(change.docket, "bob", 0, LEASE) == "closed"
    assert answer(change.docket, "first", spoken("bob", "good"), 0) == "closed"


def test_a_kind_without_a_name_is_unknown_to_the_verdict() -> None:
    assert say(fresh(), "ada", "defect").docket.stands.label == "unknown"
    assert say(fresh(), "ada", "good").docket.stands == Stood(disposition="pass")


def test_a_second_look_decides_only_where_both_agree_and_who_said_it_first_has_said_it() -> None:
    first = say(fresh(second=1), "ada", "defect", "dent")
    assert first.decided is None
    assert first.docket.is_open
    second = say(first.docket, "bob", "defect", "dent")
    assert second.decided is not None
    assert second.decided.who == "ada"
    third = say(say(first.docket, "bob", "good").docket, "eve", "good")
    assert third.decided is not None
    assert (third.decided.who, third.docket.stands.disposition) == ("bob", "pass")


def test_where_no_two_agree_an_engineer_decides_and_may_take_it_back() -> None:
    docket = fresh()
    for who, said in (("ada", "unsure"), ("bob", "good"), ("eve", "defect")):
        docket = say(docket, who, said).docket  # type: ignore[arg-type]
    assert docket.is_contested
    assert take(docket, "ann", 0, LEASE) == "closed"
    held = d.take_contested(docket, "ann", 0, LEASE)
    assert not isinstance(held, str)
    assert d.take_contested(held[0], "max", 0, LEASE) == "held_by_another"
    assert overrule(held[0], spoken("ann", "good", revision=9)) == "stale"
    change = overrule(held[0], spoken("ann", "defect"))
    assert isinstance(change, Change)
    assert change.decided is not None
    assert (change.decided.who, change.docket.is_open) == ("ann", False)
    assert undo(change.docket, "eve", 0) == "stale"
    back = undo(change.docket, "ann", 0)
    assert isinstance(back, Change)
    assert (back.restored, back.docket.is_contested, back.docket.case.revision) == (REVIEW, True, 3)


def test_taking_back_restores_what_stood_and_the_next_answer_names_the_new_revision() -> None:
    decided = say(fresh(), "ada", "defect", "dent").docket
    back = undo(decided, "ada", 0)
    assert isinstance(back, Change)
    assert (back.restored, back.docket.stands, back.docket.case.revision) == (REVIEW, REVIEW, 3)
    assert undo(back.docket, "ada", 0) == "not_yours"
    again = say(back.docket, "ada", "good")
    assert (again.docket.case.revision, again.docket.stands.disposition) == (4, "pass")


def test_an_opinion_that_decided_nothing_is_taken_back_without_a_revision() -> None:
    back = undo(say(fresh(), "ada", "unsure").docket, "ada", 0)
    assert isinstance(back, Change)
    assert (back.restored, back.docket.case.revision, back.docket.spoken) == (None, 1, ())


def test_our_own_revision_changes_nothing_and_another_one_ends_what_was_said() -> None:
    decided = say(fresh(), "ada", "defect", "dent").docket
    assert met(decided, 1, REVIEW) == decided
    assert met(decided, 2, Stood(disposition="scrap", label="dent")) == decided
    for revision, disposition in ((2, "review"), (3, "rework")):
        other = met(decided, revision, Stood(disposition=disposition))  # type: ignore[arg-type]
        assert (other.is_open, other.spoken, other.case.said, other.case.since) == (True, (), (), revision)
        assert answer(other, "first", spoken("bob", "good", revision=revision - 1), 0) == "stale"


def test_one_tail_a_person_survives_a_part_that_is_looked_at_anew() -> None:
    tailed = replace(say(fresh(), "ada", "good").docket, tails={"ada": "x"})
    assert met(tailed, 7, REVIEW).tails == {"ada": "x"}


STEPS = st.lists(
    st.tuples(st.sampled_from(["ada", "bob", "eve", "ann"]), st.sampled_from(["good", "defect", "unsure", "undo", "other"])),
    max_size=14,
)


@CALM
@given(steps=STEPS, second=st.sampled_from([0.0, 1.0]))
def test_revisions_follow_each_other_and_text_gives_the_docket_back(steps: list[tuple[str, str]], second: float) -> None:
    docket, revision = fresh(second), 1
    for who, what in steps:
        if what == "other":
            revision += 1
            docket = met(docket, revision, Stood(disposition="review", label=f"{revision}"))
        else:
            change = undo(docket, who, 0) if what == "undo" else _any(docket, who, what)  # type: ignore[arg-type]
            if isinstance(change, Change):
                revision += (change.decided is not None) + (change.restored is not None)
                docket = change.docket
        assert docket.case.revision == revision
        assert len(docket.spoken) == len(docket.case.said) <= len(OPINIONS)
        assert docket.is_open == (docket.before is None)
        assert load(dump(docket)) == docket
    assert drawn_for_second(part(1), second) == docket.case.twice


def _any(docket: Docket, who: str, said: Answer) -> Change | str:
    opinion: Opinion = wanted(docket.case) or "first"
    return answer(docket, opinion, spoken(who, said, docket.case.revision), 0)


def test_an_answer_to_a_challenge_decides_nothing_whatever_it_is_and_one_person_gives_it() -> None:
    for said in ("good", "defect", "unsure"):
        asked = open_docket(part(1), 1, REVIEW, "challenge", 0.0)
        change = say(asked, "ada", said)
        after = change.docket
        assert (change.decided, change.restored, after.stands, after.case.revision) == (None, None, REVIEW, 1)
        assert not after.is_open
        assert not after.is_contested
        assert take(after, "bob", 0, LEASE) == "closed"
        back = undo(after, "ada", 0)
        assert isinstance(back, Change)
        assert (back.restored, back.docket, load(dump(after))) == (None, asked, after)


def test_what_the_log_says_of_a_challenge_does_not_end_its_look() -> None:
    taken = take(open_docket(part(1), 1, REVIEW, "challenge", 0.0), "ada", 0, LEASE)
    assert not isinstance(taken, str)
    assert met(taken[0], 2, Stood(disposition="scrap")) == taken[0]
