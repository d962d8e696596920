"""A report of parts that went through a real Kafka, a real spc and a real sink, held against what the topics themselves say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.codec import Reader
from schemas.envelope import Received, Record
from schemas.spc import SubgroupV1
from schemas.topics import EVIDENCE, SPC, VERDICT
from streams.__main__ import application
from streams.wiring.adapters.behind import behind
from streams.wiring.adapters.database.ask_monitors import read_until
from streams.wiring.adapters.database.rows import TOPICS
from streams.wiring.adapters.database.scope import asking
from streams.wiring.adapters.kafka import Writer, read_all
from streams.wiring.adapters.topics import apply_topics
from streams.workbench.kafka import EmbeddedKafka
from streams.workbench.observer import Observer
from streams.workbench.shift import Plan, records
from tests.helpers.spc import ready_file, spc
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]
PARTS, COPIES = 600, 7


@contextmanager
def sink(bootstrap: str, state: Path) -> Iterator[None]:
    environment = {**os.environ, "VERDICTLINE_KAFKA": bootstrap, "VERDICTLINE_STATE": str(state)}
    with (state / "sink.log").open("ab") as out:
        child = subprocess.Popen([sys.executable, "-m", "streams", "run", "sink"], env=environment, stdout=out, stderr=out)
    try:
        yield
    finally:
        child.terminate()
        assert child.wait(60) == 0


def sent(found: Sequence[Received], without: set[str]) -> list[Record]:
    """What a plant says: no word of spc, which is to find its own; all of one part is left out, the verdict of another."""
    kept = [one for one in found if one.topic in (EVIDENCE, VERDICT)]
    return [
        Record(topic=one.topic, key=one.key, value=one.value, headers=one.headers)
        for one in kept
        if f"{one.topic} {one.header('ce_subject')}" not in without
    ]


def write(client: dict[str, Any], found: Sequence[Record]) -> None:
    writer = Writer(client)
    for record in found:
        writer.send(record)
    writer.flush()


@pytest.fixture
def own() -> Iterator[EmbeddedKafka]:
    """A broker of its own: a sink counts as behind where the last records of a partition became dead letters."""
    with EmbeddedKafka() as kafka:
        yield kafka


def test_the_report_says_what_the_topics_say(own: EmbeddedKafka, tmp_path: Path) -> None:
    client, site = {"bootstrap.servers": own.bootstrap}, "plant-a"
    apply_topics(client)
    begin = (datetime.now(UTC) - timedelta(hours=16)).replace(second=0, microsecond=0)
    middle, end = begin + timedelta(hours=8), begin + timedelta(hours=16)
    found = tuple(records(Plan(begin=begin, site=site, parts=2 * PARTS, audit=0.05)))
    subjects = sorted({one.header("ce_subject") or "" for one in found if one.topic == VERDICT})
    unjudged, gone = subjects[-4], subjects[-9]  # of the third line, in the second shift
    plant = sent(found, {f"{VERDICT} {unjudged}", f"{VERDICT} {gone}", f"{EVIDENCE} {gone}"})
    log = tmp_path / "spc.log"
    with spc(own.bootstrap, log), sink(own.bootstrap, tmp_path):
        wait_until(ready_file(log).exists, 240)
        write(client, plant)
        write(client, [one for one in plant if one.topic == VERDICT][-COPIES:])
        wait_until(lambda: charted(client, site, end - timedelta(hours=2)), 240)
        wait_until(lambda: caught_up(client, tmp_path), 240)
        data = asked(own.bootstrap, tmp_path, site, middle, end)

    seen = counted(client, site, middle)
    assert data["production"]["total"]["counts"] == seen.by_disposition()
    assert data["reconciliation"]["announced"] == len(seen.announced) == PARTS - 1
    assert data["reconciliation"]["judged"] == len(seen.verdicts) == PARTS - 2
    third = data["reconciliation"]["stations"][2]
    assert third["missing"] == seen.missing == [unjudged]
    assert [(one["first"], one["last"]) for one in third["gaps"]] == [(gone, gone)]
    assert (data["reconciliation"]["copies"], data["reconciliation"]["conflicts"]) == (COPIES, [])
    assert data["lacking"] == []
    points = [p for one in data["process"]["courses"] if one["characteristic"] == "nonconforming" for p in one["points"]]
    assert sum(point["here"] for point in points) >= 3 * 5  # an hour each
    assert {p["subgroup"]: p["value"] for p in points} == values(client, site, {p["subgroup"] for p in points})


def asked(bootstrap: str, state: Path, site: str, begin: datetime, end: datetime) -> dict[str, Any]:
    environment = {"VERDICTLINE_KAFKA": bootstrap, "VERDICTLINE_STATE": str(state), "VERDICTLINE_DATABASE": None}
    times = ["--from", f"{begin:%Y-%m-%d %H:%M}", "--to", f"{end:%Y-%m-%d %H:%M}"]
    done = CliRunner().invoke(application(["report"]), ["report", *times, "--station", f"{site}/*", "--json"], env=environment)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def caught_up(client: dict[str, Any], state: Path) -> bool:
    try:
        with asking(None, state) as connection:
            return not sum(behind(client, TOPICS, read_until(connection)).values())
    except ValueError:  # not made yet
        return False


def subgroups(client: dict[str, Any], site: str) -> list[SubgroupV1]:
    """In their last revision."""
    reader, newest = Reader(SubgroupV1), dict[str, SubgroupV1]()
    for record in read_all(client, [SPC]):
        read = reader.read(record) if reader.wants(record) else None
        if read is not None and isinstance(read[1], SubgroupV1) and read[1].station.startswith(f"{site}/"):
            newest[read[1].subgroup_id] = max(read[1], newest.get(read[1].subgroup_id, read[1]), key=lambda one: one.revision)
    return list(newest.values())


def charted(client: dict[str, Any], site: str, until: datetime) -> bool:
    """Every station has a subgroup that ends later."""
    return len({one.station for one in subgroups(client, site) if one.end > until}) == 3


def values(client: dict[str, Any], site: str, names: set[str]) -> dict[str, float]:
    return {one.subgroup_id: one.nonconforming / one.n for one in subgroups(client, site) if one.subgroup_id in names}


def counted(client: dict[str, Any], site: str, begin: datetime) -> Observer:
    """By the demonstration's own counting, from the topics alone: parts from that number on."""
    first = PARTS // 3  # a third of the parts a station, half of them in the first shift
    observer = Observer(since=lambda id: id.station.startswith(f"{site}/") and id.n >= first)
    for record in read_all(client, [EVIDENCE, VERDICT]):
        observer.take(record)
    return observer
