"""The page: well-formed, nothing from elsewhere, no script; what parts are called can do no harm."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from streams.wiring.report.compose import Report
from streams.wiring.report.draw import rules
from streams.wiring.report.render import html
from tests.helpers.reported import asked, stored, two_shifts

EVIL = "<script>alert('lot')</script>\"><img src=x onerror=alert(1)>&amp;"
VOID = {"meta", "br", "img", "input", "link", "hr"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return asked(stored(tmp_path_factory.mktemp("page"), two_shifts()))


class Checked(HTMLParser):
    """Every element that opens closes, in order; which elements and addresses there are."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.names: set[str] = set()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> where {self.open[-3:]} are open"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(page: str) -> Checked:
    found = Checked()
    found.feed(page)
    found.close()
    assert not found.open
    return found


def test_it_is_well_formed_and_needs_nothing_from_elsewhere(made: Report) -> None:
    page = html(made)
    found = checked(page)
    assert "script" not in found.names
    assert not found.names & {"link", "iframe", "img", "object", "embed"}
    assert (found.addresses, found.handlers) == ([], [])
    assert not re.findall(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", page)


def test_its_charts_are_xml(made: Report) -> None:
    charts = re.findall(r"<svg [^>]*role=.*?</svg>", html(made), re.DOTALL)
    assert len(charts) == 8
    for chart in charts:
        assert ElementTree.fromstring(chart).find("{http://www.w3.org/2000/svg}title") is not None


def test_its_first_screen_is_what_lacks_and_five_lines(made: Report) -> None:
    text = checked(html(replace(made, lacking=("The database is behind.",)))).text
    places = [text.index(words) for words in ("The database is behind.", *(line.text[:20] for line in made.headline))]
    assert places == sorted(places)
    assert places[-1] < text.index("Verdicts by product and line")
    assert len(made.headline) == 5


def test_names_with_markup_are_only_names(made: Report, tmp_path: Path) -> None:
    row = replace(made.production.rows[0], product=EVIL, line=EVIL)
    part = replace(made.oldest_reviews[0], serial=EVIL, lot=EVIL, label=EVIL, reasons=(EVIL,))
    course = replace(made.process.courses[0], characteristic=EVIL, product=EVIL, station=EVIL)
    used = replace(made.lineage.used[0], policy_title=EVIL, model_set_title=EVIL)
    evil = replace(
        made,
        about=replace(made.about, name=EVIL, products=(EVIL,)),
        lacking=(EVIL,),
        headline=tuple(replace(line, text=EVIL) for line in made.headline),
        production=replace(made.production, rows=(row,), excluded={EVIL: 1}),
        defects=tuple(replace(of, product=EVIL, bars=(replace(of.bars[0], name=EVIL), *of.bars[1:])) for of in made.defects),
        process=replace(made.process, courses=(course,)),
        oldest_reviews=(part,),
        lineage=replace(made.lineage, used=(used,)),
    )
    found = checked(html(evil))
    assert not found.names & {"script", "img"}
    assert found.handlers == []
    assert found.text.count("<script>alert('lot')</script>") >= 12


def test_times_are_those_of_the_zone(made: Report) -> None:
    text = checked(html(made)).text
    assert "Shift report: 2026-11-27 06:00 to 14:00" in text
    assert "Europe/Berlin, 8 h 0 min" in text
    assert "2026-11-27 05:" not in text.partition("Open reviews")[2]  # UTC would show the first hour so


def test_a_rule_of_the_set_has_its_number_and_the_scatters_a_word() -> None:
    said = (rules(()), rules(("nelson_2", "nelson_1")), rules(("spread_1",)), rules(("nelson_1", "spread_1")))
    assert said == ("", "rule 1, 2", "spread", "rule 1, spread")
