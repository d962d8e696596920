"""The challenge processor as a process that is killed: what it says is what the pure machine makes of the log."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest

from schemas.challenge import (
    ChallengeDueV1,
    ChallengePartV1,
    ChallengeResultV1,
    ChallengeScheduleV1,
    StationProofV1,
    SuspectWindowV1,
)
from schemas.codec import Reader, record_of
from schemas.common import Disposition, Message, digest
from schemas.envelope import Received, Record
from schemas.topics import CHALLENGE, DEAD_LETTER, VERDICT
from schemas.verdict import VerdictV1
from streams.judgement.verdicts import verdict_record
from streams.monitors.challenge.answers import Judged, judged
from streams.monitors.challenge.memory import StationState
from streams.monitors.challenge.station import judge, register
from streams.monitors.challenge.turn import Said
from streams.monitors.challenge.windows import PAGE, belongs, page, turned
from streams.wiring.adapters.kafka import Writer, follow, read_all
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.topics import apply_topics
from tests.helpers.challenges import T0_MS, due, part, schedule, stamp, verdict
from tests.helpers.judgement import model_set, policy
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.faults]
CHILD = """
from streams.settings import Settings
from streams.wiring.processors.shell import run_processor
raise SystemExit(run_processor("challenge", Settings()))
"""
OWN = "manual/1"
SAID = (ChallengeDueV1, ChallengeResultV1, StationProofV1, SuspectWindowV1)
TOLD = (ChallengePartV1, ChallengeScheduleV1, ChallengeDueV1)


@contextmanager
def challenge(bootstrap: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        environment = {**os.environ, "VERDICTLINE_KAFKA": bootstrap}
        child = subprocess.Popen([sys.executable, "-c", CHILD], env=environment, stdout=out, stderr=out)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@dataclass
class Plant:
    """One station on a shared bus. policy, models: digests that its verdicts name."""

    client: dict[str, Any]
    station: str
    policy: str
    models: str
    numbers: Iterator[int] = field(default_factory=count)

    def tell(self, *messages: Message) -> None:
        self.write(*(record_of(m, id=f"{self.station}/{i}", station=self.station, subject="-") for i, m in enumerate(messages)))

    def write(self, *records: Record) -> None:
        writer = Writer(self.client)
        for record in records:
            writer.send(record)
        writer.flush()

    def verdict(self, disposition: Disposition = "pass", **changes: Any) -> Record:
        values = {"policy": self.policy, "model_set": self.models, "station": self.station} | changes
        return verdict_record(verdict(next(self.numbers), disposition, **values))

    def records(self, topic: str) -> list[Received]:
        return [record for record in read_all(self.client, [topic]) if record.key == self.station.encode()]

    def said(self, *kinds: type[Message]) -> dict[str, Any]:
        """Messages by id; a repeated id must have the same bytes."""
        reader = Reader(*kinds)
        values: dict[str, bytes | None] = {}
        found: dict[str, Any] = {}
        for record in self.records(CHALLENGE):
            if (read := reader.read(record)) is not None and "/" in read[0].id.removeprefix(f"{self.station}/"):
                assert values.setdefault(read[0].id, record.value) == record.value
                found[read[0].id] = read[1]
        return found


@pytest.fixture
def plant(kafka: SharedKafka) -> Plant:
    client = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    product = kafka.fresh("product")
    rules = policy(product=product)
    models = model_set("anomaly", "classification").model_copy(update={"product": product})
    with Registry(client) as registry:
        registry.publish_policy(rules, who="test", why="test")
        registry.publish_model_set(models, who="test", why="test")
    return Plant(client=client, station=f"{kafka.fresh('site')}/line/cam", policy=digest(rules), models=digest(models))


class Line(threading.Thread):
    """Parts as fast as `every_s` says, and an answer to each set that is due, every third one wrong; none to a person's own."""

    def __init__(self, plant: Plant, every_s: float = 0.01) -> None:
        super().__init__(daemon=True)
        self._plant, self._every_s, self.stopping = plant, every_s, threading.Event()
        self.answered = 0

    def __enter__(self) -> Line:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.join()

    def run(self) -> None:
        dues = follow(self._plant.client, [CHALLENGE], start="first", stopped=self.stopping.is_set, idle_s=self._every_s)
        reader, known, writer = Reader(ChallengeDueV1), set[str](), Writer(self._plant.client)
        for record in dues:
            mine = record is not None and record.key == self._plant.station.encode()
            read = reader.read(record) if record is not None and mine else None
            if read is not None and isinstance(asked := read[1], ChallengeDueV1) and asked.set not in {*known, OWN}:
                known.add(asked.set)
                said: Disposition = "scrap" if len(known) % 3 else "pass"
                for name in asked.parts:
                    writer.send(self._plant.verdict(said, score=1.2, challenge=stamp(asked, name)))
                self.answered += 1
            if record is None:
                writer.send(self._plant.verdict())
        writer.flush()


