"""Challenges in the queue: they look like any blind review, are labels and no decision, come seldom, and once to a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from httpx2 import Response
from sqlalchemy import select

from schemas.common import ImageRef
from schemas.topics import LABEL
from streams.fates import Unprocessable
from streams.review.blind import is_blind_look
from streams.review.known import is_due
from streams.review.labels import Shelf, shelve
from streams.wiring.adapters.database.connection import reading
from streams.wiring.adapters.desk.opening import open_desk
from streams.wiring.adapters.desk.tables import TESTED
from streams.wiring.console.reviews import BLIND_SHARE
from tests.helpers.classes import arrive, pointers, put
from tests.helpers.console import Browser, Desk, console, rows
from tests.helpers.history import history
from tests.helpers.known import Rabbit, rabbits
from tests.helpers.reviewing import SCRIPTED, form, look, press, said, sent, take_back
from tests.unit.wiring.console.test_reviewers import table

SHARE = 0.25  # four answers lie between two
FOUR = [Rabbit(n=121 + i, name=name, kind=kind, image=str(i)) for i, (name, kind) in enumerate(
    (("m1", "defect"), ("m2", "defect"), ("g1", "golden"), ("g2", "golden")))]  # fmt: skip
KNOWN = {one.inspection for one in FOUR}


def there(ref: ImageRef) -> bytes:
    return b"a picture"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with console(tmp_path, (*history(120), *rabbits(*FOUR)), read_image=there, challenge_share=SHARE) as found:
        found.follow()
        yield found


@pytest.fixture
def ada(desk: Desk) -> Browser:
    return desk.logged_in("reviewer", "ada")


def until_a_challenge(browser: Browser, wanted: set[str] = KNOWN, most: int = 56) -> Response:
    """The page that shows it; all parts before it are called good."""
    page = browser.get("/queue")
    for _ in range(most):
        if form(page.text)["inspection"] in wanted:
            return page
        page = press(browser, form(page.text), "good")
    raise AssertionError(f"none of {most} parts was a challenge")


def test_its_answer_is_a_label_and_no_decision(desk: Desk, ada: Browser) -> None:
    shown = form(until_a_challenge(ada).text)
    before = desk.ports.reviews.room.counts("ada").left
    answer = press(ada, shown, "class:dent:scrap", looked_ms="0")
    assert said(answer) == "dent: scrap.", "what it says of any part"
    assert desk.ports.reviews.room.counts("ada").left == before, "it did not wait for anybody"
    labels, reviews = sent(desk)
    label = labels[-1]
    assert (label.inspection, label.shown, label.purpose, label.answer, label.label, label.opinion) == (
        shown["inspection"],
        "challenge",
        "challenge",
        "defect",
        "dent",
        "first",
    )
    assert {one.inspection for one in reviews}.isdisjoint(KNOWN)
    assert len(reviews) == len(labels) - 1


@pytest.mark.parametrize("answer", ["good", "unsure", "new:scrap"])
def test_whatever_is_said_it_is_over(desk: Desk, ada: Browser, answer: str) -> None:
    shown = form(until_a_challenge(ada).text)
    told = {"good": "Good: it passes.", "unsure": "Unsure: somebody else looks at it, too."}
    assert said(press(ada, shown, answer)) == told.get(answer, "New kind of defect: scrap.")
    assert said(press(ada, shown, answer)) == "", "the same again"
    assert "first answer counts" in said(press(ada, shown, "class:dent:scrap"))
    assert not desk.ports.reviews.room.counts("ada").theirs
    assert [one.shown for one in sent(desk)[0]].count("challenge") == 1


def plain(page: Response) -> str:
    """All of it but its numbers, the last answer's included."""
    text = re.sub(r"<span hidden.*?</span>", "", page.text.replace(said(page), ""), flags=re.S)
    return re.sub(r"\d+", "#", text)


