"""At least once, many messages at a time, in any order: confluent-kafka and asyncio, for handlers that call a server.

One asyncio loop runs the handlers and owns all state. One thread owns the consumer: every call is made there, and the
driver calls back into it for rebalances. That thread may wait for the loop, the loop never blocks on that thread, so they
cannot deadlock. Knows no message.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from schemas.envelope import ContractError, Received, Record
from streams.fates import Unavailable, Unprocessable
from streams.metrics import ASSIGNED, HANDLE_SECONDS, HANDLED, IN_FLIGHT, PROGRESS, RETRIES
from streams.wiring.driver import Key, consumer_config, hopeless, key_of, membership, received, skip_to_first
from streams.wiring.engines.acks import Acks
from streams.wiring.engines.clock import BrokerClock
from streams.wiring.engines.dead import Dead, OnDead, Undertaker, verdict_on
from streams.wiring.engines.gaps import Gap, OnGap, report_gap
from streams.wiring.engines.watermark import Watermark

log = structlog.get_logger("flow")
R = TypeVar("R")
Handler = Callable[[Received], Awaitable[Sequence[Record]]]
Begin = Callable[[Mapping[Key, int]], Mapping[Key, int]]
_REFUSED = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD}
_POLL_S = 0.25


def full_jitter(attempt: int, first_s: float = 0.1, cap_s: float = 10.0) -> float:
    """Back-off that spreads the retries of many messages evenly over the waiting time."""
    return random.uniform(0, min(cap_s, first_s * 2.0 ** min(attempt, 20)))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """in_flight: messages held, those waiting for a slot, a retry or an acknowledgement included; 0: 8 x concurrency.

    linger_ms: results wait so long for others, to share a request; at low rates requests are what Kafka costs.
    call_s: None sets no limit to a handler. attempts: of a handler that raised. stall_s: full for so long pauses the fetching
    (and throws the prefetch away).
    """

    in_flight: int = 0
    in_flight_bytes: int = 32 << 20
    call_s: float | None = 30.0
    attempts: int = 5
    backoff_s: Callable[[int], float] = full_jitter
    stall_s: float = 5.0
    drain_s: float = 10.0
    commit_s: float = 1.0
    linger_ms: float = 5.0
    dead_in_a_row: int = 100
    session_timeout_ms: int = 45_000


class Flow:
    """Consume, await `handler(record)` for many records at once, produce its results, commit what is done.

    group: the processor's name, also its label in metrics and dead letters. instance: stable and unique, `<group>-<slot>`.
    client: bootstrap.servers and security. accept: False skips a record without a task (ticks, foreign types); it must not
    raise. on_dead: what goes out beside a dead letter. on_gap: input that retention removed before it was read. begin: given
    where the group stands, where to read on (a place that it leaves out: from the first record); it may wait, on the
    consumer's thread, and raise: then the engine ends. Absent: where the group stands.
    """

    def __init__(
        self,
        *,
        group: str,
        instance: str,
        topics: Sequence[str],
        dead_letter_topic: str,
        handler: Handler,
        on_dead: OnDead,
        client: dict[str, Any],
        concurrency: int = 16,
        accept: Callable[[Received], bool] | None = None,
        on_gap: OnGap = report_gap,
        begin: Begin = dict,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits = limits or Limits()
        self._group, self._topics, self._client = group, list(topics), client
        self._handler, self._accept, self._on_gap, self._begin = handler, accept, on_gap, begin
        self._undertaker = Undertaker(stage=group, topic=dead_letter_topic, on_dead=on_dead, in_a_row=limits.dead_in_a_row)
        self._max_in_flight = limits.in_flight or 8 * concurrency
        self._slots = asyncio.Semaphore(concurrency)
        free = limits.call_s is None and concurrency >= self._max_in_flight  # neither can ever hold a record up
        self._call: Handler = handler if free else self._limited
        self._consumer_config = consumer_config(
            client,
            **membership(group, instance, limits.session_timeout_ms),
            **{
                "enable.auto.commit": True,  # of the watermark that we store: by timer, on revoke, on close
                "enable.auto.offset.store": False,
                "auto.commit.interval.ms": int(limits.commit_s * 1000),
            },
        )
        self._clock = BrokerClock()
        self._marks: dict[Key, Watermark[asyncio.Task[None]]] = {}
        self._in_flight = self._bytes = self._done = self._down = 0
        self._paused = self._say_again = self._stopping = self._joined = False
        self._failed: BaseException | None = None
        self._room = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "kafka-consumer")
        self._gone: set[Key] = set()  # given up while a fetch was running
        self._next: dict[Key, int] = {}  # where reading goes on; the consumer thread's own
        self._gaps: list[Gap] = []
        self._stored_at = 0.0
        self.turned = time.monotonic()
        """When the loop last turned, by `time.monotonic`."""
        self._done_metric = HANDLED.labels(group, "done")
        self._ignored_metric = HANDLED.labels(group, "ignored")
        self._seconds_metric = HANDLE_SECONDS.labels(group)
        for cause in ("unavailable", "bug"):
            RETRIES.labels(group, cause)

    # ---------------------------------------------------------------- life
    async def run(self) -> None:
        """Work until `stop()`; raise what made it fail."""
        self._loop = asyncio.get_running_loop()
        self._acks, self._consumer = Acks(self._client, self._clock, self._limits.linger_ms), Consumer(self._consumer_config)
        serving = asyncio.create_task(self._acks.serve())
        IN_FLIGHT.labels(self._group).set_function(lambda: self._in_flight)
        PROGRESS.labels(self._group).set_function(lambda: time.time() - (time.monotonic() - self.turned))
        ASSIGNED.labels(self._group).set_function(lambda: len(self._marks))
        try:
            await self._on_thread(self._subscribe)
            await self._pump()
        finally:
            await self._drain(list(self._marks), 1.0 if self._failed else self._limits.drain_s)
            await self._on_thread(lambda: self._store(self._moved()))
            await self._on_thread(self._consumer.close)  # commits the stored watermark
            serving.cancel()
            await asyncio.to_thread(self._acks.flush, 1.0 if self._failed else 10.0)
            self._thread.shutdown(wait=False)
        if self._failed:
            raise self._failed

    def stop(self) -> None:
        """Finish what is in flight, commit, leave. Call it on the loop's thread (`loop.add_signal_handler`)."""
        self._stopping = True
        self._room.set()

    def ready(self) -> bool:
        """A member of its group, with partitions or without."""
        return self._joined and not self._stopping

    def positions(self) -> dict[Key, int | None]:
        """Next offset to be done of every partition that is owned, None where nothing ever was. Safe on any thread."""
        return {key: mark.position for key, mark in list(self._marks.items())}

    def broker_now(self) -> float:
        """The broker's time, milliseconds since 1970."""
        return self._clock.now_ms()

    def fail(self, error: BaseException) -> None:
        """Fail stop. What is unfinished stays above the watermark and is done again after the restart."""
        if self._failed is None:
            self._failed = error
            log.critical("stopping", group=self._group, error=repr(error), exc_info=error)
        self.stop()

    def _on_thread(self, call: Callable[[], R]) -> asyncio.Future[R]:
        return self._loop.run_in_executor(self._thread, call)

    # ---------------------------------------------------------------- pump
    def _free(self) -> int:
        return self._max_in_flight - self._in_flight if self._bytes < self._limits.in_flight_bytes else 0

    async def _pump(self) -> None:
        batch = max(1, self._max_in_flight // 4)  # fetch in batches: fewer thread hops
        full_since: float | None = None
        while not self._stopping:
            self.turned = time.monotonic()
            if self._free() >= batch:
                full_since = None
                if self._paused:
                    self._paused = False
                    await self._on_thread(lambda: self._pause(False))
                await self._take(self._free())
                continue
            full_since = full_since or time.monotonic()
            await self._wait_for_room()
            if self._paused:
                await self._take(1)  # keeps the membership; a paused consumer gives nothing
            elif self._free() < batch and time.monotonic() - full_since > self._limits.stall_s:
                self._paused = True  # throws the prefetched messages away: for outages only
                await self._on_thread(lambda: self._pause(True))

    async def _wait_for_room(self) -> None:
        self._room.clear()
        try:
            await asyncio.wait_for(self._room.wait(), 0.5)
        except TimeoutError:
            return

    async def _take(self, count: int) -> None:
        marks: list[TopicPartition] = []
        if time.monotonic() - self._stored_at > self._limits.commit_s / 2:
            self._stored_at, marks = time.monotonic(), self._moved()
        for record, size in await self._on_thread(lambda: self._fetch(count, marks)):
            self._dispatch(record, size)
        while self._gaps:
            self._on_gap(self._group, self._gaps.pop())

    def _dispatch(self, record: Received, size: int) -> None:
        mark = self._marks.get((record.topic, record.partition))
        if mark is None:  # revoked meanwhile: the next owner has it
            return
        self._clock.seen(record.timestamp_ms)
        if self._accept is not None and not self._accept(record):
            mark.skip(record.offset)
            self._ignored_metric.inc()
            return
        self._in_flight += 1
        self._bytes += size
        mark.start(record.offset, self._loop.create_task(self._one(record, size, mark)))

    # ---------------------------------------------------------------- one message
    async def _one(self, record: Received, size: int, mark: Watermark[asyncio.Task[None]]) -> None:
        begin = time.monotonic()
        try:
            outputs = await self._work(record)
            try:
                if outputs:
                    await self._acks.deliver(outputs)
            except KafkaException as error:
                if error.args[0].code() not in _REFUSED:
                    raise
                dead = Dead(reason="undeliverable", detail=error.args[0].str())
                await self._acks.deliver(self._undertaker.bury(record, dead))
            mark.finish(record.offset)
            self._seconds_metric.observe(time.monotonic() - begin)
        except asyncio.CancelledError:  # stays open: never committed
            return
        except BaseException as error:  # noqa: BLE001 - the shell failed: stop
            self.fail(error)
        finally:
            self._in_flight -= 1
            self._bytes -= size
            self._room.set()

    async def _work(self, record: Received) -> Sequence[Record]:
        attempt, done_before = 0, self._done
        while True:
            attempt += 1
            try:
                outputs = await self._call(record)
                self._done += 1
                self._undertaker.alive()
                self._done_metric.inc()
                return outputs
            except (Unprocessable, ContractError) as error:
                return self._undertaker.bury(record, verdict_on(error, attempt))
            except (Unavailable, TimeoutError) as error:  # for ever, unless the others get through:
                others = self._done - done_before  # then it is this message that brings the server down
                if attempt > self._limits.attempts and others > self._max_in_flight:
                    dead = Dead(reason="unavailable", detail=f"{type(error).__name__}: {error}", attempts=attempt)
                    return self._undertaker.bury(record, dead)
                await self._back_off("unavailable", attempt, error)
            except Exception as error:  # noqa: BLE001 - a bug: a few times, then a dead letter
                if attempt >= self._limits.attempts:
                    return self._undertaker.bury(record, verdict_on(error, attempt))
                await self._back_off("bug", attempt, error)

    async def _limited(self, record: Received) -> Sequence[Record]:
        async with self._slots, asyncio.timeout(self._limits.call_s):
            return await self._handler(record)

    async def _back_off(self, cause: str, attempt: int, error: Exception) -> None:
        RETRIES.labels(self._group, cause).inc()
        log.warning("again", group=self._group, cause=cause, attempt=attempt, error=repr(error))
        self._down += cause == "unavailable"
        try:
            await asyncio.sleep(self._limits.backoff_s(attempt))
        finally:
            self._down -= cause == "unavailable"

    # ---------------------------------------------------------------- consumer thread
    def _subscribe(self) -> None:
        self._consumer.subscribe(self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def _fetch(self, count: int, marks: list[TopicPartition]) -> list[tuple[Received, int]]:
        self._store(marks)
        if self._say_again:  # the driver keeps "paused" over a lost and regained assignment
            self._pause(self._paused)
        self._gone.clear()
        first = self._consumer.poll(_POLL_S)  # wakes at once; consume(n, t) would wait for n
        if first is None:
            return []
        records = []
        for message in (first, *(self._consumer.consume(count - 1, 0) if count > 1 else ())):
            error = message.error()
            if error is None:
                records.append((received(message), len(message)))
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                self._gaps.append(self._skip(key_of(message)))
            elif hopeless(error):
                raise KafkaException(error)
            else:
                log.warning("consumer", group=self._group, error=str(error))
        mine = [pair for pair in records if (pair[0].topic, pair[0].partition) not in self._gone]
        for record, _ in mine:
            self._next[record.topic, record.partition] = record.offset + 1
        return mine

    def _skip(self, place: Key) -> Gap:
        first = skip_to_first(self._consumer, place)
        return Gap(topic=place[0], partition=place[1], wanted=self._next.get(place, 0), first=first)

    def _store(self, marks: list[TopicPartition]) -> None:
        for mark in marks:
            try:
                self._consumer.store_offsets(offsets=[mark])
            except KafkaException as error:
                log.info("not stored: gone", topic=mark.topic, partition=mark.partition, error=str(error))

    def _pause(self, on: bool) -> None:
        self._say_again = False
        if assigned := self._consumer.assignment():
            (self._consumer.pause if on else self._consumer.resume)(assigned)

    # ---------------------------------------------------------------- rebalance: consumer thread, inside a consumer call
    def _ask_loop(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._joined = self._say_again = True
        if not partitions:
            return
        found = consumer.committed(partitions, timeout=30)
        for place in found:
            if place.error is not None:
                raise KafkaException(place.error)
        begin = self._begin({key_of(place): place.offset for place in found if place.offset >= 0})
        for place in found:
            place.offset = begin.get(key_of(place), OFFSET_BEGINNING)
            self._next[key_of(place)] = max(place.offset, 0)
        self._ask_loop(self._open({key_of(place): place.offset if place.offset >= 0 else None for place in found}))
        consumer.incremental_assign(found)

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        keys = [key_of(place) for place in partitions]
        self._gone.update(keys)
        self._store(self._ask_loop(self._give_back(keys)))  # the driver commits it as part of the revocation

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        keys = [key_of(place) for place in partitions]
        self._gone.update(keys)
        self._ask_loop(self._drop(keys, "lost"))  # too late to commit

    # ---------------------------------------------------------------- watermarks: loop thread
    def _moved(self) -> list[TopicPartition]:
        moved = []
        for (topic, partition), mark in self._marks.items():
            offset = mark.committable()
            if offset is not None and offset != mark.stored:
                mark.stored = offset
                moved.append(TopicPartition(topic, partition, offset))
        return moved

    async def _open(self, starts: dict[Key, int | None]) -> None:
        self._marks.update((key, Watermark(start)) for key, start in starts.items())
        log.info("assigned", group=self._group, partitions=list(starts))

    async def _give_back(self, keys: list[Key]) -> list[TopicPartition]:
        await self._drain(keys, 0.5 if self._down else self._limits.drain_s)  # nothing will finish during an outage
        marks = self._moved()
        await self._drop(keys, "revoked")
        return marks

    async def _drop(self, keys: list[Key], why: str) -> None:
        for key in keys:
            mark = self._marks.pop(key, None)
            for task in mark.open.values() if mark else ():
                task.cancel()
        log.info(why, group=self._group, partitions=keys)

    async def _drain(self, keys: list[Key], timeout_s: float) -> None:
        tasks = [task for key in keys if key in self._marks for task in self._marks[key].open.values() if not task.done()]
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=timeout_s)
        for task in left:  # unfinished: the next owner does them again
            task.cancel()
        if left:
            log.warning("given back unfinished", group=self._group, messages=len(left))
            await asyncio.wait(left, timeout=1)
