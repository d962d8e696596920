"""The sink on a real Kafka: what stands in the topics stands in the database, whatever is killed or away meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine
from typer.testing import CliRunner

from schemas.dead_letter import dead_letter_facts
from schemas.envelope import ContractError, Received, Record
from streams.__main__ import application
from streams.wiring.adapters.behind import behind
from streams.wiring.adapters.database import ask_monitors
from streams.wiring.adapters.database.connection import database_url, open_engine, reading
from streams.wiring.adapters.database.migrate import schema
from streams.wiring.adapters.database.rows import TOPICS, rows_of
from streams.wiring.adapters.database.store import Store, Write
from streams.wiring.adapters.kafka import Writer, ends, read_all
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.processors.triage import tick_record
from tests.helpers.database import everything, fresh_engine
from tests.helpers.history import examples, history
from tests.helpers.postgres import Postgres, running_postgres
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
HALF = 600  # records


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def client(kafka: SharedKafka) -> dict[str, Any]:
    client = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    return client


class SinkProcess:
    """`verdictline run sink` as a process, its database, and its log."""

    def __init__(self, client: dict[str, Any], folder: Path, database: str | None) -> None:
        self.engine = open_engine(database_url(database, folder))
        self.log = folder / "sink.log"
        named = {} if database is None else {"VERDICTLINE_DATABASE": database}
        self.env = {"VERDICTLINE_KAFKA": client["bootstrap.servers"], "VERDICTLINE_STATE": str(folder), **named}
        self.env["VERDICTLINE_DATABASE_DAYS"] = "3650"  # the parts are of another year
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            command = [sys.executable, "-m", "streams", "run", "sink"]
            self._process = subprocess.Popen(command, env={**os.environ, **self.env}, stdout=out, stderr=out)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(30)

    def holds(self, table: str) -> int:
        return len(everything(self.engine)[table]) if schema(self.engine).up_to_date else 0

    def said(self, text: str) -> bool:
        return text in self.log.read_text(encoding="utf-8")

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self.engine.dispose()


@contextmanager
def sink(client: dict[str, Any], folder: Path, database: str | None = None) -> Iterator[SinkProcess]:
    process = SinkProcess(client, folder, database)
    try:
        yield process
    finally:
        process.close()


def send(client: dict[str, Any], records: Sequence[Received]) -> None:
    writer = Writer(client)
    for record in records:
        writer.send(Record(topic=record.topic, key=record.key, value=record.value, headers=record.headers))
    writer.flush()


def dead(client: dict[str, Any], since: dict[tuple[str, int], int]) -> list[dict[str, str]]:
    """The dead letters of what came after these ends: other tests leave records that nobody can read in the same topics."""
    found = [facts for record in read_all(client, ["dead-letter.v1"]) if (facts := dead_letter_facts(record))["stage"] == "sink"]
    return [one for one in found if int(one["offset"]) >= since[one["topic"], int(one["partition"])]]


def in_topics(client: dict[str, Any], folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What all topics together amount to, by the same mapping, in one pass."""
    reference = fresh_engine(None, folder / "reference")
    writes = []
    for record in read_all(client, TOPICS):
        try:
            writes.append(Write(place=(record.topic, record.partition), offset=record.offset, rows=rows_of(record)))
        except ContractError:
            continue
    Store(reference).write(writes)
    found = everything(reference)
    reference.dispose()
    return found