def test_it_looks_like_a_blind_review(desk: Desk, ada: Browser) -> None:
    page = until_a_challenge(ada)
    seen: dict[str, Response] = {}
    bob = desk.logged_in("reviewer", "bob")  # who has answered too few for one
    other = bob.get("/queue")
    while fields := form(other.text):
        seen[fields["inspection"]] = other
        other = bob.post("/queue/skip", fields, page="/lines", **SCRIPTED)
    blind = {plain(one) for inspection, one in seen.items() if "Look without help" in one.text}
    assert seen.keys().isdisjoint(KNOWN)
    last = re.compile(r'<form method="post" action="/queue/undo">.*?</form>', re.S)  # bob has none
    csrf = re.compile(r'name="csrf" value="[^"]*"')
    bare = [csrf.sub("", last.sub("", one)).split() for one in (plain(page), *blind)]
    assert bare[0] in bare[1:]
    for hint in ("heat", "boxes-", "tranger", 'class="share"', "challenge", "S1", "m1", "rabbit"):
        assert hint not in csrf.sub("", last.sub("", page.text)), hint  # a token may hold any two letters


def test_who_looks_without_help_cannot_look_it_up_until_they_have_answered(desk: Desk, ada: Browser) -> None:
    for wanted in (KNOWN, {one for one in blind_ones(desk) if one not in KNOWN}):
        shown = form(until_a_challenge(ada, wanted).text)
        refused = ada.get("/inspection", id=shown["inspection"])
        assert (refused.status_code, "without help" in refused.text) == (409, True)
        press(ada, shown, "good")
        assert ada.get("/inspection", id=shown["inspection"]).status_code == 200


def blind_ones(desk: Desk) -> list[str]:
    waiting = (part.inspection for part in desk.ports.questions.opened("", 1000))
    return [one for one in waiting if is_blind_look(one, "review", "first", BLIND_SHARE)]


def test_the_images_of_the_next_one_are_named_as_those_of_any_part(desk: Desk, ada: Browser) -> None:
    page = ada.get("/queue")
    for _ in range(56):
        ahead = re.findall(r'data-src="(/inspection/[^"]+)"', page.text)
        if any(f"{n:012d}" in url for url in ahead for n in range(121, 125)):
            assert [re.sub(r"\d+", "#", url) for url in ahead] == [
                "/inspection/image?id=plant%#Fline-#%#Fcam-#%#A#-#&amp;view=v#"
            ]
            return
        page = press(ada, form(page.text), "good")
    raise AssertionError("none came")


def test_taking_back_shows_it_again_and_the_next_answer_counts(desk: Desk, ada: Browser) -> None:
    shown = form(until_a_challenge(ada).text)
    back = take_back(ada, press(ada, shown, "good"))
    assert said(back) == "Taken back: here it is again."
    assert form(back.text) == shown
    press(ada, form(back.text), "class:dent:scrap")
    labels, reviews = sent(desk)
    mine = [one for one in labels if one.inspection in KNOWN]
    assert [(one.answer, one.shown) for one in mine] == [("good", "challenge"), (None, "challenge"), ("defect", "challenge")]
    (standing,) = shelve(Shelf(), mine).standing()
    assert standing.label == "dent"
    assert {one.inspection for one in reviews}.isdisjoint(KNOWN)


def test_a_share_at_most_and_each_part_once(desk: Desk, ada: Browser) -> None:
    again = [Rabbit(n=131 + i, name=f"copy-{one.name}", kind=one.kind, image=one.image) for i, one in enumerate(FOUR)]
    put(desk, [one for one in rabbits(*again)], 60_000)  # type: ignore[misc]
    desk.now += timedelta(minutes=2)
    desk.follow()
    page, shown = ada.get("/queue"), []
    while fields := form(page.text):
        shown.append(fields["inspection"])
        page = press(ada, fields, "good")
    known = {one.inspection: one.image for one in (*FOUR, *again)}
    tests = [n for n, inspection in enumerate(shown, start=1) if inspection in known]
    assert all(i <= SHARE * n for i, n in enumerate(tests, start=1))
    assert len(tests) == 4
    assert {known[shown[n - 1]] for n in tests} == {one.image for one in FOUR}, "another showing is the same part"
    assert len(shown) == len(set(shown))


def test_every_draw_can_be_repeated(desk: Desk, ada: Browser, tmp_path: Path) -> None:
    until_a_challenge(ada)
    desk_engine = open_desk(tmp_path)
    with reading(desk_engine) as connection:
        (given,) = connection.execute(select(TESTED)).all()
    desk_engine.dispose()
    assert given.inspection in KNOWN
    assert is_due("ada", given.instead_of, given.answer, SHARE)
    assert given.instead_of not in KNOWN


