"""What a scenario's report says, and in which order scenarios run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rich.console import Console

from schemas.common import Proof
from streams.workbench.demo.scenario import Outcome
from streams.workbench.demo.scenario_proofs import Sets, rows
from streams.workbench.demo.scenario_report import overview, rendered, report
from streams.workbench.demo.scenario_run import ALL, station_of, wanted
from streams.workbench.scenarios import SCENARIOS, Row

GOOD = Row(what="stuck, within 12 parts", met=True, at=403, after=3, found="stuck (camera_light)")
BAD = Row(what="no stale", met=False, at=450, found="stale")


def outcome(*found: Row) -> Outcome:
    return Outcome(scenario=SCENARIOS["frozen"], seed=7, rows=found, events=(), arl0=1e6, took_s=12.34)


def text(*parts: object) -> str:
    console = Console(width=160)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return captured.get()


def test_one_row_that_is_not_met_fails_the_scenario() -> None:
    assert outcome(GOOD).met
    assert not outcome(GOOD, BAD).met
    shown = text(rendered(outcome(GOOD, BAD)))
    assert "NOT as it must be" in shown
    assert "pictures through the whole pipeline" in shown
    assert [line.split()[0] for line in shown.splitlines() if line.startswith(("yes", "NO"))] == ["yes", "NO"]


def test_the_report_is_json_and_says_how_it_was_fed() -> None:
    data = json.loads(json.dumps(report(outcome(GOOD, BAD))))
    assert (data["scenario"], data["met"], data["changes_at"], data["seconds"]) == ("frozen", False, 400, 12.3)
    assert data["rows"][0] == {"what": GOOD.what, "met": True, "part": 403, "after_parts": 3, "found": "stuck (camera_light)"}
    assert data["way"].startswith("pictures")
    assert report(replace(outcome(), scenario=SCENARIOS["creep"]))["way"].startswith("evidence of pictures")


def test_the_overview_has_a_line_for_each() -> None:
    shown = text(overview([outcome(GOOD), outcome(BAD)])).splitlines()
    assert [line.split()[:2] for line in shown if line.startswith("frozen")] == [["frozen", "yes"], ["frozen", "NO"]]


def test_pictures_come_first_and_own_models_last() -> None:
    order = wanted(ALL)
    assert {one.name for one in order} == set(SCENARIOS)
    fed = [one.feed for one in order]
    assert fed == sorted(fed)
    assert order[-1].name == "dirty-training"
    assert [one.name for one in wanted("blur")] == ["blur"]
    assert len({station_of(one) for one in order}) == len(order)


@pytest.mark.parametrize(
    ("physical", "met"),
    [
        ((5, 5, 6, 15), [True, True]),  # held before, fails after
        ((5, 5, 15, 15), [True, False]),  # never failed
        ((1, 5, 1, 15), [True, False]),  # failed before the change already
        ((5, 5, 5, 5), [True, False]),  # nothing was answered after it
    ],
)
def test_a_proof_must_hold_before_and_fail_after(physical: tuple[int, int, int, int], met: list[bool]) -> None:
    held = Sets(passed=5, answered=5)
    early, late = Sets(passed=physical[0], answered=physical[1]), Sets(passed=physical[2], answered=physical[3])
    before: dict[Proof, Sets] = {"digital": held, "physical": early}
    after: dict[Proof, Sets] = {"digital": Sets(passed=9, answered=9), "physical": late}
    assert [row.met for row in rows(before, after, frozenset({"physical"}))] == met
