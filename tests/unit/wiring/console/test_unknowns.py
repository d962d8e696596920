"""Unknown defects that look alike are named at once after a look at the doubtful ones, and all of it can be taken back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.act import ActV1
from schemas.codec import record_of
from schemas.label import LabelV1
from schemas.taxonomy import ClassProposalV1, TaxonomyV1
from streams.review.clusters import clustered
from streams.review.labels import Shelf, shelve
from streams.wiring.clustering import clusters_in_child
from streams.wiring.console.naming import settle
from tests.helpers.classes import arrive
from tests.helpers.console import Browser, Desk, console, rows
from tests.helpers.embeddings import embedding, heap, intake_of, log
from tests.helpers.reviewing import look, press
from tests.helpers.unknowns import answers, biggest, groups, named, plant, settled
from tests.unit.review.test_clusters import unknowns

MARKUP = "<script>alert('x')</script>"
PLACE = ("embedding.v1", 0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Nine parts of one unknown kind and seven of another."""
    with console(tmp_path, ()) as found:
        settled(found, plant(9, 7))
        yield found


def written(desk: Desk) -> Browser:
    """The classes that the models know are written down; the engineer's browser."""
    engineer = desk.logged_in("engineer")
    page = engineer.get("/classes", product="disc").text
    found = re.search(r'name="version" value="([0-9a-f]+)"', page)
    assert found
    form = {"product": "disc", "version": found[1], "why": "as the models know them"}
    assert engineer.post("/classes/begin", form, page="/classes?product=disc").status_code == 303
    arrive(desk)
    return engineer


def sent(desk: Desk, kind: Any) -> list[Any]:
    """Messages of that kind that wait for Kafka."""
    found = [record for record in rows(desk) if ("ce_type", kind.TYPE.encode()) in record.headers]
    return [kind.read(record.value) for record in found]


def turned(desk: Desk) -> None:
    """Everything reached Kafka and the sink, and the console followed it."""
    arrive(desk)
    intake_of(desk).turn()


def states(desk: Desk) -> list[str]:
    return [one.state for one in desk.ports.namings.newest()]


def done(answer: Any) -> str:
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).rpartition("done=")[2]


def undone(browser: Browser, proposal: str) -> Any:
    return browser.post("/unknowns/undo", {"proposal": proposal}, page="/unknowns")


def test_heaps_of_all_lines_are_shown_the_biggest_first(desk: Desk) -> None:
    page = desk.logged_in("operator").get("/unknowns").text
    assert re.findall(r">(\d+) parts of disc</a>", page) == ["9", "7"]
    assert "plant/line-1/cam-1, plant/line-2/cam-1" in page
    assert "0 unknown parts are in no heap" in page
    assert "Undo" not in page


def test_a_cluster_shows_the_doubtful_ones_first_and_its_form_to_who_may(desk: Desk) -> None:
    cluster = biggest(desk)
    for role, may in (("operator", False), ("reviewer", True)):
        page = desk.logged_in(role).get("/unknowns/cluster", id=cluster).text  # type: ignore[arg-type]
        assert page.count("/inspection/thumbnail?") == 9
        assert (page.count('value="in"'), "Name these parts" in page) == ((3, True) if may else (0, False))


