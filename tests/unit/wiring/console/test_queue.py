"""The queue: an answer is a label and a decision, once; nobody gets what another has; what is away or stale is said."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from httpx2 import Response
from sqlalchemy import text

from schemas.common import digest
from schemas.taxonomy import ClassV1, TaxonomyV1
from streams.review.labels import Shelf, shelve
from streams.wiring.adapters.database.connection import writing
from tests.helpers.console import Browser, Desk, console
from tests.helpers.reviewing import SCRIPTED, form, look, press, said, sent, take_back


@pytest.fixture
def ada(desk: Desk) -> Browser:
    desk.follow()
    return desk.logged_in("reviewer", "ada")


def test_one_answer_is_a_label_and_a_decision_and_brings_the_next_part(desk: Desk, ada: Browser) -> None:
    page = ada.get("/queue")
    first = form(page.text)
    ahead = re.findall(r'class="ahead" data-src="([^"]+)"', page.text)
    answer = press(ada, first, "class:dent:scrap", looked_ms="900")
    assert said(answer) == "dent: scrap."
    second = form(answer.text)
    assert second["inspection"] != first["inspection"]
    assert ahead
    assert all(url in answer.text for url in ahead)
    (label,), (review,) = sent(desk)
    assert (label.inspection, label.answer, label.label, label.who, label.shown) == (
        first["inspection"],
        "defect",
        "dent",
        "ada",
        "review",
    )
    assert (review.inspection, review.revision, review.disposition, review.label) == (
        first["inspection"],
        int(first["revision"]),
        "scrap",
        "dent",
    )
    assert review.supersedes == "review"
    assert {record.topic for _, record in desk.outgoing.take(100)} == {"act.v1", "taxonomy.v1", "label.v1", "evidence.v1"}


def test_without_script_every_answer_loads_the_page(desk: Desk, ada: Browser) -> None:
    first = look(ada)
    answer = ada.post("/queue/answer", {**first, "answer": "good"}, page="/queue")
    assert (answer.status_code, answer.text.startswith("<!doctype html>")) == (200, True)
    assert "Good: it passes." in answer.text


def test_the_same_again_changes_nothing_and_another_answer_comes_too_late(desk: Desk, ada: Browser) -> None:
    first = look(ada)
    press(ada, first, "good")
    before = desk.outgoing.waiting()
    assert said(press(ada, first, "good")) == ""
    assert "first answer counts" in said(press(ada, first, "unsure"))
    assert desk.outgoing.waiting() == before


def test_what_the_page_does_not_know_any_more_is_refused(desk: Desk, ada: Browser) -> None:
    first = look(ada)
    assert "has changed" in said(press(ada, {**first, "revision": "7"}, "good"))
    assert "has changed" in said(press(ada, {**first, "opinion": "second"}, "good"))
    with writing(desk.engine) as connection:
        later = "UPDATE inspections SET revision = 2, disposition = 'scrap', decided_by = 'person' WHERE inspection = :part"
        connection.execute(text(later), {"part": first["inspection"]})
    assert "decided meanwhile" in said(press(ada, first, "good"))
    assert "Nothing is known" in said(press(ada, {**first, "inspection": "plant/line-1/cam-1:1-000000000001"}, "good"))
    assert sent(desk) == ([], [])


def test_a_new_verdict_while_somebody_looks_makes_the_form_stale_and_the_part_comes_again(desk: Desk, ada: Browser) -> None:
    first = look(ada)
    with writing(desk.engine) as connection:
        connection.execute(text("UPDATE inspections SET revision = 2 WHERE inspection = :part"), {"part": first["inspection"]})
    answer = press(ada, first, "good")
    assert "has changed" in said(answer)
    again = form(answer.text)
    assert (again["inspection"], again["revision"]) == (first["inspection"], "2")
    assert said(press(ada, again, "good")) == "Good: it passes."


def test_taking_back_shows_the_part_again_and_the_log_can_follow(desk: Desk, ada: Browser) -> None:
    first = look(ada)
    back = take_back(ada, press(ada, first, "good"))
    again = form(back.text)
    assert (again["inspection"], again["revision"]) == (first["inspection"], "3")
    press(ada, again, "class:dent:scrap")
    labels, reviews = sent(desk)
    assert [(one.revision, one.disposition) for one in reviews] == [(1, "pass"), (2, "review"), (3, "scrap")]
    (standing,) = shelve(Shelf(), labels).standing()
    assert (standing.label, len({one.id for one in labels})) == ("dent", 3)


def test_an_answer_is_taken_back_once_by_whoever_gave_it_and_not_for_ever(desk: Desk, ada: Browser) -> None:
    done = press(ada, look(ada), "good")
    bob = desk.logged_in("reviewer", "bob")
    assert "last answer" in said(take_back(bob, done))
    desk.now += timedelta(hours=1, minutes=1)
    assert "for an hour" in said(take_back(ada, done))
    desk.now -= timedelta(hours=1)
    assert said(take_back(ada, done)).startswith("Taken back")
    assert "last answer" in said(take_back(ada, done))
    assert len(sent(desk)[1]) == 2


def test_no_two_people_have_the_same_part(desk: Desk) -> None:
    desk.follow()
    people = [desk.logged_in("reviewer", f"r{n}") for n in range(8)]
    shown = [look(one)["inspection"] for one in people]
    assert len(set(shown)) == len(people)
    assert [look(one)["inspection"] for one in people] == shown
    other = {**look(people[1])}
    assert "Somebody else" in said(press(people[0], other, "good"))


def test_whoever_leaves_gives_the_part_free_and_may_still_answer_first(desk: Desk, ada: Browser) -> None:
    first = look(ada)
    desk.now += timedelta(minutes=6)
    bob = desk.logged_in("reviewer", "bob")
    assert look(bob)["inspection"] == first["inspection"]
    assert "Somebody else" in said(press(ada, first, "good"))
    desk.now += timedelta(minutes=6)
    assert said(press(bob, first, "good")) == "Good: it passes."


def test_skipping_puts_it_back_for_others(desk: Desk, ada: Browser) -> None:
    first = look(ada)
    answer = ada.post("/queue/skip", first, page="/lines", **SCRIPTED)
    assert form(answer.text)["inspection"] != first["inspection"]
    assert look(desk.logged_in("reviewer", "bob"))["inspection"] == first["inspection"]
    assert sent(desk) == ([], [])


def test_a_blind_second_look_decides_with_the_first_or_goes_to_a_third_and_then_to_an_engineer(tmp_path: Path) -> None:
    with console(tmp_path, second_share=1.0) as desk:
        desk.follow()
        ada, bob, eve = (desk.logged_in("reviewer", name) for name in ("ada", "bob", "eve"))
        first = look(ada)
        answer = press(ada, first, "class:dent:scrap")
        assert said(answer) == "dent: somebody else looks at it, too."
        assert form(answer.text)["inspection"] != first["inspection"]
        page = bob.get("/queue").text
        second = form(page)
        assert (second["inspection"], second["opinion"]) == (first["inspection"], "second")
        for told in ('class="heat"', "stranger than", "Stranger than", 'class="share"', "dent 4"):
            assert told not in page, told
        assert said(press(bob, second, "good")) == "Good: somebody else looks at it, too."
        third = look(eve)
        assert third["opinion"] == "third"
        press(eve, third, "class:scratch:rework")
        assert sent(desk)[1] == []
        assert look(ada)["inspection"] != first["inspection"]
        chief = desk.logged_in("engineer", "chief")
        page = chief.get("/queue").text
        assert all(f"{who}: {what}" in page for who, what in (("ada", "dent"), ("bob", "good"), ("eve", "scratch")))
        assert said(press(chief, form(page), "class:dent:scrap")) == "dent: scrap."
        labels, (review,) = sent(desk)
        assert (review.who, review.role, review.disposition) == ("chief", "engineer", "scrap")
        assert [one.opinion for one in labels] == ["first", "second", "third", "third"]


def test_two_who_agree_decide_in_the_name_of_the_first(tmp_path: Path) -> None:
    with console(tmp_path, second_share=1.0) as desk:
        desk.follow()
        for name in ("ada", "bob"):
            one = desk.logged_in("reviewer", name)
            press(one, look(one), "class:dent:scrap")
        labels, (review,) = sent(desk)
        assert (review.who, len(labels)) == ("ada", 2)


def bare(answer: Response) -> str:
    """A page of the queue without images, numbers and what the last act was."""
    text = re.sub(r"<figure.*?</figure>|<span hidden.*?</span>", "", answer.text, flags=re.S)
    return re.sub(r"\d+", "#", text.replace(said(answer), ""))


def test_an_audited_pass_looks_like_a_blind_review_and_its_answer_says_what_it_was(desk: Desk, ada: Browser) -> None:
    (audit,) = (part.inspection for part in desk.ports.questions.opened("", 1000) if part.disposition == "pass")
    seen: dict[str, Response] = {}
    page = ada.get("/queue")
    for _ in range(57):
        seen[form(page.text)["inspection"]] = page
        page = ada.post("/queue/skip", form(page.text), page="/lines", **SCRIPTED)
    blind = [page for inspection, page in seen.items() if inspection != audit and "Look without help" in page.text]
    assert 0 < len(blind) < len(seen) / 3
    assert bare(seen[audit]) in {bare(page) for page in blind}
    for hint in ("heat", "boxes-", "stranger", 'class="share"', "audit"):
        assert hint not in seen[audit].text, hint
    desk.now += timedelta(minutes=11)
    while (page := ada.get("/queue")) and form(page.text)["inspection"] != audit:
        ada.post("/queue/skip", form(page.text), page="/lines", **SCRIPTED)
    assert said(press(ada, form(page.text), "class:dent:scrap")) == "dent: scrap."
    (label,), (review,) = sent(desk)
    assert (label.shown, label.audit_probability is not None) == ("audit", True)
    assert (review.supersedes, review.disposition) == ("pass", "scrap")


def test_a_kill_loses_no_answer_no_lease_and_no_undo(tmp_path: Path) -> None:
    with console(tmp_path) as desk:
        desk.follow()
        ada = desk.logged_in("reviewer", "ada")
        first = look(ada)
        after = press(ada, first, "good")
        second, cookies = form(after.text), ada.client.cookies
    with console(tmp_path, fill=False) as again:
        again.follow()
        ada = again.browser()
        ada.client.cookies.update(cookies)
        assert look(ada) == second
        bob = again.logged_in("reviewer", "bob")
        seen = look(bob)["inspection"]
        assert seen not in (first["inspection"], second["inspection"])
        assert len(sent(again)[1]) == 1
        assert said(take_back(ada, after)).startswith("Taken back")


def test_answers_do_not_lengthen_or_turn_round_when_a_clock_is_set_back(desk: Desk, ada: Browser) -> None:
    first = look(ada)
    desk.now -= timedelta(seconds=50)
    second = form(press(ada, first, "good", looked_ms="999999999").text)
    desk.now += timedelta(seconds=30)
    press(ada, second, "good", looked_ms="-5")
    labels, _ = sent(desk)
    assert [one.looked_ms for one in labels] == [0, 30_000]


def test_a_part_whose_image_is_gone_says_so_and_is_decided_all_the_same(desk: Desk, ada: Browser) -> None:
    page = ada.get("/queue").text
    assert "no longer retained" in page
    gone = ada.get(re.findall(r'<image href="([^"]+)"', page)[0].replace("&amp;", "&"))
    assert gone.status_code == 404
    assert said(press(ada, form(page), "good")) == "Good: it passes."


@pytest.mark.parametrize(
    "wrong",
    [
        {"answer": "class:scratch"},
        {"answer": "class::scrap"},
        {"answer": "bad"},
        {"answer": ""},
        {"revision": "x"},
        {"revision": "9" * 50},
        {"revision": "٣"},
        {"opinion": "fourth"},
    ],
)
def test_a_form_that_is_none_changes_nothing(desk: Desk, ada: Browser, wrong: dict[str, str]) -> None:
    answer = ada.post("/queue/answer", {**look(ada), "answer": "good", **wrong}, page="/lines")
    assert answer.status_code == 400
    assert sent(desk) == ([], [])


@pytest.mark.parametrize("named", ["no-such-class", "<script>alert(1)</script>", "x" * 10_000])
def test_a_class_that_does_not_exist_is_refused_and_shown_as_nothing(desk: Desk, ada: Browser, named: str) -> None:
    answer = press(ada, look(ada), f"class:{named}:scrap")
    assert "no such class" in said(answer)
    assert "<script>alert" not in answer.text
    assert sent(desk) == ([], [])


def test_why_with_10_kb_is_cut(desk: Desk, ada: Browser) -> None:
    press(ada, look(ada), "good", why="x" * 10_000)
    (label,), (review,) = sent(desk)
    assert len(label.why) == len(review.why) == 2000


def test_what_waits_is_said_while_kafka_is_away(desk: Desk, ada: Browser) -> None:
    desk.trouble = "Local: All broker connections are down"
    answer = press(ada, look(ada), "good")
    assert "Fewer than 10 records" in answer.text
    assert "nothing is lost" in answer.text


def test_classes_are_those_in_force_and_where_the_policy_is_silent_the_person_chooses(desk: Desk, ada: Browser) -> None:
    first = TaxonomyV1(product="disc", classes=tuple(ClassV1(id=id, name=id.title()) for id in ("dent", "pit")))
    desk.ports.taxonomies.publish([first], who="chief", why="a test", now=desk.now)
    page = ada.get("/queue").text
    values = re.findall(r'value="(class:[^"]+)"', page)
    assert values == ["class:dent:scrap", "class:pit:scrap", "class:pit:rework"]
    assert said(press(ada, form(page), "class:pit:rework")) == "pit: rework."
    (label,), (review,) = sent(desk)
    assert (label.label, label.taxonomy, review.disposition) == ("pit", digest(first), "rework")
    assert said(press(ada, look(ada), "class:scratch:rework")).startswith("There is no such class")


def test_where_its_size_decides_the_page_says_what_was_measured_and_a_blind_one_does_not(desk: Desk, ada: Browser) -> None:
    fates: set[tuple[bool, tuple[str, ...]]] = set()
    page = ada.get("/queue").text
    while fields := form(page):
        values = re.findall(r'value="class:scratch:([^"]+)"', page)
        fates.add(("Look without help" in page, tuple(values)))
        page = ada.post("/queue/skip", fields, page="/lines", **SCRIPTED).text
    assert {one for blind, one in fates if blind} == {("by its size",)}
    assert {one for blind, one in fates if not blind} == {("rework",), ("scrap",), ("rework", "scrap")}