def test_no_two_people_have_one_part_at_a_time(tmp_path: Path) -> None:
    one = [Rabbit(n=121, name="m1", image="1"), Rabbit(n=122, name="m1", image="1")]
    with console(tmp_path, (*history(120), *rabbits(*one)), read_image=there, challenge_share=1.0) as desk:
        desk.follow()
        ada, bob = desk.logged_in("reviewer", "ada"), desk.logged_in("reviewer", "bob")
        both = {rabbit.inspection for rabbit in one}
        first = form(until_a_challenge(ada, both).text)
        for _ in range(15):
            assert look(bob)["inspection"] not in both
            press(bob, look(bob), "good")
        press(ada, first, "good")
        second = form(until_a_challenge(bob, both, 20).text)
        assert second["inspection"] != first["inspection"], "a showing is one person's"


def test_what_nobody_was_given_cannot_be_answered(desk: Desk, ada: Browser) -> None:
    look(ada)
    forged = {"inspection": FOUR[0].inspection, "revision": "1", "opinion": "first"}
    assert "decided meanwhile" in said(press(ada, forged, "class:dent:scrap"))
    assert sent(desk) == ([], [])


def test_there_are_none_at_a_share_of_0_nor_where_an_image_is_gone(tmp_path: Path) -> None:
    def gone(ref: ImageRef) -> bytes:
        raise Unprocessable("image_gone", "nothing is there")

    for n, (share, read) in enumerate(((0.0, there), (SHARE, gone))):
        (tmp_path / str(n)).mkdir()
        with console(tmp_path / str(n), (*history(120), *rabbits(*FOUR)), read_image=read, challenge_share=share) as desk:
            desk.follow()
            ada = desk.logged_in("reviewer", "ada")
            page = ada.get("/queue")
            while fields := form(page.text):
                assert fields["inspection"] not in KNOWN
                page = press(ada, fields, "good")


def test_a_restart_remembers_who_had_what_and_who_holds_it(tmp_path: Path) -> None:
    records = (*history(120), *rabbits(FOUR[0]))
    with console(tmp_path, records, read_image=there, challenge_share=SHARE) as desk:
        desk.follow()
        ada = desk.logged_in("reviewer", "ada")
        shown, cookies = form(until_a_challenge(ada).text), ada.client.cookies
    with console(tmp_path, fill=False, read_image=there, challenge_share=SHARE) as again:
        again.follow()
        ada = again.browser()
        ada.client.cookies.update(cookies)
        assert look(ada) == shown
        page = press(ada, shown, "good")
        while fields := form(page.text):
            assert fields["inspection"] not in KNOWN, "once"
            page = press(ada, fields, "good")


def test_the_page_reviewers_shows_what_came_of_it_and_classes_do_not_count_it(desk: Desk, ada: Browser) -> None:
    put(desk, pointers())
    kinds = {one.inspection: one.kind for one in FOUR}
    engineer = desk.logged_in("engineer")
    for _ in range(4):
        shown = form(until_a_challenge(ada).text)
        press(ada, shown, "class:dent:scrap" if kinds[shown["inspection"]] == "defect" else "good")
    labels = [one for one in rows(desk) if one.topic == LABEL]
    arrive(desk)
    assert len(labels) > 8
    grade, effective, miss, false_alarm, *_ = table(engineer, "Each person")["ada"]
    assert (grade, effective) == ("good", "100.0 % 39.8–100 % 4 of 4")
    assert miss == "0.0 % 0–84.2 % 0 of 2"
    assert false_alarm == "0.0 % 0–84.2 % 0 of 2"
    assert table(engineer, "By class")["ada scratch"] == ["0.0 % 0–84.2 % 0 of 2"] * 3, "found, and called dents"
    said = {one.answer: one.n for one in desk.questions.labelled("disc")}
    assert said == {"good": len(labels) - 4}, "no class has a part by them"
    assert not {one for one in KNOWN if desk.ports.questions.standing(one).revision > 1}  # type: ignore[union-attr]
