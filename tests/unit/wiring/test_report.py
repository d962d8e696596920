"""The report's numbers, held against the records themselves; what is lost, early, empty or unknown is said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from schemas.codec import Reader
from schemas.envelope import Received, rfc3339
from schemas.ids import parse_inspection
from schemas.spc import SubgroupV1
from schemas.topics import EVIDENCE, SPC, VERDICT
from schemas.verdict import VerdictV1
from streams.__main__ import application
from streams.monitors.shares import exact_share
from streams.wiring.adapters.database.connection import database_url, open_engine
from streams.wiring.adapters.database.scope import asking
from streams.wiring.adapters.database.store import Store
from streams.wiring.report.compose import Report, as_json, compose, json_schema
from streams.wiring.report.facts import OnBus, Question, gather, lot_question
from streams.wiring.report.window import shift
from tests.helpers.reported import (
    ALL_READ,
    BEGIN,
    CLOCKS,
    EIGHT_HOURS,
    NOW,
    SHIFT,
    ZONE,
    asked,
    stored,
    two_shifts,
    verdicts,
)

SCHEMA = Path(__file__).parents[3] / "docs" / "report.schema.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored(tmp_path_factory.mktemp("report"), two_shifts())


@pytest.fixture(scope="module")
def made(folder: Path) -> Report:
    return asked(folder)


@pytest.fixture(scope="module")
def judged() -> list[VerdictV1]:
    return verdicts(two_shifts(), BEGIN + EIGHT_HOURS, BEGIN + 2 * EIGHT_HOURS)


def test_every_disposition_is_counted_by_product_and_line(made: Report, judged: list[VerdictV1]) -> None:
    wanted = Counter((one.product, one.station.rpartition("/")[0], one.disposition) for one in judged)
    rows = {(row.product, row.line, name): n for row in made.production.rows for name, n in row.counts.items() if n}
    assert rows == dict(wanted)
    assert made.production.total.n == len(judged) == 1500
    assert made.headline[0].text.startswith(f"1,500 parts of 3 products on 3 lines: pass {wanted_of(judged, 'pass'):,}")


def wanted_of(judged: list[VerdictV1], name: str) -> int:
    return sum(one.disposition == name for one in judged)


def test_the_pareto_counts_parts_and_always_shows_unknown_and_unreviewed(made: Report, judged: list[VerdictV1]) -> None:
    for of in made.defects:
        mine = [one for one in judged if one.product == of.product]
        wanted = Counter(one.label or "unknown" for one in mine if one.disposition in ("rework", "scrap"))
        wanted["unreviewed"] = sum(one.disposition == "review" for one in mine)
        assert {bar.name: bar.defects for bar in of.bars if bar.defects} == {name: n for name, n in wanted.items() if n}
        assert [bar.name for bar in of.bars][-2:] in (["unknown", "unreviewed"], ["unreviewed", "unknown"])
        assert of.inspected == sum(one.disposition != "no_verdict" for one in mine)


def test_only_a_class_whose_interval_leaves_zero_out_is_a_mover(folder: Path, made: Report) -> None:
    names = [(of.product, one.name) for of in made.defects for one in of.moved]
    assert names == [(of.product, one.name) for of in made.defects for one in of.changes if one.low > 0 or one.high < 0]
    assert ("board", "scratch") in names  # 1.2 to 3 %
    assert "scratch on board" in made.headline[1].text
    again = asked(stored(folder / "even", _even()))
    assert not [one for of in again.defects for one in of.moved if one.name == "scratch"]
    assert "No class of defect moved significantly" in again.headline[1].text


def _even() -> list[Received]:
    from streams.workbench.shift import Plan, records

    return list(records(Plan(begin=BEGIN, parts=3000, to_come=(1.0, 1.0, 1.0), seed=3)))


def test_rejects_are_true_or_false_only_where_people_looked(made: Report, judged: list[VerdictV1]) -> None:
    first = {
        one.inspection: one.disposition
        for record in two_shifts()
        if record.topic == VERDICT and (one := VerdictV1.read(record.value or b"")).revision == 1
    }
    for of in made.truths:
        mine = [one for one in judged if one.product == of.product and first[one.inspection] in ("rework", "scrap", "review")]
        looked = [one for one in mine if one.decided_by == "person"]
        good = sum(one.disposition == "pass" for one in looked)
        assert (of.rejects, of.false_rejects) == (len(mine), exact_share(good, len(looked)))
        assert of.true_rejects.events == len(looked) - good
        assert of.all_looked is (len(looked) == len(mine))


def test_escapes_are_claimed_from_audited_passes_alone(made: Report) -> None:
    for one in made.escapes:
        assert one.method == "clopper_pearson"
        assert one.high == exact_share(one.bad + one.waiting, one.drawn).high
        assert one.low == exact_share(one.bad, one.drawn).low
        assert one.drawn == one.answered + one.waiting


def test_without_an_audit_nothing_can_be_claimed(tmp_path: Path) -> None:
    from streams.workbench.shift import Plan, records

    made = asked(stored(tmp_path, list(records(Plan(begin=BEGIN, parts=600, audit=0.0)))))
    assert {(one.method, one.claimed, one.low, one.high) for one in made.escapes} == {("none", False, 0.0, 1.0)}
    assert "nothing can be claimed for board, disc, weave: no pass was drawn for audit" in made.headline[4].text
    assert made.headline[4].attention
    assert all(rate.audited is None and rate.corrected is None and rate.why for rate in made.rates)


def test_charts_show_the_published_subgroups_with_their_limits(made: Report) -> None:
    reader = Reader(SubgroupV1)
    facts = [read[1] for r in two_shifts() if r.topic == SPC and (read := reader.read(r)) is not None]
    course = next(one for one in made.process.courses if one.characteristic == "nonconforming" and one.product == "disc")
    mine = {one.subgroup_id: one for one in facts if isinstance(one, SubgroupV1) and one.product == "disc"}
    assert len(course.points) > 50
    for point in course.points:
        assert point.value == mine[point.subgroup].nonconforming / mine[point.subgroup].n
        assert point.here is (mine[point.subgroup].end >= BEGIN + EIGHT_HOURS)
        assert point.center is not None
        assert point.lcl is not None
        assert point.ucl is not None
        assert point.lcl <= point.center <= point.ucl
    assert course.status == "trial"


def test_announced_and_judged_are_one_each(made: Report) -> None:
    whole = made.reconciliation
    assert (whole.announced, whole.judged, whole.missing, whole.gap_numbers) == (1500, 1500, 0, 0)
    assert "All 1,500 announced inspections have one verdict." in made.headline[0].text


def test_what_is_missing_is_named_by_station_and_number(tmp_path: Path) -> None:
    records = two_shifts()
    subjects = sorted(
        {r.header("ce_subject") or "" for r in records if r.topic == VERDICT and (r.key or b"").endswith(b"3/cam-1")}
    )
    unjudged, gone = subjects[-5], subjects[-20:-17]
    kept = [
        r
        for r in records
        if (r.header("ce_subject") or "") not in gone and not (r.topic == VERDICT and r.header("ce_subject") == unjudged)
    ]
    made = asked(stored(tmp_path, kept))
    station = next(one for one in made.reconciliation.stations if one.station.endswith("3/cam-1"))
    assert station.missing == (unjudged,)
    assert [(gap.first, gap.last, gap.n) for gap in station.gaps] == [(gone[0], gone[-1], 3)]
    assert "1 announced without a verdict, 3 numbers neither announced nor judged" in made.headline[0].text
    assert "1 part without a verdict: hold them" in made.headline[3].text
    assert parse_inspection(station.gaps[0].first).n + 2 == parse_inspection(station.gaps[0].last).n


def test_a_clock_that_leaps_over_the_boundary_makes_no_hole_and_loses_no_part(tmp_path: Path) -> None:
    """One station's parts of the second hour say that they were taken two and a half hours earlier: in the shift before."""
    leap, hour = timedelta(minutes=150), (BEGIN + EIGHT_HOURS + timedelta(hours=1), BEGIN + EIGHT_HOURS + timedelta(hours=2))
    kept = [_earlier(record, leap, hour) for record in two_shifts()]
    made = asked(stored(tmp_path, kept))
    moved = sum(new < old for old, new in zip(_times(two_shifts()), _times(kept), strict=True))
    before = asked(tmp_path, text="2026-11-26 22:00")
    now, then = made.reconciliation.stations[1], before.reconciliation.stations[1]
    assert moved > 30
    assert (now.gaps, now.missing, then.gaps, then.missing) == ((), (), (), ())
    assert (now.announced, now.judged) == (500 - moved, 500 - moved)
    assert (then.announced, then.judged) == (500 + moved, 500 + moved)


