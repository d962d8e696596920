"""The bound on escapes on the page Lines and in the metrics: from verdicts and labels in the sink's database."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import REGISTRY

from schemas.codec import record_of
from schemas.envelope import Record
from schemas.verdict import VerdictV1
from streams.metrics import ESCAPE_AUDITS, ESCAPE_BOUND
from streams.wiring.console.escapes import Kept, bounds
from tests.helpers.classes import label, put
from tests.helpers.console import Browser, console
from tests.helpers.history import RULES, history
from tests.helpers.judgement import PRODUCT

HALF = RULES.model_copy(update={"audit_fraction": 0.4})
NEVER = RULES.model_copy(update={"audit_fraction": 0})


def answers() -> list[Record]:
    """Good, of every audited pass, whoever decided them before."""
    said = [VerdictV1.read(record.value or b"") for record in history(300, rules=HALF) if record.topic == "verdict.v1"]
    drawn = [one for one in said if one.revision == 1 and one.audit]
    labels = [
        label(0, inspection=one.inspection, shown="audit", audit_probability=one.audit_probability, looked_ms=900)
        for one in drawn
    ]
    return [record_of(one, id=one.id, station=one.station, subject=one.inspection) for one in labels]


def row(browser: Browser) -> str:
    page = browser.get("/lines").text
    found = re.search(rf'<th scope="row">{PRODUCT}</th>(.*?)</tr>', page, re.S)
    assert found, page
    return " ".join(re.sub(r"<[^>]*>", " ", found[1]).split())


def test_it_is_told_with_what_it_rests_on_and_assumes(tmp_path: Path) -> None:
    with console(tmp_path, history(300, rules=HALF)) as desk:
        browser = desk.logged_in("operator")
        before = bounds(desk.ports.questions)[PRODUCT]
        assert before.waiting > 5
        put(desk, answers())
        found = bounds(desk.ports.questions)[PRODUCT]
        assert found.bound
        assert (found.waiting, found.answered) == (0, before.waiting + before.answered)
        text = row(browser)
        assert f"≤ {found.bound.ppm:,.0f} ppm at 95 %, valid at any moment" in text
        assert f"{found.answered} audits answered, {found.found} of them bad" in text
        assert f"of {found.passes} passes" in text
        assert "a probability of 0.4 or more" in text
        assert "the last opinion on an audited part is right" in browser.get("/lines").text
        assert before.bound
        assert found.bound.ppm < before.bound.ppm, "what waited counted as bad"


def test_where_nothing_can_be_claimed_it_says_why(tmp_path: Path) -> None:
    with console(tmp_path, history(60, rules=NEVER)) as desk:
        assert "nothing can be claimed: no policy draws passes for audit" in row(desk.logged_in("operator"))
        kept = Kept(desk.ports.questions)
        kept.refresh()
        kept.export()
        try:
            assert REGISTRY.get_sample_value("verdictline_escape_bound_ratio", {"product": PRODUCT}) == 1
        finally:
            ESCAPE_BOUND.follow(tuple)
            ESCAPE_AUDITS.follow(tuple)


def test_the_metrics_say_what_is_kept(tmp_path: Path) -> None:
    with console(tmp_path, history(300, rules=HALF)) as desk:
        put(desk, answers())
        kept = Kept(desk.ports.questions)
        try:
            kept.export()
            assert REGISTRY.get_sample_value("verdictline_escape_bound_ratio", {"product": PRODUCT}) is None
            kept.refresh()
            found = kept.found()[PRODUCT]
            assert found.bound
            share = REGISTRY.get_sample_value("verdictline_escape_bound_ratio", {"product": PRODUCT})
            assert share == found.bound.ppm / 1e6
            answered = REGISTRY.get_sample_value("verdictline_escape_audits", {"product": PRODUCT, "state": "answered"})
            assert answered == found.answered > 0
        finally:
            ESCAPE_BOUND.follow(tuple)
            ESCAPE_AUDITS.follow(tuple)
