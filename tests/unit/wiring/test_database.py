"""The sink's database, the same suite on SQLite and on a real PostgreSQL: rows, upserts, positions, schema, outages."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from schemas.verdict import VerdictV1
from streams.fates import Unavailable
from streams.judgement.triage import Moment
from streams.judgement.verdicts import verdict_of_review, verdict_record
from streams.wiring.adapters.database import ask_monitors
from streams.wiring.adapters.database.connection import NotStorable, database_url, open_engine, reading, writing
from streams.wiring.adapters.database.migrate import DatabaseIsNewer, migrate, schema
from streams.wiring.adapters.database.rows import TOPICS, rows_of
from streams.wiring.adapters.database.store import REBUILDING, Store, Write, beginning
from streams.wiring.adapters.database.tables import META
from streams.wiring.commands.database import fill
from tests.helpers.database import everything, fresh_engine, write
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.history import examples, history, part, shuffled
from tests.helpers.judgement import reviewed
from tests.helpers.postgres import Postgres
from tests.helpers.wait import wait_until


def test_order_and_copies_change_nothing(engine: Engine, tmp_path: Path) -> None:
    records = history(120)
    write(Store(engine), records)
    other = fresh_engine(None, tmp_path / "other")
    for seed, size in ((1, 7), (2, 1000)):
        write(Store(other), shuffled(records, seed), size)
    first, second = everything(engine), everything(other)
    assert first == second
    assert len(first["inspections"]) == len(first["announced"]) == 120
    assert {row["revision"] for row in first["inspections"]} == {1, 2}
    other.dispose()


def test_the_effective_verdict_is_the_highest_revision(engine: Engine) -> None:
    write(Store(engine), list(reversed(history(200))))
    found = everything(engine)
    highest: dict[str, dict[str, Any]] = {}
    for row in sorted(found["revisions"], key=lambda row: row["revision"]):
        highest[row["inspection"]] = row
    assert len(found["inspections"]) == 200
    assert len(found["revisions"]) > 230
    for row in found["inspections"]:
        assert (row["revision"], row["disposition"]) == (
            highest[row["inspection"]]["revision"],
            highest[row["inspection"]]["disposition"],
        )


def test_every_message_that_is_kept_can_be_kept(engine: Engine) -> None:
    records = examples()
    kept = [record for record in records if rows_of(record)]
    write(Store(engine), records, 10)
    found = everything(engine)
    assert {record.topic for record in kept} == set(TOPICS)
    assert [table for table, rows in found.items() if not rows] == ["passes"], "the examples are of one part, which did not pass"
    before = found
    write(Store(engine), shuffled(records), 10)
    assert everything(engine) == before


def test_positions_belong_to_their_rows(engine: Engine) -> None:
    store = Store(engine)
    records = [record for record in history(20) if record.topic == "evidence.v1"]
    write(store, records[:30])
    assert store.positions() == {("evidence.v1", 0): records[29].offset + 1}
    write(store, records[:10])  # a second slot that is behind
    assert store.positions() == {("evidence.v1", 0): records[29].offset + 1}


def test_reading_goes_on_where_both_have_been() -> None:
    stored = {("a", 0): 10, ("b", 0): 5, ("d", 0): 7}
    committed = {("a", 0): 8, ("b", 0): 90, ("c", 0): 4}
    assert beginning(stored, committed) == {("a", 0): 8, ("b", 0): 5, ("d", 0): 7}


def test_what_cannot_be_stored_is_refused_and_changes_nothing(engine: Engine) -> None:
    (record, *_) = [r for r in history(3) if r.topic == "verdict.v1"]
    ((table, row), *_) = rows_of(record)
    huge = Write(place=(record.topic, 0), offset=0, rows=[(table, {**row, "visit": 10**30})])
    with pytest.raises(NotStorable):
        Store(engine).write([huge])
    assert everything(engine)["inspections"] == []
    assert Store(engine).positions() == {}


def test_retention_removes_old_parts_and_says_so(engine: Engine) -> None:
    store = Store(engine)
    write(store, history(50))
    cut = (T0_MS + 25_000) * 1000
    gone = [store.forget(cut, most=10)]
    while gone[-1]:
        gone.append(store.forget(cut, most=10))
    found = everything(engine)
    assert sorted(row["inspection"] for row in found["inspections"]) == [part(n) for n in range(25, 50)]
    assert min(row["at_us"] for row in found["evidence"]) >= cut
    assert found["policies"]
    assert store.marks() == {"kept_since_us": str(cut)}
    store.forget(cut - 1_000_000)  # a longer retention brings nothing back
    assert store.marks() == {"kept_since_us": str(cut)}


def test_two_slots_clean_at_once(postgres: Postgres, tmp_path: Path) -> None:
    """The second waits for the first, and then both are done: whichever says first what is gone."""
    url = postgres.fresh()
    one, other = fresh_engine(url, tmp_path), fresh_engine(url, tmp_path)
    with ThreadPoolExecutor(1) as thread:
        with writing(one) as connection:
            connection.execute(text("INSERT INTO marks (name, value) VALUES ('kept_since_us', '7')"))
            cleaning = thread.submit(Store(other).forget, 9)
            wait_until(lambda: _waiting(connection), 20, "the second slot to wait for the first")
        assert cleaning.result(20) == 0
    assert Store(one).marks() == {"kept_since_us": "9"}
    one.dispose()
    other.dispose()


def _waiting(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())


def test_a_rebuild_gives_the_same(engine: Engine) -> None:
    store = Store(engine)
    records = [*history(60), *examples()]
    write(store, records)
    before = everything(engine)
    store.begin_rebuild({}, 0)
    assert not any(everything(engine).values())
    write(store, records, 33)
    store.end_rebuild()
    assert everything(engine) == before
    assert not store.resume_rebuild()


def test_a_rebuild_leaves_out_what_cannot_be_stored(engine: Engine) -> None:
    store = Store(engine)
    records = [record for record in history(20) if record.topic == "verdict.v1"]
    mad = json.loads(records[3].value or b"") | {"visit": 10**30}
    records[3] = replace(records[3], value=json.dumps(mad).encode())
    store.begin_rebuild({}, 0)
    assert fill(store, iter(records)) == (len(records), 1)
    assert len(everything(engine)["revisions"]) == len(records) - 1
    assert store.marks() == {}


def test_a_rebuild_remembers_what_kafka_has_no_more(engine: Engine) -> None:
    store = Store(engine)
    store.note_gap(("verdict.v1", 1), 5, 9, 1)
    store.begin_rebuild({("verdict.v1", 1): 90, ("verdict.v1", 2): 0}, 2_000_000)
    with reading(engine) as connection:
        (found,) = ask_monitors.gaps(connection)
        assert ask_monitors.rebuilding(connection)
    assert (found.partition, found.wanted, found.first_left) == (1, 0, 90)
    assert store.resume_rebuild()
    with reading(engine) as connection:
        assert ask_monitors.gaps(connection) == (found,)
        assert not ask_monitors.rebuilding(connection)


@pytest.mark.parametrize("size", [1, 100])
def test_a_word_on_a_part_that_triage_has_forgotten_leaves_its_stamps(engine: Engine, size: int) -> None:
    """Such a verdict is made of the review alone, which does not know what the part was judged with. In any order."""
    said = [VerdictV1.read(r.value or b"") for r in history(20) if r.topic == "verdict.v1"]
    first = next(one for one in said if one.revision == 1 and one.decided_by == "policy" and one.policy and one.baselines)
    review = reviewed(first.inspection, 1, "scrap", announced_at=first.announced_at, supersedes=first.disposition)
    second = verdict_of_review(review, Moment(now_ms=T0_MS, append_ms=T0_MS, offset=99))
    assert second.policy is None
    records = [appended(verdict_record(one), i, T0_MS) for i, one in enumerate((first, second))]
    held = []
    for order in (records, records[::-1]):
        Store(engine).begin_rebuild({}, 0)
        write(Store(engine), order, size)
        held.append(everything(engine)["inspections"])
    ((row,), again) = held
    assert [row] == again
    assert (row["revision"], row["disposition"], row["who"]) == (2, "scrap", review.who)
    assert (row["policy"], row["model_set"]) == (first.policy, first.model_set)
    assert json.loads(row["baselines"]) == {view: stamp.state for view, stamp in first.baselines.items()}


def test_a_rebuild_that_was_cut_off_begins_anew(engine: Engine) -> None:
    store = Store(engine)
    records = history(20)
    store.begin_rebuild({}, 0)
    write(store, records[:50])
    assert REBUILDING in store.marks()
    assert store.resume_rebuild()
    assert store.positions() == {}


def test_the_schema_is_that_of_the_tables(engine: Engine) -> None:
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, META) == []
    assert schema(engine).up_to_date
    assert migrate(engine) == schema(engine)


def test_a_database_of_a_newer_program_is_refused(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseIsNewer, match=r"schema 9999.*newer program"):
        migrate(engine)


def test_a_server_that_stops_is_unavailable_and_comes_back(postgres: Postgres, tmp_path: Path) -> None:
    engine = fresh_engine(postgres.fresh(), tmp_path)
    store, records = Store(engine), history(30)
    write(store, records[:40])
    postgres.stop()
    try:
        with pytest.raises(Unavailable, match="database postgresql"):
            write(store, records[40:])
    finally:
        postgres.start()
    write(store, records[40:])
    found = everything(engine)
    engine.dispose()
    assert len(found["inspections"]) == 30


def test_a_file_that_another_writer_holds_is_unavailable(tmp_path: Path) -> None:
    first, second = (open_engine(database_url(None, tmp_path)) for _ in range(2))
    migrate(first)
    store, records = Store(second), history(5)
    with writing(first), pytest.raises(Unavailable, match="locked"):
        write(store, records)
    write(store, records)
    assert len(everything(second)["inspections"]) == 5
    first.dispose()
    second.dispose()


def test_a_full_disk_is_unavailable(tmp_path: Path) -> None:
    engine = fresh_engine(None, tmp_path)
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def fill(limit: int) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count={limit}")
            connection.rollback()

    fill(pages)
    with pytest.raises(Unavailable, match="full"):
        write(Store(engine), history(200), 10_000)
    write(Store(engine), history(200), 10_000)  # a new connection has no such limit
    assert len(everything(engine)["inspections"]) == 200
    engine.dispose()


def test_wrong_urls_are_refused() -> None:
    for named in ("mysql://host/name", "nonsense", "sqlite://"):
        with pytest.raises(ValueError, match="VERDICTLINE_DATABASE"):
            database_url(named, Path())


def test_a_station_that_is_not_the_inspections_is_refused() -> None:
    from schemas.envelope import ContractError

    record = next(r for r in history(1) if r.topic == "verdict.v1")
    bad = replace(record, value=(record.value or b"").replace(b'"station":"plant/', b'"station":"other/'))
    with pytest.raises(ContractError, match="must fit the inspection"):
        rows_of(bad)
