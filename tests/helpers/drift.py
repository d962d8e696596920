"""The drift processor as a process, evidence fed to it at a rate, and what it must say: the pure rules over the log itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.codec import record_of
from schemas.common import Message
from schemas.drift import DriftEventV1
from schemas.envelope import ContractError, Received, Record
from schemas.evidence import AnomalyV1, TickV1
from schemas.topics import BASELINE, DRIFT, EVIDENCE
from streams.monitors.hearing import scored, stream_of
from streams.monitors.ordering import GAP_MS
from streams.monitors.references import Library, References
from streams.monitors.stream import Rules, expire, step
from streams.monitors.stream_state import StreamState
from streams.wiring.adapters.kafka import Writer, partitions, read_all
from streams.wiring.processors.drift import record_for
from tests.helpers.wait import wait_until

CHILD = """
import pathlib, sys, threading, time
from streams.settings import Settings
from streams.wiring.processors import drift
settings = Settings()
tables = drift.build(settings, settings.slot, session_timeout_s=6)
def tell():
    while not tables.ready():
        time.sleep(0.05)
    pathlib.Path(sys.argv[1]).touch()
threading.Thread(target=tell, daemon=True).start()
tables.run()
"""


@contextmanager
def drift(bootstrap: str, log: Path, *, slot: int = 0, window_s: float = 1.0) -> Iterator[subprocess.Popen[bytes]]:
    """Killed at the end, where it still runs. `<log>.ready` is there once it owns its partitions and their states."""
    more = {"VERDICTLINE_SUMMARY_EVERY_S": str(window_s), "VERDICTLINE_SLOT": str(slot)}
    environment = {**os.environ, "VERDICTLINE_KAFKA": bootstrap, **more}
    with log.open("ab") as out:
        ready_file(log).unlink(missing_ok=True)
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(ready_file(log))], env=environment, stdout=out, stderr=out)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def ready_file(log: Path) -> Path:
    return log.with_suffix(".ready")


def evidence_record(message: AnomalyV1) -> Record:
    return record_of(message, id=f"{message.inspection}/v1/anomaly", station=message.station, subject=message.inspection)


def tick_all(client: Mapping[str, Any], writer: Writer) -> None:
    """As triage does: time goes on in every partition."""
    tick = record_of(TickV1(owner="triage-0"), id="tick", station="-", subject="tick")
    for n in range(partitions(client, [EVIDENCE])[EVIDENCE]):
        writer.send(Record(topic=EVIDENCE, key=None, value=tick.value, headers=tick.headers, partition=n))


def feed(client: Mapping[str, Any], records: Iterable[Record], rate: float) -> None:
    """All of them at so many a second, and a tick a second. Acknowledged when it returns."""
    writer, begin, ticked = Writer(client), time.monotonic(), 0.0
    for index, record in enumerate(records):
        wait_s = begin + index / rate - time.monotonic()
        if wait_s > 0.005:
            time.sleep(wait_s)
        if time.monotonic() > ticked + 1:
            tick_all(client, writer)
            ticked = time.monotonic()
        writer.send(record)
    writer.flush()


def said(client: Mapping[str, Any], site: str) -> dict[str, bytes]:
    """What drift wrote about the site, by event id (`<key>` for a state); a repeated id must have the same content."""
    found: dict[str, bytes] = {}
    for record in read_all(client, [DRIFT, BASELINE]):
        if record.value and f'"station":"{site}/'.encode() in record.value:
            assert found.setdefault(record.header("ce_id") or "", record.value) == record.value
    return found


def expected(client: Mapping[str, Any], site: str, library: Library, *, window_ms: int) -> dict[str, bytes]:
    """The pure rules over evidence.v1, each stream read from the first record to the last, in one go."""
    references = References(library)
    found: dict[str, bytes] = {}
    states: dict[str, StreamState] = {}
    ends: dict[int, int] = defaultdict(int)
    places: dict[str, int] = {}

    def keep(key: str, messages: Iterable[Message]) -> None:
        for message in messages:
            record = record_for(key, message)
            found[dict(record.headers)["ce_id"].decode()] = record.value or b""

    for record in evidence_of(client):
        ends[record.partition] = max(ends[record.partition], record.timestamp_ms)
        if record.header("ce_type") != AnomalyV1.TYPE or not (record.header("ce_source") or "").startswith(f"{site}/"):
            continue
        try:
            evidence = AnomalyV1.read(record.value or b"")
        except ContractError:
            continue  # a dead letter
        key, stream = stream_of(evidence)
        rules = Rules(id=key, references=references, every_ms=window_ms)
        outcome = step(states.get(key, StreamState(stream)), scored(evidence, record.timestamp_ms), rules)
        states[key], places[key] = outcome.state, record.partition
        keep(key, outcome.messages)
    for key, state in states.items():
        rules = Rules(id=key, references=references, every_ms=window_ms)
        keep(key, expire(state, ends[places[key]], rules).messages)
    return found


def settled(
    client: Mapping[str, Any], site: str, library: Library, *, window_s: float, pass_s: float | None = None, wait_s: float = 120
) -> dict[str, bytes]:
    """Let time go on until the last hole and window are closed and said; what had to be said. pass_s: so long past the holes."""
    writer, last_ms = Writer(client), log_ms(client)
    end_ms = last_ms + GAP_MS + 1000 * (window_s if pass_s is None else pass_s)

    def later() -> bool:
        tick_all(client, writer)
        writer.flush()
        return log_ms(client) > end_ms

    wait_until(later, 60, "time goes on")
    wanted = expected(client, site, library, window_ms=round(1000 * window_s))
    wait_until(lambda: len(said(client, site)) >= len(wanted), wait_s, "every event")
    return wanted


def evidence_of(client: Mapping[str, Any]) -> Iterator[Received]:
    """Of every partition, in its order."""
    return iter(sorted(read_all(client, [EVIDENCE]), key=lambda record: (record.partition, record.offset)))


def log_ms(client: Mapping[str, Any]) -> int:
    """How far evidence.v1 has gone in every partition that holds anything, by append time."""
    latest: dict[int, int] = {}
    for record in evidence_of(client):
        latest[record.partition] = record.timestamp_ms
    return min(latest.values())


def messages(values: Iterable[bytes]) -> list[DriftEventV1]:
    """The events among them."""
    return [DriftEventV1.read(value) for value in values if b'"kind":' in value]