def test_naming_labels_each_member_and_says_so_on_the_topics(desk: Desk) -> None:
    written(desk)
    reviewer, members = desk.logged_in("reviewer"), groups(desk)[0]
    proposal = done(named(desk, reviewer, label="dent"))
    (said,) = sent(desk, ClassProposalV1)
    assert (said.id, said.label, sorted(said.members), said.who, said.withdrawn) == (
        proposal,
        "dent",
        members,
        "reviewer-1",
        False,
    )
    (record,) = [one for one in rows(desk) if one.topic == "taxonomy.v1"]
    assert record.key == f"proposal/{proposal}".encode()
    labels = sent(desk, LabelV1)
    assert sorted(one.inspection for one in labels) == members
    assert {(one.answer, one.label, one.taxonomy, one.shown, one.proposal, one.who, one.role, one.view) for one in labels} == {
        ("defect", "dent", said.taxonomy, "cluster", proposal, "reviewer-1", "reviewer", "v1")
    }
    assert {one.looked_ms for one in labels if one.inspection in said.borderline} == {2000}
    assert {one.looked_ms for one in labels if one.inspection not in said.borderline} == {0}
    (act,) = [one for one in sent(desk, ActV1) if one.act.startswith("proposal")]
    assert (act.act, act.where, act.who, act.why) == (
        "proposal_made",
        f"current/disc/proposal/{proposal}",
        "reviewer-1",
        "the same mark on all of them",
    )
    assert {record.key for record in rows(desk) if record.topic == "label.v1"} == {b"plant/line-1/cam-1", b"plant/line-2/cam-1"}
    assert "9 parts are <strong>dent</strong> now" in reviewer.get("/unknowns", done=proposal).text


def test_what_was_named_is_offered_no_more(tmp_path: Path) -> None:
    with console(tmp_path, ()) as desk:
        settled(desk, plant(12, 10, 9))
        engineer = written(desk)
        done(named(desk, engineer, label="dent"))
        assert [len(members) for members in groups(desk)] == [10, 9]
        assert re.findall(r">(\d+) parts of disc</a>", engineer.get("/unknowns").text) == ["10", "9"]


def test_named_parts_are_labelled_ones_for_others(desk: Desk) -> None:
    written(desk)
    done(named(desk, desk.logged_in("reviewer"), label="dent"))
    turned(desk)
    assert desk.kept.counts() == {"labelled": 9, "unknown": 7}
    other = plant(9, 7).heaps[1][0]
    assert {one.label for one in desk.embeddings.similar(other, "v1", 3)} == {"dent"}


def test_undo_takes_back_all_of_it_and_naming_again_counts(desk: Desk) -> None:
    written(desk)
    reviewer, members = desk.logged_in("reviewer"), groups(desk)[0]
    first = done(named(desk, reviewer, label="dent"))
    turned(desk)
    assert undone(reviewer, first).status_code == 303
    (said,) = sent(desk, ClassProposalV1)
    assert (said.id, said.withdrawn) == (first, True)
    assert {one.answer for one in sent(desk, LabelV1)} == {None}
    assert [one.act for one in sent(desk, ActV1)] == ["proposal_withdrawn"]
    turned(desk)
    assert (desk.kept.counts(), states(desk)) == ({"unknown": 16}, ["undone"])
    assert groups(desk)[0] == members
    done(named(desk, reviewer, label="dent"))
    turned(desk)
    stored = [shelve(Shelf(), labels) for labels in desk.questions.labels_of(members).values()]
    assert [[one.label for one in shelf.standing()] for shelf in stored] == [["dent"]] * 9
    assert {shelf.conflicts for shelf in stored} == {0}


def test_while_kafka_is_away_the_last_word_still_counts(desk: Desk) -> None:
    """Named, undone and named otherwise before anything has arrived."""
    written(desk)
    reviewer, members = desk.logged_in("reviewer"), groups(desk)[0]
    assert undone(reviewer, done(named(desk, reviewer, label="dent"))).status_code == 303
    assert undone(reviewer, done(named(desk, reviewer, label="dent"))).status_code == 303
    done(named(desk, reviewer, label="scratch"))
    turned(desk)
    stored = [shelve(Shelf(), labels) for labels in desk.questions.labels_of(members).values()]
    assert [[one.label for one in shelf.standing()] for shelf in stored] == [["scratch"]] * 9
    assert {shelf.conflicts for shelf in stored} == {0}


def test_what_does_not_belong_is_taken_out_and_stays_unknown(desk: Desk) -> None:
    written(desk)
    members = groups(desk)[0]
    done(named(desk, desk.logged_in("reviewer"), label="dent", out=members[:4]))
    (said,) = sent(desk, ClassProposalV1)
    assert (sorted(said.members), sorted(said.left_out)) == (members[4:], members[:4])
    assert set(said.borderline) <= set(said.members)
    turned(desk)
    assert desk.kept.counts() == {"labelled": 5, "unknown": 11}