def expected(plant: Plant) -> dict[str, bytes]:
    """What the pure machine says of the station's log: id -> bytes."""
    state, said = None, list[Said]()
    for record in plant.records(CHALLENGE):
        read = Reader(*TOLD).read(record)
        if read is not None and not read[0].id.endswith("/due"):
            state, more = register(state, read[1], record.offset, record.timestamp_ms)  # type: ignore[arg-type]
            said += more
    assert state is not None
    log = [(event, v) for event, v in _events(plant)]
    for event, _ in log:
        state, more = judge(state, event)
        said += more
    said += _windows(plant.station, state, log)
    return {one.id: one.message.json_bytes() for one in said}


def _events(plant: Plant) -> Iterator[tuple[Judged, VerdictV1]]:
    for record in plant.records(VERDICT):
        found = VerdictV1.read(record.value or b"")
        yield judged(found, record.offset, record.timestamp_ms, {"v1": 0.9}), found


def _windows(station: str, state: StationState, log: list[tuple[Judged, VerdictV1]]) -> Iterator[Said]:
    while state.windows:
        window = state.windows[0]
        inside = [(e.offset, v) for e, v in log if window.after < e.offset <= window.until and belongs(window, station, v)][:PAGE]
        yield page(station, window, [v for _, v in inside])
        state = turned(state, inside[-1][0] if len(inside) == PAGE else window.until)


def test_it_says_what_the_log_says_over_two_kills(kafka: SharedKafka, plant: Plant, tmp_path: Path) -> None:
    log, at = tmp_path / "challenge.log", {"station": plant.station}
    own = due(OWN, at=datetime.now(UTC).timestamp() - T0_MS / 1000, within_s=20, station=plant.station)
    plant.tell(
        own, part("a", **at), part("b", **at), part("m", "physical", **at),
        schedule("digital", every_parts=20, within_s=600, **at), schedule("physical", every_parts=50, within_s=600, **at),
    )  # fmt: skip
    with ExitStack() as stack:
        with challenge(kafka.bootstrap, log):
            wait_until(lambda: len(plant.said(StationProofV1)) == 2, 60, "the registrations are read")
            line = stack.enter_context(Line(plant))
            wait_until(lambda: line.answered >= 3, 60, "answers")
        with challenge(kafka.bootstrap, log):  # the one before was killed in the middle of everything
            wait_until(lambda: line.answered >= 6, 60, "answers")
        with challenge(kafka.bootstrap, log) as child:
            wait_until(lambda: line.answered >= 9 and f"{plant.station}/{OWN}/result" in plant.said(*SAID), 60, "answers")
            stack.close()
            wanted = expected(plant)
            wait_until(lambda: set(plant.said(*SAID)) >= set(wanted), 30, "all that is due")
            assert psutil.Process(child.pid).memory_info().rss < 200e6
    found = plant.said(*SAID)
    assert {id: message.json_bytes() for id, message in found.items()} == wanted
    assert {type(message) for message in found.values()} == set(SAID)
    results = list(plant.said(ChallengeResultV1).values())
    assert {(r.passed, r.overdue) for r in results} == {(True, False), (False, False), (False, True)}
    assert all(item.margin == pytest.approx(1.2 / 0.9 - 1) for r in results for item in r.items)


def test_a_long_window_comes_in_pages_and_bad_input_is_buried(kafka: SharedKafka, plant: Plant, tmp_path: Path) -> None:
    plant.tell(part("a", station=plant.station), schedule(every_parts=10_000, within_s=600, station=plant.station))
    bad = record_of(schedule(zone="Mars/Olympus", station=plant.station), id="zone", station=plant.station, subject="-")
    torn = record_of(part("x", station=plant.station), id="torn", station=plant.station, subject="-")
    plant.write(bad, Record(topic=CHALLENGE, key=torn.key, value=b"{", headers=torn.headers))
    with challenge(kafka.bootstrap, tmp_path / "challenge.log"):
        wait_until(lambda: plant.said(StationProofV1), 60, "the registrations are read")
        plant.write(*(plant.verdict() for _ in range(PAGE + 100)))
        (asked,) = wait_until(lambda: list(plant.said(ChallengeDueV1).values()), 60, "the first set")
        plant.write(plant.verdict("pass", challenge=stamp(asked, "a")))
        windows = wait_until(lambda: w if len(w := list(plant.said(SuspectWindowV1).values())) == 2 else None, 60, "its window")
    assert [(w.page, w.pages, w.count, len(w.parts)) for w in windows or ()] == [
        (1, 2, PAGE + 100, PAGE),
        (2, 2, PAGE + 100, 100),
    ]
    letters = {r.header("dl_reason") for r in read_all(plant.client, [DEAD_LETTER]) if r.key == plant.station.encode()}
    assert letters == {"unknown_zone", "not_json"}
    parts = [p.inspection for w in windows or () for p in w.parts]
    assert len(set(parts)) == len(parts) == PAGE + 100