def _times(found: Sequence[Received]) -> list[str]:
    """Of capture, of the second station's announcements."""
    mine = [json.loads(r.value or b"") for r in found if r.topic == EVIDENCE and b"line-2" in (r.key or b"")]
    return [data["captured_at"] for data in mine]


def _earlier(record: Received, leap: timedelta, hour: tuple[datetime, datetime]) -> Received:
    if record.topic not in (EVIDENCE, VERDICT) or b"line-2" not in (record.key or b""):
        return record
    data = json.loads(record.value or b"")
    at = datetime.fromisoformat(data["captured_at"])
    if not hour[0] <= at < hour[1]:
        return record
    return replace(record, value=json.dumps({**data, "captured_at": rfc3339(at - leap)}).encode())


def test_data_that_are_not_there_are_said_first(folder: Path, made: Report) -> None:
    assert made.lacking == ()
    unasked = asked(folder, bus=None)
    assert "Kafka was not asked" in unasked.lacking[0]
    assert unasked.reconciliation.copies is None
    behind = asked(folder, bus=OnBus(behind={"verdict.v1": 1200, "evidence.v1": 0}, verdicts=9, copies=2, conflicts=("x/1",)))
    assert "has not read 1,200 records yet: 1,200 of verdict.v1" in behind.lacking[0]
    assert (behind.reconciliation.copies, behind.reconciliation.conflicts) == (2, ("x/1",))
    assert "1 verdicts with two contents" in behind.headline[0].text
    early = asked(folder, now=datetime(2026, 11, 27, 10, tzinfo=UTC))
    assert early.lacking[0] == "The window ends at 2026-11-27 14:00; this is its state at 2026-11-27 11:00."