def test_a_reviewer_proposes_a_class_and_its_labels_come_when_an_engineer_has_accepted_it(desk: Desk) -> None:
    engineer = written(desk)
    reviewer, members = desk.logged_in("reviewer"), groups(desk)[0]
    proposal = done(named(desk, reviewer, name="Rim chip"))
    assert sent(desk, LabelV1) == []
    assert "waits for an engineer" in reviewer.get("/unknowns").text
    turned(desk)
    assert settle(desk.ports, desk.now) == 0
    assert "9 are named and on the way" in reviewer.get("/unknowns").text
    version = re.search(r'name="version" value="([0-9a-f]+)"', engineer.get("/classes", product="disc").text)
    assert version
    form = {"product": "disc", "version": version[1], "proposal": proposal, "why": "seen on both lines"}
    assert engineer.post("/classes/accept", form, page="/classes?product=disc").status_code == 303
    arrive(desk)
    desk.now += timedelta(minutes=3)
    assert settle(desk.ports, desk.now) == 1
    labels = sent(desk, LabelV1)
    assert sorted(one.inspection for one in labels) == members
    assert {(one.label, one.who, one.proposal) for one in labels} == {("rim-chip", "reviewer-1", proposal)}
    assert settle(desk.ports, desk.now) == 0
    turned(desk)
    assert (desk.kept.counts()["labelled"], states(desk)) == (9, ["applied"])
    assert undone(reviewer, proposal).status_code == 303
    turned(desk)
    assert desk.kept.counts() == {"unknown": 16}


def test_a_rejected_proposal_frees_its_parts_and_is_not_made_again(desk: Desk) -> None:
    engineer = written(desk)
    reviewer = desk.logged_in("reviewer")
    proposal = done(named(desk, reviewer, name="Rim chip"))
    turned(desk)
    version = re.search(r'name="version" value="([0-9a-f]+)"', engineer.get("/classes", product="disc").text)
    assert version
    form = {"product": "disc", "version": version[1], "proposal": proposal, "why": "these are dents"}
    assert engineer.post("/classes/reject", form, page="/classes?product=disc").status_code == 303
    arrive(desk)
    assert (settle(desk.ports, desk.now), states(desk)) == (1, ["rejected"])
    assert len(groups(desk)[0]) == 9
    again = named(desk, reviewer, name="Rim chip")
    assert (again.status_code, "has rejected this" in again.text) == (400, True)
    done(named(desk, reviewer, label="dent"))


def test_an_engineer_adds_the_class_with_the_naming(desk: Desk) -> None:
    """Also where nobody has written the classes down yet."""
    engineer = desk.logged_in("engineer")
    proposal = done(named(desk, engineer, name="Rim chip"))
    versions = sent(desk, TaxonomyV1)
    assert [[one.id for one in version.classes] for version in versions] == [["dent", "scratch"], ["dent", "scratch", "rim-chip"]]
    assert {one.label for one in sent(desk, LabelV1)} == {"rim-chip"}
    assert len(sent(desk, LabelV1)) == 9
    assert "proposal_accepted" in [one.act for one in sent(desk, ActV1)]
    turned(desk)
    assert settle(desk.ports, desk.now) == 0
    assert states(desk) == ["applied"]
    assert undone(engineer, proposal).status_code == 303


def test_who_has_answered_a_member_since_keeps_that_word(desk: Desk) -> None:
    """A proposal waits; meanwhile its maker says of one part that it is good."""
    engineer = written(desk)
    reviewer, members = desk.logged_in("reviewer"), groups(desk)[0]
    proposal = done(named(desk, reviewer, name="Rim chip"))
    turned(desk)
    draft = desk.ports.namings.drafts(proposal)[members[0]]
    good = LabelV1(**{**dict(draft), "answer": "good", "answered_at": desk.now + timedelta(minutes=1)})
    desk.outgoing.add([record_of(good, id=good.id, station=good.station, subject=good.inspection)], 0)
    turned(desk)
    version = re.search(r'name="version" value="([0-9a-f]+)"', engineer.get("/classes", product="disc").text)
    assert version
    form = {"product": "disc", "version": version[1], "proposal": proposal, "why": "yes"}
    engineer.post("/classes/accept", form, page="/classes?product=disc")
    arrive(desk)
    desk.now += timedelta(minutes=3)
    assert settle(desk.ports, desk.now) == 1
    assert sorted(one.inspection for one in sent(desk, LabelV1)) == members[1:]


