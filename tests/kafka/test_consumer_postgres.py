"""The consumer kit's SQL program: real Kafka, real PostgreSQL, and what the views say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pg8000.native
import pytest

from schemas.spc import LimitsV1, SignalV1, SubgroupV1
from streams.workbench.kafka import EmbeddedKafka
from tests.helpers.consumers import KIT, START, Bus, Program, running, verdict, verdict_record, with_header
from tests.helpers.postgres import Postgres, running_postgres
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
STATION = "lyon/line-2/press-out"
EXAMPLES = Path(__file__).parents[2] / "schemas/examples"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def database(server: Postgres) -> str:
    return server.fresh()


@pytest.fixture
def bus(kafka: SharedKafka) -> Bus:
    return Bus(bootstrap=kafka.bootstrap, verdicts=kafka.fresh("verdict"), spc=kafka.fresh("spc")).make()


def options(bus: Bus, database: str) -> list[str]:
    kafka = ["--kafka", bus.bootstrap, "--group", "g-" + bus.verdicts, "--topic", bus.verdicts, bus.spc, "--backoff-s", "1"]
    return [*kafka, "--database", database]


def asked(database: str, question: str) -> list[tuple[Any, ...]]:
    """The rows, over a connection of our own."""
    parts = urlsplit(database)
    folder = parse_qs(parts.query)["host"][0]
    connection = pg8000.native.Connection("postgres", unix_sock=f"{folder}/.s.PGSQL.5432", database=parts.path.lstrip("/"))
    try:
        return [tuple(row) for row in connection.run(question) or ()]
    finally:
        connection.close()


def count(database: str, table: str = "verdict") -> int:
    """-1 while there is no such table, or no server."""
    try:
        ((exists,),) = asked(database, f"SELECT to_regclass('verdictline.{table}') IS NOT NULL")
        return int(asked(database, f"SELECT count(*) FROM verdictline.{table}")[0][0]) if exists else -1
    except (pg8000.native.InterfaceError, pg8000.native.DatabaseError):
        return -1


def example(kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLES / f"verdictline.spc.{kind}.v1" / f"{name}.json").read_text())
    return found


def test_the_views_answer_pareto_and_traceability_with_the_highest_revision(bus: Bus, database: str, tmp_path: Path) -> None:
    common: dict[str, Any] = {"lot": "L-1", "tool": "mould-2"}
    bus.judge(
        *(verdict(STATION, n, "pass", **common) for n in range(6)),
        verdict(STATION, 6, "rework", label="scratch", **common),
        verdict(STATION, 7, "scrap", label="unknown", **common),
        verdict(STATION, 8, "scrap", **common),
        verdict(STATION, 9, "review", label="scratch", **common),
        verdict(STATION, 10, "review", **common),
        verdict(STATION, 10, "rework", revision=2, label="dent", supersedes="review", **common),
        verdict(STATION, 11, "no_verdict", **common),
        verdict(STATION, 12, "scrap", label="dent", purpose="challenge"),
        verdict(STATION, 13, "pass", product="bolt"),
        verdict("lyon/line-2/end", 0, "pass", serial="S-00006", visit=2, previous=f"{STATION}:1795471200123-000000000006"),
    )
    with running("postgres", tmp_path / "log", *options(bus, database)):
        wait_until(lambda: count(database) == 16, 20)
    bars = "SELECT bar, parts FROM verdictline.pareto WHERE station = '{}' AND product = '{}' ORDER BY 1"
    assert asked(database, bars.format(STATION, "disc")) == [("dent", 1), ("scratch", 1), ("unknown", 2), ("unreviewed", 1)]
    assert asked(database, bars.format(STATION, "bolt")) == [("unknown", 0), ("unreviewed", 0)]
    shares = "SELECT sum(share), min(share) FROM verdictline.pareto GROUP BY station, product ORDER BY 1"
    assert asked(database, shares) == [(1, Decimal("0.2")), (None, None), (None, None)]
    days = asked(database, "SELECT DISTINCT day FROM verdictline.pareto_daily")
    assert days == [(START.date(),)]
    visits = asked(
        database,
        "SELECT station, visit, disposition FROM verdictline.traceability WHERE serial = 'S-00006' ORDER BY visit",
    )
    assert visits == [(STATION, 1, "rework"), ("lyon/line-2/end", 2, "pass")]
    ((disposition, revision, revisions),) = asked(
        database,
        "SELECT disposition, revision, revisions FROM verdictline.traceability WHERE lot = 'L-1' AND tool = 'mould-2'"
        " AND serial = 'S-00010'",
    )
    assert (disposition, revision) == ("rework", 2)
    assert [(one["disposition"], one["who"]) for one in revisions] == [("review", None), ("rework", "m.keller")]
    assert revisions[0]["reasons"][0]["code"] == "severity"


def test_subgroups_and_signals_count_by_their_newest_word(bus: Bus, database: str, tmp_path: Path) -> None:
    facts = example("subgroup", "good-one-hour")
    frozen = example("limits", "good-frozen")
    trial = frozen | {"status": "trial", "phase": "I", "provenance": frozen["provenance"] | {"at": "2026-01-01T00:00:00Z"}}
    alarm = example("signal", "good-beyond-the-limit")
    corrected = facts | {"revision": 1, "nonconforming": 8, "counts": facts["counts"] | {"pass": 504, "rework": 5}}
    later = dict(alarm, status="superseded")
    reopened = dict(alarm, revision=2)
    messages = {
        "g/1": SubgroupV1.model_validate(corrected),
        "g/0": SubgroupV1.model_validate(facts),
        "s/open": SignalV1.model_validate(alarm),
        "l/frozen": LimitsV1.model_validate(frozen),
        "l/trial": LimitsV1.model_validate(trial),
    }
    bus.publish(STATION, **messages)
    with running("postgres", tmp_path / "log", *options(bus, database)) as program:
        wait_until(lambda: count(database, "open_signal") == 1, 20)
        bus.publish(STATION, **messages, **{"s/superseded": SignalV1.model_validate(later)})
        wait_until(lambda: count(database, "signal") == 2, 20)
        assert count(database, "open_signal") == 0
        bus.publish(STATION, **{"s/2/open": SignalV1.model_validate(reopened)})
        wait_until(lambda: count(database, "open_signal") == 1, 20)
    assert asked(database, "SELECT revision FROM verdictline.open_signal") == [(2,)]
    assert count(database, "subgroup") == 2
    newest = asked(database, "SELECT revision, nonconforming, defects->>'unknown' FROM verdictline.effective_subgroup")
    assert newest == [(1, 8, str(facts["defects"]["unknown"]))]
    assert asked(database, "SELECT status, phase FROM verdictline.current_limits") == [("frozen", "II")]
    assert count(database, "limits") == 2
    assert "copies 5" in program.said()


def test_killed_and_with_the_database_away_every_verdict_is_there_once(
    bus: Bus, server: Postgres, database: str, tmp_path: Path
) -> None:
    parts = 3000
    bus.judge(*(verdict(STATION, n, "pass") for n in range(parts)))
    program = Program("postgres", tmp_path / "log", *options(bus, database))
    wait_until(lambda: count(database) > 0, 20)
    program.kill()
    server.stop()
    program = Program("postgres", tmp_path / "log", *options(bus, database))
    bus.judge(verdict(STATION, 0, "scrap", revision=2), verdict(STATION, parts, "pass", lot="a\0b"), verdict(STATION, 0, "pass"))
    wait_until(lambda: "not done" in program.said(), 20, "a failed try")
    server.start()
    wait_until(lambda: count(database) == parts + 2, 30, "all rows")
    assert program.stop() == 0, program.said()
    assert count(database, "effective_verdict") == parts + 1
    assert asked(database, "SELECT lot FROM verdictline.verdict WHERE lot IS NOT NULL") == [("a\ufffdb",)]
    with running("postgres", tmp_path / "again", *options(bus, database)) as again:
        bus.judge(verdict(STATION, parts + 1, "pass"))
        wait_until(lambda: count(database) == parts + 3, 20)
    assert "events 1" in again.said(), "offsets were not committed"


def test_a_broker_that_goes_and_comes_costs_nothing(database: str, tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        bus = Bus(bootstrap=broker.bootstrap, verdicts="verdict.v1", spc="spc.v1").make()
        bus.judge(verdict(STATION, 0, "pass"))
        quick = ["--client", "reconnect.backoff.max.ms=500"]
        with running("postgres", tmp_path / "log", *options(bus, database), *quick):
            wait_until(lambda: count(database) == 1, 20)
            broker.kill()
            broker.start()
            bus.judge(verdict(STATION, 0, "pass"), verdict(STATION, 1, "pass"))
            wait_until(lambda: count(database) == 2, 60)


def test_what_the_database_refuses_ends_it_with_the_reason(bus: Bus, database: str, tmp_path: Path) -> None:
    bus.judge(verdict(STATION, 0, "pass"))
    program = Program("postgres", tmp_path / "log", *options(bus, database), "--no-schema")
    assert program.ended() == 1
    assert "PostgreSQL refuses: " in program.said()
    assert "verdictline.verdict" in program.said()


def test_a_newer_version_is_put_aside_whole_and_a_later_one_still_arrives(bus: Bus, database: str, tmp_path: Path) -> None:
    newer = with_header(verdict_record(verdict(STATION, 0, "pass")), "ce_type", "verdictline.verdict.verdict.v2")
    bus.send(bus.verdicts, [newer])
    bus.judge(verdict(STATION, 1, "pass", captured_at=START - timedelta(days=400)))
    with running("postgres", tmp_path / "log", *options(bus, database), "--park", str(tmp_path / "aside")) as program:
        wait_until(lambda: count(database) == 1, 20)
    (parked,) = (tmp_path / "aside").iterdir()
    kept = json.loads(parked.read_text())
    assert kept["headers"]["ce_type"] == "verdictline.verdict.verdict.v2"
    assert "parked 1" in program.said()


def test_the_schema_can_be_run_again(database: str) -> None:
    folder = parse_qs(urlsplit(database).query)["host"][0]
    name = urlsplit(database).path.lstrip("/")
    connection = pg8000.native.Connection("postgres", unix_sock=f"{folder}/.s.PGSQL.5432", database=name)
    for _ in range(2):
        connection.run((KIT / "schema.sql").read_text())
    connection.close()
    assert count(database) == 0
