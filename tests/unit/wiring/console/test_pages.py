"""What the pages show is what the database holds."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from streams.wiring.console.pages import PAGES
from streams.wiring.console.rendering import about
from tests.helpers.console import Desk, console
from tests.helpers.history import part
from tests.helpers.judgement import STATION


def test_lines_count_the_effective_verdicts(desk: Desk) -> None:
    page = desk.logged_in("operator").get("/lines").text
    found = {name: int(n) for name, n in re.findall(r'class="(\w+)"><dt>[^<]+</dt><dd>(\d+)</dd>', page)}
    counts = desk.ports.questions.lines(desk.now.replace(year=2020)).counts
    wanted = {name: sum(one.n for one in counts if one.disposition == name) for name in found if name != "total"}
    assert found == {**wanted, "total": sum(wanted.values())}
    assert found["total"] == 120
    assert STATION.rpartition("/")[2] in page


def test_a_part_is_found_by_inspection_serial_and_lot(desk: Desk) -> None:
    browser = desk.logged_in("operator")
    for typed in (part(20), "S20"):
        answer = browser.get("/inspection", q=typed)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/inspection?id={quote(part(20), safe='')}"
    listed = browser.get("/inspection", q="L1").text
    assert listed.count('<span class="verdict') == 50
    assert browser.get("/inspection", q="S9999").status_code == 404


def test_an_inspection_shows_evidence_versions_and_revisions(desk: Desk) -> None:
    browser = desk.logged_in("operator")
    known = [desk.ports.questions.inspected(part(n)) for n in range(120)]
    found = next(one for one in known if one is not None and len(one.revisions) == 2 and one.reviews)
    page = browser.get("/inspection", id=found.inspection).text
    assert page.count('<li class="card"><p class="headline">') == 2
    assert found.revisions[1].who in page
    for seen in found.observed:
        assert f"{seen.score:.3g}" in page if seen.score is not None else seen.stage in page
    assert "no longer retained" in page


def test_models_are_shown_with_who_and_why(tmp_path: Path) -> None:
    from tests.helpers.history import examples

    with console(tmp_path, tuple(examples())) as desk:
        page = desk.logged_in("engineer").get("/models").text
    assert "Model set" in page
    assert "Acts" in page


@pytest.mark.parametrize("row", [row for row in PAGES if row.menu], ids=lambda row: row.path)
def test_every_page_of_the_navigation_opens_on_an_empty_database(tmp_path: Path, row: object) -> None:
    with console(tmp_path, ()) as desk:
        browser = desk.logged_in("admin")
        assert browser.get(row.path).status_code == 200  # type: ignore[attr-defined]


def test_no_link_is_dead(desk: Desk) -> None:
    browser = desk.logged_in("admin")
    for row in (row for row in PAGES if row.menu):
        page = browser.get(row.path).text
        for link in set(re.findall(r'(?:href|src)="(/[^"#]*)"', page)):
            assert browser.client.get(link.replace("&amp;", "&"), follow_redirects=True).status_code == 200, link


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "fewer than 10"), (9, "fewer than 10"), (14, "about 10"), (15, "about 20"), (999, "about 1,000"), (9876, "about 9,900")],
)
def test_counts_that_one_more_or_less_does_not_change(n: int, said: str) -> None:
    assert about(n) == said