def test_an_answer_in_the_queue_takes_the_naming_of_its_part_back(desk: Desk) -> None:
    """Otherwise it would have the id of the naming's label, and come too late."""
    engineer, members = written(desk), groups(desk)[0]
    done(named(desk, engineer, label="dent"))
    turned(desk)
    desk.follow()
    while (fields := look(engineer))["inspection"] not in members:
        engineer.post("/queue/skip", fields, page="/lines")
    press(engineer, fields, "good")
    (answer,) = sent(desk, LabelV1)
    known = [*desk.ports.questions.labels_of([fields["inspection"]])[fields["inspection"]], answer]
    assert shelve(Shelf(), known).standing() == [answer]
    assert answer.withdraws == known[0].id


WRONG: list[tuple[dict[str, str], str]] = [
    ({}, "Choose a class"),
    ({"label": "dent", "name": "Dent two"}, "one of the two"),
    ({"label": "nowhere"}, "no such class"),
    ({"name": "x" * 10_000}, "1 to 80 characters"),
    ({"name": "Dent"}, "There is a class"),
    ({"name": "unknown"}, "no class of defects"),
    ({"name": "a\x00b"}, "visible"),
    ({"name": "Rim chip", "why": ""}, "Say why"),
    ({"name": "Rim chip", "why": "\x00\x01"}, "Say why"),
]


def test_what_is_wrong_with_a_form_is_said_and_changes_nothing(desk: Desk) -> None:
    written(desk)
    reviewer = desk.logged_in("reviewer")
    for fields, said in WRONG:
        answer = named(desk, reviewer, **fields)
        assert (answer.status_code, said in answer.text, "Nothing was changed" in answer.text) == (400, True, True), said
    assert (sent(desk, ClassProposalV1), sent(desk, LabelV1), states(desk)) == ([], [], [])


def test_every_doubtful_part_has_to_be_looked_at(desk: Desk) -> None:
    written(desk)
    reviewer, cluster = desk.logged_in("reviewer"), biggest(desk)
    form = {**answers(desk, cluster), "label": "dent", "why": "seen <b>all</b>"}
    missing = next(name for name in form if name.startswith("b-"))
    del form[missing]
    answer = reviewer.post("/unknowns/name", form, page=f"/unknowns/cluster?id={cluster}")
    assert (answer.status_code, "1 of 3 are missing" in answer.text) == (400, True)
    assert answer.text.count('value="in" required checked') == 2
    assert ("seen &lt;b&gt;all" in answer.text, "<b>all" in answer.text) == (True, False)
    assert (sent(desk, ClassProposalV1), sent(desk, LabelV1)) == ([], [])


def test_nothing_is_named_where_every_member_was_taken_out(desk: Desk) -> None:
    written(desk)
    answer = named(desk, desk.logged_in("reviewer"), label="dent", out=groups(desk)[0])
    assert (answer.status_code, "Every member was taken out" in answer.text) == (400, True)


def test_markup_and_length_in_names_are_text(desk: Desk) -> None:
    written(desk)
    reviewer = desk.logged_in("reviewer")
    done(named(desk, reviewer, name=MARKUP, why=MARKUP + "y" * 10_000))
    for path in ("/unknowns", "/classes?product=disc"):
        turned(desk)
        page = reviewer.get(path).text
        assert (MARKUP in page, "&lt;script&gt;" in page) == (False, True), path
    (act,) = [one for one in desk.ports.namings.newest()]
    assert len(act.proposal.why) == 200