def test_killed_half_way_it_holds_the_same_and_a_rebuild_too(
    client: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = history(400)
    with sink(client, tmp_path) as process:
        send(client, records[:HALF])
        process.start()
        wait_until(lambda: process.holds("announced"), 120, "the first rows")
        send(client, records[HALF:])
        process.kill()
        process.start()
        send(client, examples())
        wanted = in_topics(client, tmp_path)
        wait_until(lambda: everything(process.engine) == wanted, 120, "all that the topics hold")
        assert process.terminate() == 0
        for name, value in process.env.items():
            monkeypatch.setenv(name, value)
        refused = CliRunner().invoke(application(["db"]), ["db", "rebuild"])
        assert (refused.exit_code, "--erase" in refused.output) == (1, True)
        done = CliRunner().invoke(application(["db"]), ["db", "rebuild", "--erase", "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.output)["records"] > len(records)
        assert everything(process.engine) == wanted
        status = json.loads(CliRunner().invoke(application(["db"]), ["db", "status", "--json"]).output)
        assert status["rows"]["announced"] == len(wanted["announced"])
        assert status["behind"]["policy.v1"] == 0


def test_a_server_that_goes_and_comes_back_loses_nothing(client: dict[str, Any], tmp_path: Path, postgres: Postgres) -> None:
    """The group has read everything before, into another database: this one is filled from the beginning all the same."""
    mine = ends(client, TOPICS)
    records = history(100, seed=5)
    with sink(client, tmp_path, postgres.fresh()) as process:
        process.start()
        wait_until(lambda: process.holds("announced"), 120, "the first rows")
        postgres.stop()
        try:
            send(client, records)
            wait_until(lambda: process.said("the database is away"), 120, "the outage is noticed")
        finally:
            postgres.start()
        wanted = in_topics(client, tmp_path)
        wait_until(lambda: everything(process.engine) == wanted, 120, "all that the topics hold")
        assert process.terminate() == 0
    assert not dead(client, mine)


def test_a_server_that_is_away_at_the_start_is_waited_for(client: dict[str, Any], tmp_path: Path, postgres: Postgres) -> None:
    named = postgres.fresh()
    postgres.stop()
    try:
        with sink(client, tmp_path, named) as process:
            process.start()
            wait_until(lambda: process.said("the database is away"), 120, "the outage is noticed")
            assert process.terminate() == 0
    finally:
        postgres.start()


def test_what_cannot_be_stored_becomes_a_dead_letter(client: dict[str, Any], tmp_path: Path, postgres: Postgres) -> None:
    """PostgreSQL knows no NUL in a text. The records around it are stored."""
    (first, second, *_) = [r for r in history(30, seed=6) if r.topic == "verdict.v1"]
    bad = Record(
        topic=first.topic,
        key=first.key,
        headers=first.headers,
        value=(first.value or b"").replace(b'"serial":"S', b'"serial":"\\u0000'),
    )
    mine = ends(client, TOPICS)
    with sink(client, tmp_path, postgres.fresh()) as process:
        process.start()
        wait_until(lambda: process.holds("announced"), 120, "the first rows")
        before = process.holds("revisions")
        writer = Writer(client)
        for record in (
            bad,
            Record(topic=second.topic, key=second.key, headers=second.headers, value=(second.value or b"").replace(b"L", b"M")),
        ):
            writer.send(record)
        writer.flush()
        (letter,) = wait_until(lambda: dead(client, mine), 120, "a dead letter")
        assert "u0000" in letter["detail"], letter
        assert process.holds("revisions") >= before
        assert process.terminate() == 0


def test_a_log_that_ends_with_records_without_rows_was_read_to_its_end(client: dict[str, Any], tmp_path: Path) -> None:
    """A tick, which is of no interest here, and what nobody can read, which becomes a dead letter."""
    good = next(record for record in history(1, seed=8) if record.topic == "evidence.v1")
    mine = ends(client, TOPICS)
    with sink(client, tmp_path) as process:
        process.start()
        wait_until(lambda: schema(process.engine).up_to_date, 120, "it runs")
        writer = Writer(client)
        writer.send(Record(topic=good.topic, key=good.key, headers=good.headers, value=b"{", partition=0))
        writer.send(replace(tick_record("test", 1, time.time()), key=good.key))
        writer.flush()
        wait_until(lambda: dead(client, mine), 120, "a dead letter")
        wait_until(lambda: not sum(behind(client, TOPICS, Store(process.engine).positions()).values()), 60, "all was read")
        assert process.terminate() == 0


def test_input_that_retention_removed_is_told(client: dict[str, Any], tmp_path: Path) -> None:
    labels = [record for record in examples() if record.topic == "label.v1"]
    with sink(client, tmp_path) as process:
        send(client, labels)
        process.start()
        wait_until(lambda: process.holds("labels"), 120, "labels")
        wanted = in_topics(client, tmp_path)
        wait_until(lambda: everything(process.engine) == wanted, 120, "all that the topics hold")
        process.terminate()
        send(client, labels * 2)
        place = _partition_of(process.engine)
        last = ends(client, ["label.v1"])["label.v1", place]
        _forget_before(client, TopicPartition("label.v1", place, last - 1))
        process.start()
        (gap,) = wait_until(lambda: _gaps(process.engine), 120, "a gap") or ()
    assert (gap.topic, gap.partition, gap.first_left) == ("label.v1", place, last - 1)
    assert gap.wanted < gap.first_left


def _partition_of(engine: Engine) -> int:
    return next(partition for topic, partition in Store(engine).positions() if topic == "label.v1")


def _gaps(engine: Engine) -> tuple[ask_monitors.Gap, ...]:
    with reading(engine) as connection:
        return ask_monitors.gaps(connection)


def _forget_before(client: dict[str, Any], place: TopicPartition) -> None:
    admin = AdminClient({**client})  # kept: its futures die with it
    for future in admin.delete_records([place]).values():
        future.result(20)
