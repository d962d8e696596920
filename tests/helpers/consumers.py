"""Programs of the consumer kit as real processes, and records of the contract to feed them with."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.codec import record_of
from schemas.common import Message
from schemas.envelope import Headers, Record
from schemas.ids import inspection_id, verdict_id
from schemas.verdict import VerdictV1, WhyV1
from streams.wiring.adapters.kafka import Writer, create_topics
from streams.workbench.processes import die_with_parent
from tests.helpers.wait import wait_until

KIT = Path(__file__).parents[2] / "deploy/consumers"
START = datetime(2026, 11, 23, 9, tzinfo=UTC)


class Program:
    """One run of a program of the kit. Standard error is appended to `log`."""

    def __init__(self, name: str, log: Path, *options: str) -> None:
        self.log = log
        command = [sys.executable, str(KIT / f"{name}.py"), *options]
        with log.open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, preexec_fn=die_with_parent)

    def kill(self) -> None:
        """SIGKILL: what a power cut does to it."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM. Its exit code; AssertionError where it does not end within 15 s."""
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        wait_until(lambda: self._process.poll() is not None, 15, f"the end of the program; {self.said()[-2000:]}")
        return self._process.returncode

    def said(self) -> str:
        return self.log.read_text()


@contextmanager
def running(name: str, log: Path, *options: str) -> Iterator[Program]:
    """Stopped at the end, with exit code 0."""
    program = Program(name, log, *options)
    try:
        yield program
        assert program.stop() == 0, program.said()
    finally:
        program.kill()


@dataclass(frozen=True, kw_only=True)
class Bus:
    """Topics of one test on a broker. client: settings of librdkafka."""

    bootstrap: str
    verdicts: str
    spc: str

    @property
    def client(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.bootstrap}

    def make(self) -> Bus:
        settings = {"message.timestamp.type": "LogAppendTime"}
        create_topics(self.client, [(name, 2, settings) for name in (self.verdicts, self.spc)])
        return self

    def send(self, topic: str, records: Iterable[Record]) -> None:
        writer = Writer(self.client)
        for one in records:
            writer.send(Record(topic=topic, key=one.key, value=one.value, headers=one.headers))
        writer.flush()

    def judge(self, *given: VerdictV1) -> None:
        self.send(self.verdicts, map(verdict_record, given))

    def publish(self, station: str, **messages: Message) -> None:
        """Messages of spc.v1 by their ids."""
        self.send(self.spc, (record_of(one, id=key, station=station, subject=station) for key, one in messages.items()))


def verdict(station: str, n: int, disposition: str, *, revision: int = 1, **changes: Any) -> VerdictV1:
    """Part n of a station, one a second from START on."""
    at = START + timedelta(seconds=n)
    values: dict[str, Any] = {
        "inspection": str(inspection_id(station, 1795471200123, n)),
        "revision": revision,
        "station": station,
        "product": "disc",
        "purpose": "production",
        "disposition": disposition,
        "serial": f"S-{n:05d}",
        "reasons": (WhyV1(code="severity", view="v1", detail="length_mm 6.4 >= 5"),),
        "decided_by": "policy" if revision == 1 else "person",
        "who": None if revision == 1 else "m.keller",
        "captured_at": at,
        "announced_at": at + timedelta(milliseconds=20),
        "decided_at": at + timedelta(milliseconds=200),
    }
    return VerdictV1(**(values | changes))


def verdict_record(given: VerdictV1) -> Record:
    return record_of(
        given,
        id=verdict_id(given.inspection, given.revision),
        station=given.station,
        subject=given.inspection,
        time=given.decided_at,
    )


def with_header(record: Record, name: str, value: str | None) -> Record:
    """The record with another header, or without it."""
    headers: Headers = tuple(pair for pair in record.headers if pair[0] != name)
    more: Headers = () if value is None else ((name, value.encode()),)
    return Record(topic=record.topic, key=record.key, value=record.value, headers=(*headers, *more))