def test_a_cluster_that_is_not_there_is_not_found(desk: Desk) -> None:
    reviewer, there = desk.logged_in("reviewer"), f"/unknowns/cluster?id={biggest(desk)}"
    for id in ("", "nowhere", MARKUP, "x" * 10_000, "../../etc"):
        page = reviewer.get("/unknowns/cluster", id=id)
        assert (page.status_code, MARKUP in page.text) == (404, False)
        answer = reviewer.post("/unknowns/name", {"cluster": id, "label": "dent", "why": "x"}, page=there)
        assert (answer.status_code, "no longer what you have seen" in answer.text) == (409, True)
        assert undone(reviewer, id).status_code == 409


def test_of_two_who_name_a_cluster_at_once_the_second_is_told(desk: Desk) -> None:
    written(desk)
    one, other, cluster = desk.logged_in("reviewer"), desk.logged_in("reviewer", "second"), biggest(desk)
    form = {**answers(desk, cluster), "why": "alike"}
    page = f"/unknowns/cluster?id={cluster}"
    assert one.post("/unknowns/name", {**form, "label": "dent"}, page=page).status_code == 303
    late = other.post("/unknowns/name", {**form, "label": "scratch"}, page=page)
    assert (late.status_code, "reviewer-1 has just named 9 of these parts" in late.text) == (400, True)
    again = one.post("/unknowns/name", {**form, "label": "dent"}, page=page)
    assert again.status_code == 400
    assert {label.label for label in sent(desk, LabelV1)} == {"dent"}


def test_a_cluster_of_which_a_part_was_answered_meanwhile_is_stale(desk: Desk) -> None:
    written(desk)
    one, other, cluster = desk.logged_in("reviewer"), desk.logged_in("reviewer", "second"), biggest(desk)
    form = {**answers(desk, cluster), "why": "alike", "label": "dent"}
    done(named(desk, other, label="dent", out=groups(desk)[0][:8]))
    turned(desk)
    late = one.post("/unknowns/name", form, page=f"/unknowns/cluster?id={cluster}")
    assert (late.status_code, "1 of these parts were answered meanwhile" in late.text) == (400, True)


def test_only_who_named_it_takes_it_back_and_once(desk: Desk) -> None:
    written(desk)
    one, other = desk.logged_in("reviewer"), desk.logged_in("admin", "second")
    proposal = done(named(desk, one, label="dent"))
    refused = undone(other, proposal)
    assert (refused.status_code, "reviewer-1 has named this" in refused.text) == (409, True)
    assert 'action="/unknowns/undo"' not in other.get("/unknowns").text
    assert undone(one, proposal).status_code == 303
    assert undone(one, proposal).status_code == 409


def test_embeddings_of_different_trunks_and_products_are_never_compared(tmp_path: Path) -> None:
    with console(tmp_path, ()) as desk:
        found = plant(10, 10)
        settled(desk, found)
        intake = intake_of(desk)
        intake.begin({PLACE: 0}, {PLACE: 99})
        moved = [*found.heaps[0][5:], *found.heaps[1][5:]]
        vectors = [*heap(10, 1)[5:], *heap(10, 2)[5:]]
        for one in moved:
            assert desk.kept.of([one])
        intake.take(log([embedding(one, vector, trunk="another") for one, vector in zip(moved, vectors, strict=True)], first=40))
        intake.turn()
        assert [len(one) for one in groups(desk)] == [5, 5, 5, 5]
        for members in groups(desk):
            assert len({known.trunk for known in desk.kept.of(members)}) == 1


def test_what_people_look_at_is_found_after_newer_clusters_were_made(desk: Desk) -> None:
    cluster = biggest(desk)
    settled(desk, plant(9, 7, 6))
    assert [len(one) for one in groups(desk)] == [9, 7, 6]
    assert desk.logged_in("reviewer").get("/unknowns/cluster", id=cluster).status_code == 200


def test_a_process_of_its_own_finds_the_same() -> None:
    these = unknowns(12, 20)
    assert [sorted(m.inspection for m in one.members) for one in clusters_in_child(these)] == [
        sorted(m.inspection for m in one.members) for one in clustered(these)
    ]
    assert clusters_in_child([]) == []
