"""triage as a process on a real Kafka, killed, stopped with a backlog, joined by another: exact, and provable from the log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest

from schemas.common import Message
from schemas.envelope import Received
from schemas.ids import inspection_id
from schemas.topics import EVIDENCE, VERDICT
from schemas.verdict import VerdictV1
from streams.wiring.adapters.kafka import Writer, read_all
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.processors.triage import redecide
from tests.helpers.evidence_log import Published, evidence_record
from tests.helpers.judgement import announced, anomaly, classification, failed, model_set, policy
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
PARTS, WHILE_UP = 800, 500
RATE = 60  # parts a second: some 190 records
RULES = policy(decide_within_s=2.0)
MODELS = model_set("anomaly", "classification")
_RUN = "from streams.settings import Settings; from streams.wiring.processors.shell import run_processor; import sys; "


def child(kafka: SharedKafka, slot: int = 0) -> subprocess.Popen[bytes]:
    environment = os.environ | {"VERDICTLINE_KAFKA": kafka.bootstrap, "VERDICTLINE_LOG_LEVEL": "warning"}
    run = f"sys.exit(run_processor('triage', Settings(slot={slot})))"
    return subprocess.Popen([sys.executable, "-c", _RUN + run], env=environment)


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


def verdicts_of(client: dict[str, str], station: str) -> list[Received]:
    return [record for record in read_all(client, [VERDICT]) if record.key == station.encode()]


def seen(client: dict[str, str], station: str, count: int) -> list[Received]:
    """At least so many verdicts of the station."""
    wait_until(lambda: len(verdicts_of(client, station)) >= count, 40, f"{count} verdicts")
    return verdicts_of(client, station)


def test_exact_under_kill_stop_and_a_second_member_and_provable_from_the_log(kafka: SharedKafka) -> None:
    client, station = {"bootstrap.servers": kafka.bootstrap}, f"{kafka.fresh('site')}/line/cam"
    apply_topics(client)
    with Registry(client) as registry:
        registry.publish_model_set(MODELS, who="test", why="test")
        registry.publish_policy(RULES, who="test", why="test")
    inspections = [str(inspection_id(station, 1_700_000_000_000, n)) for n in range(PARTS)]
    stories = [story(inspection, n) for n, inspection in enumerate(inspections)]
    paced = threading.Thread(target=feed, args=(client, stories[:WHILE_UP], RATE))
    one = child(kafka)
    paced.start()
    seen(client, station, 40)
    assert end(one, signal.SIGKILL) == -signal.SIGKILL
    one = child(kafka)
    seen(client, station, 150)
    two = child(kafka, slot=1)
    paced.join()
    seen(client, station, WHILE_UP)
    backlog = threading.Thread(target=feed, args=(client, stories[WHILE_UP:], 2000))
    backlog.start()
    assert end(two, signal.SIGTERM) == 0
    assert end(one, signal.SIGTERM) == 0
    backlog.join()
    one = child(kafka)
    found = seen(client, station, PARTS)
    assert end(one, signal.SIGTERM) == 0

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
