"""Reviewers: what they said of challenge parts and of each other's parts, as shares with intervals and counts; for engineers."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from schemas.common import digest
from schemas.label import LabelV1
from schemas.taxonomy import TaxonomyActV1
from streams.review.taxonomy import evolve
from tests.helpers.classes import arrive, challenged, label, labels, pointers, put
from tests.helpers.console import Browser, Desk, console
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.judgement import PRODUCT
from tests.helpers.labels import taxonomy
from tests.unit.wiring.console.test_bad_input import MARKUP

CLASSES = taxonomy("scratch", "dent").model_copy(update={"product": PRODUCT})
BAD = {"answer": "defect", "taxonomy": digest(CLASSES)}
KINDS = {0: ("defect", "scratch"), 1: ("defect", "dent"), 2: ("golden", None), 3: ("graded", "scratch"), 4: ("defect", None)}


def known(n: int, who: str, **said: object) -> LabelV1:
    return label(n, who=who, shown="challenge", purpose="challenge", **said)


def table(browser: Browser, name: str) -> dict[str, list[str]]:
    """The first cell of each row (two, of the table by class) -> the others, as text. A person's grade is cut from their name."""
    found = re.search(rf'aria-label="{name}">(.*?)</table>', browser.get("/reviewers").text, re.S)
    assert found, name
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in re.findall(r"<tr>(.*?)</tr>", found[1], re.S)]
    plain = [[" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in row] for row in cells]
    for before, row in pairwise(plain[1:]):
        if name == "By class" and len(row) < 5:  # the person's cell spans several rows
            row.insert(0, before[0])
    for row in plain if name == "Each person" else ():
        row[:1] = row[0].split(" ", 1)
    names = 2 if name == "By class" else 1
    return {" ".join(row[:names]): row[names:] for row in plain[1:]}


@pytest.fixture
def engineer(desk: Desk) -> Browser:
    put(desk, pointers())
    desk.ports.taxonomies.publish([CLASSES], who="m.weber", why="x", now=desk.now)
    arrive(desk)
    return desk.logged_in("engineer")


def test_without_answers_it_says_so(engineer: Browser) -> None:
    assert "Nobody has answered a challenge part" in engineer.get("/reviewers").text


def test_against_known_parts(desk: Desk, engineer: Browser) -> None:
    challenged(desk, KINDS)
    said = [
        known(0, "ada", label="scratch", **BAD),
        known(1, "ada", label="scratch", **BAD),  # found, and called another class
        known(2, "ada"),
        known(3, "ada"),  # graded: it need not be found
        known(4, "ada", **(BAD | {"taxonomy": None})),
        known(0, "bob"),
        known(2, "bob", answer="defect"),
        known(1, "bob", answer="unsure"),
    ]
    put(desk, labels(*said))
    grade, effective, miss, false_alarm, _, unsure, _ = table(engineer, "Each person")["ada"]
    assert effective == "100.0 % 39.8–100 % 4 of 4", "Clopper and Pearson"
    assert (miss.split()[0], miss[-6:], false_alarm[-6:], unsure[-6:], grade) == ("0.0", "0 of 3", "0 of 1", "0 of 4", "good")
    grade, effective, miss, false_alarm, _, unsure, _ = table(engineer, "Each person")["bob"]
    assert [one.split()[0] for one in (effective, miss, false_alarm)] == ["0.0", "100.0", "100.0"]
    assert (unsure[-6:], grade) == ("1 of 3", "unacceptable"), "unsure is counted apart"
    classes = table(engineer, "By class")
    assert [one.split()[0] for one in classes["ada dent"]] == ["0.0", "0.0", "0.0"], "found, and called another class"
    assert classes["ada dent"][0].endswith("0 of 1")
    assert classes["ada a defect, unnamed"][1] == "–"
    assert [one[-6:] for one in classes["bob scratch"]] == ["1 of 1", "0 of 1", "0 of 1"]
    assert classes["bob a defect, unnamed"] == ["–", "–", "100.0 % 2.5–100 % 1 of 1"], "what a good part was called"
    assert "7 answers to 4 challenge parts" in engineer.get("/reviewers").text


def test_against_each_other_by_todays_classes(desk: Desk, engineer: Browser) -> None:
    merged = evolve(CLASSES, [TaxonomyActV1(act="merge", of=("scratch", "dent"), into=("scratch",))], {})
    desk.ports.taxonomies.publish([merged], who="m.weber", why="x", now=desk.now)
    arrive(desk)
    said = []
    for n in range(10, 20):
        said.append(label(n, label="dent" if n < 15 else None, **(BAD if n < 15 else {})))
        second = {"answer": "defect", "taxonomy": digest(merged), "label": "scratch"} if n < 16 else {}
        said.append(label(n, who="bob", opinion="second", **second))
    said.append(label(15, who="eve", opinion="third"))
    put(desk, labels(*said))
    pairs = table(engineer, "Pairs")
    assert pairs["ada, bob"][:5] == ["4", "5", "1", "0", "0"]
    assert pairs["ada, bob"][5].startswith("0.80 ")
    assert pairs["ada, bob"][6].startswith("0.80 "), "dent and scratch are one class today"
    people = table(engineer, "Each person")
    assert people["bob"][6].endswith("1 of 1")
    assert people["ada"][0] == "no known part"
    assert "over parts with 2 opinions" in engineer.get("/reviewers").text


def test_names_with_markup_are_text(tmp_path: Path) -> None:
    with console(tmp_path) as desk:
        challenged(desk, KINDS)
        put(desk, labels(known(0, MARKUP, answer="defect"), label(30), label(30, who=MARKUP, opinion="second")))
        page = desk.logged_in("admin").get("/reviewers")
        assert page.status_code == 200
        assert "<script>alert" not in page.text


@pytest.mark.parametrize("role", ["operator", "reviewer"])
def test_only_engineers_and_admins_see_it(desk: Desk, role: str) -> None:
    browser = desk.logged_in(role)  # type: ignore[arg-type]
    assert browser.get("/reviewers").status_code == 403
    assert "/reviewers" not in browser.get("/lines").text


def test_labels_of_parts_that_are_gone_do_no_harm(desk: Desk, engineer: Browser) -> None:
    records = labels(label(900, answer="defect"), label(900, who="bob", opinion="second"))
    put(desk, records)
    assert appended(records[0], 0, T0_MS).topic == "label.v1"
    assert table(engineer, "Pairs")["ada, bob"][3] == "1"
