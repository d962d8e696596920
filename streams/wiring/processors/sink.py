"""The sink: what the topics say of parts, charts, drift and challenges, as rows of a database. Judges nothing.

Records wait for company, then one transaction holds their rows and their positions; a record counts as done once its
transaction has. While the database is away, full or locked everything waits and nothing is lost. Any number of slots may run
on PostgreSQL; a file has one writer at a time.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import structlog

from schemas.envelope import Received, Record
from schemas.topics import DEAD_LETTER
from streams import pipeline
from streams.fates import Unavailable, Unprocessable
from streams.metrics import SINK_RETRIES
from streams.settings import Settings
from streams.wiring.adapters.database.connection import NotStorable, database_url, open_engine
from streams.wiring.adapters.database.migrate import migrate
from streams.wiring.adapters.database.rows import READER, rows_of
from streams.wiring.adapters.database.store import Place, Store, Write, beginning
from streams.wiring.engines.flow import Flow, Limits, full_jitter
from streams.wiring.engines.gaps import Gap, report_gap

log = structlog.get_logger("sink")
GROUP = "sink"
R = TypeVar("R")
_MOST = 4000  # records in hand, and so in one transaction
_COMPANY_S = 0.2  # how long the first record of a transaction waits for others
_ASSIGN_S = 200.0  # less than the group waits for a member that does not poll
_CAP_S = 5.0  # of the back-off
_CLEAN_S, _CLEAN_PAUSE_S = 600.0, 0.2
_REACH_S = 2.0
_COLLECT_AFTER = 50_000  # new objects: a batch is tens of thousands that live until its commit, none of them in a cycle
_DAY_US = 86_400 * 10**6


class Batch:
    """Records of one transaction. refused: by the index of a record, why the database cannot hold it."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.refused: dict[int, str] = {}
        self._waiting: list[asyncio.Future[None]] = []

    def committed(self) -> asyncio.Future[None]:
        """Of one record: awaited by its task alone, which may be cancelled."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def done(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


class Sink:
    """An engine with a database behind it: ready once the schema is this program's and the group is joined."""

    def __init__(self, settings: Settings, slot: int) -> None:
        self._url = database_url(settings.database, settings.state)
        self._store = Store(open_engine(self._url))
        self._keep_us = round(settings.database_days * _DAY_US)
        self._thread = ThreadPoolExecutor(1, "database")
        self._batch: Batch | None = None
        self._filled = asyncio.Event()
        self._beside: set[asyncio.Task[Any]] = set()
        self._open = self._stopping = False
        self._turned = time.monotonic()
        self._flow = Flow(
            group=GROUP,
            instance=f"{GROUP}-{slot}",
            topics=pipeline.row(GROUP).reads,
            dead_letter_topic=DEAD_LETTER,
            handler=self._handle,
            on_dead=lambda received, dead: (),
            client=settings.client(),
            concurrency=_MOST,
            accept=lambda received: received.value is not None and READER.wants(received),
            begin=self._begin,
            on_gap=self._gap,
            limits=Limits(in_flight=_MOST, call_s=None),  # a record waits for its transaction as long as that takes
        )

    # ---------------------------------------------------------------- life
    async def run(self) -> None:
        """Work until `stop()`. Raises DatabaseIsNewer."""
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER)
        await self._insist(self._prepare)
        if self._stopping:
            return
        self._open = True
        self._go(self._serve())
        self._go(self._clean())
        self._go(self._reach())
        try:
            await self._flow.run()
        finally:
            for task in self._beside:
                task.cancel()
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._store.engine.dispose()

    def stop(self) -> None:
        self._stopping = True
        self._flow.stop()

    def ready(self) -> bool:
        return self._open and self._flow.ready()

    def positions(self) -> dict[Place, int | None]:
        return self._flow.positions()

    @property
    def turned(self) -> float:
        return max(self._turned, self._flow.turned)

    def _prepare(self) -> None:
        found = migrate(self._store.engine)
        if self._store.resume_rebuild():
            log.warning("a rebuild was cut off: every topic is read from its beginning", schema=found.current)

    # ---------------------------------------------------------------- records
    async def _handle(self, received: Received) -> Sequence[Record]:
        rows = rows_of(received)
        batch = self._batch = self._batch or Batch()
        index = len(batch.writes)
        batch.writes.append(Write(place=(received.topic, received.partition), offset=received.offset, rows=rows))
        self._filled.set()
        await batch.committed()
        if index in batch.refused:
            raise Unprocessable("not_storable", batch.refused[index])
        return ()

    async def _serve(self) -> None:
        """One transaction after the other; the next batch fills meanwhile."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            await asyncio.sleep(_COMPANY_S)
            batch, self._batch = self._batch, None
            if batch is not None:
                await self._insist(partial(self._commit, batch))
                batch.done()

    def _commit(self, batch: Batch) -> None:
        """All of it, or, where something in it cannot be stored, each record that can."""
        try:
            self._store.write(batch.writes)
        except NotStorable:
            for index, one in enumerate(batch.writes):
                try:
                    self._store.write([one])
                except NotStorable as error:
                    batch.refused[index] = error.detail

    # ---------------------------------------------------------------- beside them
    def _begin(self, committed: Mapping[Place, int]) -> Mapping[Place, int]:
        """On the consumer's thread. Raises Unavailable where the database stays away for so long."""
        end = time.monotonic() + _ASSIGN_S
        while True:
            try:
                return beginning(self._store.positions(), committed)
            except Unavailable as error:
                if time.monotonic() > end:
                    raise
                self._again(1, error)
                time.sleep(1)

    def _gap(self, group: str, gap: Gap) -> None:
        report_gap(group, gap)
        place, now_us = (gap.topic, gap.partition), time.time_ns() // 1000
        self._go(self._insist(partial(self._store.note_gap, place, gap.wanted, gap.first, now_us)))

    async def _clean(self) -> None:
        """Remove what is older than the retention, a little at a time."""
        while True:
            gone = await self._insist(partial(self._store.forget, time.time_ns() // 1000 - self._keep_us))
            await asyncio.sleep(_CLEAN_PAUSE_S if gone else _CLEAN_S)

    async def _reach(self) -> None:
        """Tell the database how far everything was read: a log may end with records that leave no row."""
        told: dict[Place, int] = {}
        while True:
            await asyncio.sleep(_REACH_S)
            now = {place: offset for place, offset in self.positions().items() if offset is not None}
            further = {place: offset for place, offset in now.items() if offset > told.get(place, 0)}
            if further:
                await self._insist(partial(self._store.reach, further))
            told = now

    def _go(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._beside.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._flow.fail(error)

    async def _insist(self, work: Callable[[], R]) -> R | None:
        """On the database's thread, again until it is there; None: told to stop before it was ever open."""
        loop, attempt = asyncio.get_running_loop(), 0
        while not self._stopping or self._open:
            try:
                return await loop.run_in_executor(self._thread, work)
            except Unavailable as error:
                attempt += 1
                self._again(attempt, error)
                await asyncio.sleep(full_jitter(attempt, cap_s=_CAP_S))
        return None

    def _again(self, attempt: int, error: Exception) -> None:
        SINK_RETRIES.inc()
        log.warning("the database is away", attempt=attempt, error=str(error))
        self._turned = time.monotonic()


def build(settings: Settings, slot: int) -> Sink:
    """The processor, not yet running. Raises ValueError where Kafka is not named, or the database's URL is none."""
    return Sink(settings, slot)
