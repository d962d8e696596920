"""Around the children of engine_child: their topics, their processes, a feeder at a rate, what came out."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.envelope import Record
from streams.wiring.adapters.kafka import Writer, create_topics, read_all
from streams.wiring.adapters.topics import wait_for_leaders
from tests.helpers.engine_child import Job
from tests.helpers.wait import wait_until

_APPEND = {"message.timestamp.type": "LogAppendTime"}


def make_topics(job: Job) -> None:
    """They are known to the broker afterwards: it says "made" a little earlier."""
    changelog = {"cleanup.policy": "compact", **_APPEND}
    create_topics(job.client, [
        *((name, job.partitions, _APPEND) for name in (job.name, job.out, job.dead, job.ticks)),
        (job.changelog, job.partitions, changelog),
    ])  # fmt: skip
    wait_for_leaders(job.client, [job.name, job.out, job.dead, job.ticks, job.changelog])


def feed(job: Job, records: Iterable[tuple[str, bytes]], partition: int | None = None) -> None:
    """Write them all, acknowledged."""
    writer = Writer(job.client)
    for key, value in records:
        writer.send(Record(topic=job.name, key=key.encode(), value=value, partition=partition))
    writer.flush()


def forget_before(job: Job, offset: int) -> None:
    """What retention does: the records of partition 0 below `offset` are gone."""
    admin = AdminClient(job.client)
    for future in admin.delete_records([TopicPartition(job.name, 0, offset)]).values():
        future.result(20)


class Child:
    """One engine process; `start` again after it ended. Its output is in `log`."""

    def __init__(self, job: Job, folder: Path) -> None:
        self._ready = folder / f"{job.name}-{job.slot}.ready"
        self.job, self.log = replace(job, ready=str(self._ready)), folder / f"{job.name}-{job.slot}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._ready.unlink(missing_ok=True)
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self.job.command(), stdout=out, stderr=out)

    def start_ready(self, timeout_s: float = 40.0) -> None:
        """Start, and wait until the engine says that it is ready."""
        self.start()
        wait_until(self._ready.exists, timeout_s, f"{self.job.engine} is ready")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self, timeout_s: float = 20.0) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout_s)

    def wait(self, timeout_s: float) -> int:
        assert self.process is not None
        return self.process.wait(timeout_s)


@contextmanager
def children(job: Job, folder: Path, count: int = 1) -> Iterator[list[Child]]:
    """Not started yet; killed at the end where they still run."""
    made = [Child(replace(job, slot=slot), folder) for slot in range(count)]
    try:
        yield made
    finally:
        for child in made:
            if child.process is not None and child.process.poll() is None:
                child.kill()


class Feeder(threading.Thread):
    """Writes groups of records at a rate (records/s), beginning at once, until they end or `finish` is called.

    `groups` counts those that are written; a group is never written by half.
    """

    def __init__(self, job: Job, groups: Iterable[Sequence[tuple[str, bytes]]], rate: float) -> None:
        super().__init__(daemon=True)
        self._job, self._source, self._rate, self._finished = job, groups, rate, False
        self.groups = self.sent = 0
        self.start()

    def run(self) -> None:
        writer, begin = Writer(self._job.client), time.monotonic()
        for group in self._source:
            for key, value in group:
                wait_s = begin + self.sent / self._rate - time.monotonic()
                if wait_s > 0.005:
                    time.sleep(wait_s)
                writer.send(Record(topic=self._job.name, key=key.encode(), value=value))
                self.sent += 1
            self.groups += 1
            if self._finished:
                break
        writer.flush()

    def finish(self) -> int:
        """The number of groups."""
        self._finished = True
        self.join()
        return self.groups


def outputs(job: Job) -> Counter[str]:
    """What committed readers see on the output topic: text -> how often."""
    return Counter((record.value or b"").decode() for record in read_all(job.client, [job.out]))
