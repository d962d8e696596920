"""triage as a process on a real Kafka, killed, and stopped with a backlog: exact, and provable from the log."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from schemas.common import Message
from schemas.envelope import Received
from schemas.ids import inspection_id
from schemas.topics import EVIDENCE, VERDICT
from schemas.verdict import VerdictV1
from streams.wiring.adapters.kafka import Writer, follow, read_all
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.processors.triage import redecide
from tests.helpers.evidence_log import Published, evidence_record
from tests.helpers.judgement import announced, anomaly, classification, failed, model_set, policy
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
PARTS, WHILE_UP = 450, 250
RATE = 60  # parts a second: some 190 records
RULES = policy(decide_within_s=2.0)
MODELS = model_set("anomaly", "classification")
_RUN = "from streams.settings import Settings; from streams.wiring.processors.shell import run_processor; import sys; "


class Children:
    """Processes of triage on one Kafka; none survives the test."""

    def __init__(self, kafka: SharedKafka) -> None:
        self._environment = os.environ | {"VERDICTLINE_KAFKA": kafka.bootstrap, "VERDICTLINE_LOG_LEVEL": "warning"}
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """One that owns its partitions."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        run = f"sys.exit(run_processor('triage', Settings(health_port={port})))"
        process = subprocess.Popen([sys.executable, "-c", _RUN + run], env=self._environment)
        self._all.append(process)
        wait_until(lambda: is_ready(port), 40, "triage is ready")
        return process

    def kill(self) -> None:
        for process in self._all:
            process.kill()
            process.wait()


@pytest.fixture
def children(kafka: SharedKafka) -> Iterator[Children]:
    started = Children(kafka)
    yield started
    started.kill()


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def end(process: subprocess.Popen[bytes], number: int) -> int:
    process.send_signal(number)
    return process.wait(30)


def story(inspection: str, n: int) -> list[Message]:
    """What is said of part n: mostly all is good; some lack evidence, fail, are bad, come twice."""
    said: list[Message] = [announced(inspection, RULES, MODELS, decide_within_s=2.0), anomaly(inspection, MODELS)]
    if n % 20 == 3:
        return said  # no_verdict at the deadline
    if n % 20 == 7:
        return [*said, failed(inspection, "classification", by="classification")]
    said.append(classification(inspection, MODELS, "dent" if n % 5 == 0 else "good"))
    return said * 2 if n % 10 == 1 else said


def expected(n: int) -> str:
    if n % 20 in (3, 7):
        return "no_verdict"
    return "scrap" if n % 5 == 0 else "pass"


def feed(client: dict[str, str], stories: list[list[Message]], rate: float) -> None:
    """Write them, rate a second."""
    writer, never = Writer(client), threading.Event()
    for story in stories:
        for message in story:
            writer.send(evidence_record(message))
        never.wait(1 / rate)
    writer.flush()


@contextmanager
def watched(client: dict[str, str], station: str) -> Iterator[list[Received]]:
    """The station's verdicts, as they come."""
    found: list[Received] = []
    done = threading.Event()

    def watch() -> None:
        for record in follow(client, [VERDICT], start="first", stopped=done.is_set):
            if record is not None and record.key == station.encode():
                found.append(record)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def until(found: list[Received], count: int) -> None:
    wait_until(lambda: len(found) >= count, 40, f"{count} verdicts, there are {len(found)}")


def drive(children: Children, client: dict[str, str], stories: list[list[Message]], found: list[Received]) -> None:
    """A SIGKILL, a SIGTERM while a backlog grows, and one that does the rest."""
    paced = threading.Thread(daemon=True, target=feed, args=(client, stories[:WHILE_UP], RATE))
    one = children.start()
    paced.start()
    until(found, 40)
    assert end(one, signal.SIGKILL) == -signal.SIGKILL
    one = children.start()
    paced.join()
    until(found, WHILE_UP)
    backlog = threading.Thread(daemon=True, target=feed, args=(client, stories[WHILE_UP:], 2000))
    backlog.start()
    assert end(one, signal.SIGTERM) == 0
    backlog.join()
    one = children.start()
    until(found, PARTS)
    assert end(one, signal.SIGTERM) == 0


def test_exact_under_kill_and_stop_and_provable_from_the_log(kafka: SharedKafka, children: Children) -> None:
    client, station = {"bootstrap.servers": kafka.bootstrap}, f"{kafka.fresh('site')}/line/cam"
    apply_topics(client)
    with Registry(client) as registry:
        registry.publish_model_set(MODELS, who="test", why="test")
        registry.publish_policy(RULES, who="test", why="test")
    inspections = [str(inspection_id(station, 1_700_000_000_000, n)) for n in range(PARTS)]
    stories = [story(inspection, n) for n, inspection in enumerate(inspections)]
    with watched(client, station) as found:
        drive(children, client, stories, found)

    judged = [VerdictV1.read(record.value or b"") for record in found]
    assert Counter(verdict.inspection for verdict in judged if verdict.revision == 1) == Counter(inspections)
    effective = {verdict.inspection: verdict for verdict in judged}
    late = [verdict for verdict in judged if verdict.late]
    for n, inspection in enumerate(inspections):
        if effective[inspection] not in late:
            assert effective[inspection].disposition in (expected(n), "no_verdict")
    in_time = sum(effective[one].disposition == expected(n) for n, one in enumerate(inspections))
    assert in_time > PARTS * 0.7  # what waited for a restart longer than the deadline is no_verdict: fail closed

    partition = found[0].partition
    log = (record for record in read_all(client, [EVIDENCE]) if record.partition == partition)
    again = [record for record in redecide(log, Published(RULES, MODELS)) if record.key == station.encode()]
    assert [(record.value, record.headers) for record in again] == [(record.value, record.headers) for record in found]