def test_what_retention_took_is_said(tmp_path: Path) -> None:
    stored(tmp_path, two_shifts(600))
    store = Store(open_engine(database_url(None, tmp_path)))
    cut = BEGIN + EIGHT_HOURS + timedelta(hours=1)
    store.forget(round(cut.timestamp() * 1e6))
    store.note_gap(("verdict.v1", 3), 100, 150, round(cut.timestamp() * 1e6))
    found = asked(tmp_path).lacking
    assert "Parts before 2026-11-27 07:00 were removed from the database" in found[0]
    assert "50 records of verdict.v1, partition 3, were gone before the database read them" in found[1]
    store.begin_rebuild({}, 0)
    store.note_gap(("evidence.v1", 0), 1000, 0, round(cut.timestamp() * 1e6))
    found = asked(tmp_path).lacking
    assert "The database is being made anew, or that was cut off" in found[0]
    assert "The log of evidence.v1, partition 0, was cut or made anew: it begins with record 0, where record 1,000" in found[1]


def test_an_empty_shift_says_that_nothing_was_inspected(folder: Path) -> None:
    made = asked(folder, text="2026-11-20 06:00")
    assert made.production.total.n == 0
    assert made.headline[0].text == "Nothing was inspected."
    assert "no part was inspected before" in made.headline[1].text
    assert (made.defects, made.truths, made.escapes, made.process.courses) == ((), (), (), ())
    assert Draft202012Validator(json.loads(json_schema())).is_valid(json.loads(as_json(made)))


def test_a_lot_is_one_lot_over_two_shifts(folder: Path) -> None:
    question = Question(window=shift(SHIFT, CLOCKS, ZONE, NOW), before=None)
    with asking(None, folder) as connection:
        found = lot_question(connection, "DISC-3", ZONE, question)
    whole = [one for one in verdicts(two_shifts(), BEGIN, BEGIN + 2 * EIGHT_HOURS) if one.lot == "DISC-3"]
    assert (found.window.begin, found.lot_before) == (min(one.captured_at for one in whole if one.captured_at), "DISC-2")
    with asking(None, folder) as connection:
        made = compose(replace(gather(connection, found, NOW), bus=ALL_READ))
    assert made.production.total.n == len(whole)
    assert (made.about.name, made.about.before) == ("lot DISC-3", "lot DISC-2")
    assert made.reconciliation.announced == len(whole)
    assert {one.product for one in made.process.courses} | {one.product for one in made.process.signals} == {"disc"}


def test_the_json_is_what_its_committed_schema_says(made: Report) -> None:
    assert SCHEMA.read_text() == json_schema(), "run python -m tools.report_schema"
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    data = json.loads(as_json(made))
    assert not list(Draft202012Validator(schema).iter_errors(data))
    data["production"]["total"]["n"] = "many"
    assert not Draft202012Validator(schema).is_valid(data)


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    environment = {"VERDICTLINE_STATE": str(folder), "VERDICTLINE_KAFKA": None, "VERDICTLINE_DATABASE": None}
    done = CliRunner().invoke(application(["report"]), ["report", *arguments], env=environment)
    return done.exit_code, f"{done.output}{done.exception or ''}"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--lot", "DISC-9"], 1, "nothing was inspected of lot 'DISC-9'; the nearest of 12 are DISC-"),
        (["--shift", SHIFT, "--product", "bord"], 1, "nothing was inspected of 'bord'; the nearest of 3 are board"),
        (["--shift", SHIFT, "--station", "plant-b/*"], 1, "'plant-b/*' fits no station; the nearest of 3 are plant-a/line-"),
        (["--shift", "2026-11-27 05:00"], 1, "none begins at 2026-11-27 05:00"),
        (["--shift", SHIFT, "--lot", "DISC-1"], 2, "give one of"),
        (["--from", SHIFT], 2, "give one of"),
    ],
)
def test_what_is_unknown_is_named_with_what_is_near(folder: Path, arguments: list[str], code: int, said: str) -> None:
    found, output = run(folder, *arguments)
    assert (found, said in output) == (code, True), output


def test_the_command_writes_page_and_data(folder: Path, tmp_path: Path, made: Report) -> None:
    page = tmp_path / "report.html"
    code, output = run(folder, "--shift", SHIFT, "--zone", ZONE, "--out", str(page))
    assert code == 0, output
    assert output.splitlines()[0] == "shift: 2026-11-27 06:00 to 14:00 Europe/Berlin"
    assert page.read_text().startswith("<!doctype html>")
    code, output = run(folder, "--shift", SHIFT, "--zone", ZONE, "--json")
    data = json.loads(output)
    assert (code, data["production"]) == (0, json.loads(as_json(made))["production"])


def test_no_database_is_one_clear_line(tmp_path: Path) -> None:
    code, output = run(tmp_path / "nothing", "--shift", SHIFT)
    assert (code, "no database yet: `verdictline run sink` fills it" in output) == (1, True)
