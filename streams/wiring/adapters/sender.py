"""Sends jobs to Kafka in steps: a step begins when every record of the one before it is acknowledged. Knows no message.

Jobs that do not fit into the window wait unread. The driver tries again for ever and keeps the order; what the broker
refuses for good is tried again later, never dropped. A fatal error of the driver begins a new one, in order.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.envelope import Record
from streams.wiring.driver import producer_config, send

log = logging.getLogger(__name__)
_WINDOW_BYTES = 16 << 20
_WINDOW_JOBS = 500
_IDLE_S = 1.0
_RETRY_S = 2.0


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """size: bytes that it holds in the window. load: its steps, called once in the window. done: called when all is acked."""

    size: int
    load: Callable[[], Sequence[Sequence[Record]]]
    done: Callable[[], None]
    number: int = 0
    steps: Sequence[Sequence[Record]] = ()
    step: int = 0
    unacked: int = 0
    refused: bool = False


class Sender:
    """`put` from any thread; `done` is called on the sender's own thread. Jobs begin in the order in which they were put."""

    def __init__(self, client: Mapping[str, Any], **overrides: Any) -> None:
        """overrides: of the producer's settings, in librdkafka's names."""
        self._config = producer_config(
            {"log_level": 2, **client},
            **{"delivery.timeout.ms": 0, "queue.buffering.max.kbytes": 64 << 10, "reconnect.backoff.max.ms": 1000, **overrides},
        )
        self._lock = threading.RLock()
        self._waiting: deque[Job] = deque()
        self._flying: dict[int, Job] = {}
        self._again: list[tuple[float, int, Job]] = []
        self._bytes = self._count = self._life = 0
        self._fatal = self._stopping = False
        self.trouble: str | None = None
        self._producer = self._new_producer()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    @property
    def open(self) -> int:
        """Jobs not yet done."""
        return len(self._waiting) + len(self._flying)

    def put(self, *jobs: Job) -> None:
        with self._lock:
            for job in jobs:
                job.number = self._count = self._count + 1
                self._waiting.append(job)
            self._fill()

    def close(self) -> None:
        """Stop sending; what is not done stays with its owner."""
        self._stopping = True
        self._thread.join()
        self._life += 1  # what is still reported is about nobody's jobs
        self._producer.purge()
        self._producer.flush(1)

    # --- on any thread, under the lock ---------------------------------------------------------------------------------
    def _fill(self) -> None:
        while self._waiting and len(self._flying) < _WINDOW_JOBS and not self._fatal:
            job = self._waiting[0]
            if self._flying and self._bytes + job.size > _WINDOW_BYTES:
                return
            self._waiting.popleft()
            self._flying[job.number] = job
            self._bytes += job.size
            job.steps, job.step = job.load(), 0
            self._send(job)

    def _send(self, job: Job) -> None:
        records = job.steps[job.step]
        job.unacked, job.refused = len(records), False
        life = self._life
        for record in records:
            try:
                send(self._producer, record, lambda error, _, job=job: self._report(job, life, error))
            except KafkaException as error:
                self._report(job, life, error.args[0])

    def _report(self, job: Job, life: int, error: KafkaError | None) -> None:
        with self._lock:
            if life != self._life:
                return
            job.unacked -= 1
            if error is not None:
                job.refused = True
                self._note(error)
            if job.unacked == 0:
                self._next(job)

    def _next(self, job: Job) -> None:
        if job.refused:
            heapq.heappush(self._again, (time.monotonic() + _RETRY_S, job.number, job))
            return
        job.step += 1
        if job.step < len(job.steps):
            self._send(job)
            return
        self.trouble = None
        del self._flying[job.number]
        self._bytes -= job.size
        job.steps = ()
        job.done()
        self._fill()

    def _note(self, error: KafkaError) -> None:
        self._fatal = self._fatal or error.fatal()
        if self.trouble is None:
            log.warning("Kafka: %s", error.str())
        self.trouble = error.str()

    # --- the sender's thread -------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._stopping:
            wait_s = _IDLE_S if not self._again else max(0.0, min(_IDLE_S, self._again[0][0] - time.monotonic()))
            self._producer.poll(wait_s)
            with self._lock:
                if self._fatal:
                    self._begin_again()
                while self._again and self._again[0][0] <= time.monotonic():
                    self._send(heapq.heappop(self._again)[2])

    def _begin_again(self) -> None:
        """A new driver; everything in flight from its first step, in the order of before."""
        log.error("Kafka: the producer ended (%s); beginning a new one", self.trouble)
        self._life += 1
        self._again.clear()
        self._producer.purge()
        self._producer = self._new_producer()
        self._fatal = False
        for number in sorted(self._flying):
            self._flying[number].step = 0
            self._send(self._flying[number])

    def _new_producer(self) -> Producer:
        return Producer({**self._config, "error_cb": self._error})

    def _error(self, error: KafkaError) -> None:
        with self._lock:
            self._note(error)
