"""Exactly once: consume, step, produce in Kafka transactions, state in a compacted changelog. Knows no message.

One transaction a batch holds outputs, last states and source offsets, so after any crash all three are there or none.
Readers of the outputs must use read_committed. Single-threaded; more processes up to the number of partitions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from schemas.envelope import Received, Record
from streams.effects import Effects, Shard
from streams.metrics import ASSIGNED, BATCH_RECORDS, HANDLE_SECONDS, HANDLED, PROGRESS
from streams.wiring.driver import Key, consumer_config, key_of, membership, producer_config, received, send, skip_to_first
from streams.wiring.engines.dead import Dead, OnDead, Undertaker, verdict_on
from streams.wiring.engines.gaps import Gap, OnGap, report_gap
from streams.wiring.engines.restore import Restore, again, insist

log = structlog.get_logger("exact")
_TOO_LARGE = KafkaError.MSG_SIZE_TOO_LARGE
_SLICE_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Batching:
    """A transaction collects for `batch_ms` since its first record, at most `records`.

    Batches without effects (ticks that nothing waited for) leave their offsets to the next transaction, for at most
    `idle_commit_s`: done again after a crash, they have no effect again.
    """

    batch_ms: float = 20.0
    records: int = 500
    idle_commit_s: float = 5.0
    transaction_timeout_ms: int = 10_000
    session_timeout_ms: int = 45_000
    poll_s: float = 0.25


class _Poison(Exception):
    """An output of this record cannot be produced; its shard has stepped already."""

    def __init__(self, record: Received, dead: Dead) -> None:
        super().__init__(dead.detail)
        self.place, self.dead = (record.topic, record.partition, record.offset), dead


class Exact:
    """Drive one Shard per partition number over co-partitioned `sources`.

    group: the processor's name, also its label. instance: stable and unique; it is the transactional id too, so a restart
    ends its old transaction at once. tick: the record that carries time into a partition, sent each `tick_every_s` for every
    partition that is owned, by a plain producer: an open transaction would hold up that topic's readers.
    """

    def __init__(
        self,
        *,
        group: str,
        instance: str,
        sources: Sequence[str],
        changelog: str,
        dead_letter_topic: str,
        make_shard: Callable[[int], Shard],
        on_dead: OnDead,
        client: dict[str, Any],
        tick: Callable[[int], Record] | None = None,
        tick_every_s: float = 1.0,
        on_gap: OnGap = report_gap,
        batching: Batching | None = None,
    ) -> None:
        self._batching = batching = batching or Batching()
        self._group, self._sources, self._changelog, self._client = group, list(sources), changelog, client
        self._make_shard, self._on_gap, self._tick, self._tick_every_s = make_shard, on_gap, tick, tick_every_s
        self._undertaker = Undertaker(stage=group, topic=dead_letter_topic, on_dead=on_dead)
        member = membership(group, instance, batching.session_timeout_ms)
        if len(self._sources) > 1:  # the same numbers of every source must meet in one process
            member["partition.assignment.strategy"] = "range"
        self._consumer_config = consumer_config(client, **member)
        self._producer_config = producer_config(
            client,
            **{
                "transactional.id": instance,
                "transaction.timeout.ms": batching.transaction_timeout_ms,
                "delivery.timeout.ms": batching.transaction_timeout_ms,
                "linger.ms": 0,  # the commit flushes the whole batch
                "retry.backoff.ms": 10,
            },
        )
        self._next: dict[Key, int] = {}  # where reading goes on
        self._committed: dict[Key, int] = {}  # everything below is in a transaction
        self._shards: dict[int, Shard] = {}  # live ones; those of a Restore are on their way
        self._restores: list[Restore] = []
        self._poison: dict[tuple[str, int, int], Dead] = {}
        self._pending: dict[Key, int] = {}  # offsets of batches without effects
        self._pending_since = self._ticked = 0.0
        self._tick_failed: KafkaError | None = None
        self._stopping = self._joined = False
        self.turned = time.monotonic()
        """When the loop last turned, by `time.monotonic`."""

    # ---------------------------------------------------------------- life
    def run(self) -> None:
        """Work until `stop()`. Raises what made it fail: fatal errors of Kafka, TooManyDead, bugs of the shell."""
        self._producer = Producer(self._producer_config)
        self._ticker = Producer(producer_config(self._client)) if self._tick else None
        self._consumer = Consumer(self._consumer_config)
        ASSIGNED.labels(self._group).set_function(lambda: len(self._shards))
        PROGRESS.labels(self._group).set_function(lambda: time.time() - (time.monotonic() - self.turned))
        try:
            insist(lambda: self._producer.init_transactions(10), "transactions")
            self._consumer.subscribe(self._sources, on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke)
            while not self._stopping:
                self._turn()
            self._settle(force=True)
        finally:
            for restore in self._restores:
                restore.close()
            self._consumer.close()
            if self._ticker is not None:
                self._ticker.flush(2)

    def stop(self) -> None:
        """Finish the batch in hand and leave. Safe in a signal handler and on any thread."""
        self._stopping = True

    def ready(self) -> bool:
        """A member of its group, with every partition's state at hand."""
        return self._joined and not self._restores and not self._stopping

    def _turn(self) -> None:
        self.turned = time.monotonic()
        self._send_ticks()
        self._go_on_restoring()
        first = self._consumer.poll(0.0 if self._restores else self._batching.poll_s)
        if first is None:
            return self._settle()
        rest = self._consumer.consume(self._batching.records - 1, self._batching.batch_ms / 1000)
        self._batch([record for message in (first, *rest) if (record := self._sift(message)) is not None])

    def _sift(self, message: Message) -> Received | None:
        """None: an event of the driver, a record that is not ours any more, or one from before a rewind."""
        error, place = message.error(), key_of(message)
        if error is None:
            offset = message.offset() or 0
            mine = place[1] in self._shards and offset >= self._next.get(place, 0)
            return received(message) if mine else None
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            wanted, first = max(self._next.get(place, 0), 0), skip_to_first(self._consumer, place)
            self._next[place] = first
            self._on_gap(self._group, Gap(topic=place[0], partition=place[1], wanted=wanted, first=first))
        elif error.fatal() or error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
            raise KafkaException(error)
        else:
            log.warning("consumer", group=self._group, error=error.str())
        return None

    # ---------------------------------------------------------------- one batch
    def _batch(self, records: Sequence[Received]) -> None:
        if not records:
            return
        began = time.monotonic()
        offsets = {(record.topic, record.partition): record.offset + 1 for record in records}
        try:
            outputs, changed, dead = self._steps(records)
            if not outputs and not changed:
                return self._postpone(offsets)
            self._commit(outputs, changed, {**self._pending, **offsets})
            self._next.update(offsets)
        except _Poison as poison:
            self._poison[poison.place] = poison.dead
            self._rewind(offsets, poison)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():  # fenced or fatal: fail stop
                raise
            self._rewind(offsets, error)
        else:
            for record in records:
                self._poison.pop((record.topic, record.partition, record.offset), None)
            BATCH_RECORDS.labels(self._group).observe(len(records))
            HANDLED.labels(self._group, "done").inc(len(records) - dead)
            HANDLE_SECONDS.labels(self._group).observe(time.monotonic() - began)

    def _steps(
        self, records: Sequence[Received]
    ) -> tuple[list[tuple[Received, Record]], dict[tuple[int, str], bytes | None], int]:
        outputs: list[tuple[Received, Record]] = []
        changed: dict[tuple[int, str], bytes | None] = {}
        dead = 0
        for record in records:
            effects = self._step(record)
            if isinstance(effects, Dead):
                dead += 1
                outputs += [(record, output) for output in self._undertaker.bury(record, effects)]
                continue
            outputs += [(record, output) for output in effects.outputs]
            for key, value in effects.changed.items():  # only the last state of a batch is written
                changed[record.partition, key] = value
        return outputs, changed, dead

    def _step(self, record: Received) -> Effects | Dead:
        if found := self._poison.get((record.topic, record.partition, record.offset)):
            return found
        try:
            effects = self._shards[record.partition].step(record)
        except Exception as error:  # noqa: BLE001 - a pure step that raised has changed nothing
            return verdict_on(error, 1)
        self._undertaker.alive()
        return effects

    def _commit(
        self, outputs: list[tuple[Received, Record]], changed: dict[tuple[int, str], bytes | None], offsets: dict[Key, int]
    ) -> None:
        self._producer.begin_transaction()
        for record, output in outputs:
            try:
                send(self._producer, output)
            except KafkaException as error:
                if error.args[0].code() != _TOO_LARGE:
                    raise
                raise _Poison(record, Dead(reason="undeliverable", detail=error.args[0].str())) from error
        for (number, key), value in changed.items():
            send(self._producer, Record(topic=self._changelog, key=key.encode(), value=value, partition=number))
        places = [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
        self._again(lambda: self._producer.send_offsets_to_transaction(places, self._consumer.consumer_group_metadata(), 10))
        self._again(lambda: self._producer.commit_transaction(10))
        self._committed.update(offsets)
        self._pending = {}

    def _again(self, call: Callable[[], object]) -> None:
        """A time-out is no failure: the same call again. The broker ends a transaction that takes too long."""
        end = time.monotonic() + 60
        while True:
            try:
                call()
                return
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > end:
                    raise
                self.turned = time.monotonic()

    def _postpone(self, offsets: dict[Key, int]) -> None:
        if not self._pending:
            self._pending_since = time.monotonic()
        self._pending.update(offsets)
        self._next.update(offsets)
        self._settle()

    def _settle(self, *, force: bool = False) -> None:
        """Commit offsets whose records had no effect, once they are old enough."""
        if not self._pending or not (force or time.monotonic() - self._pending_since > self._batching.idle_commit_s):
            return
        try:
            self._commit([], {}, self._pending)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            self._abort(error)
            self._pending = {}

    def _abort(self, why: Exception) -> None:
        log.warning("aborted", group=self._group, error=str(why))
        insist(lambda: self._producer.abort_transaction(10), "abort")

    def _rewind(self, offsets: dict[Key, int], why: Exception) -> None:
        """Nothing was committed: take the states that are, and read the batch again."""
        self._abort(why)
        numbers = {number for _, number in offsets} & set(self._shards)
        places = [place for place in self._next if place[1] in numbers]
        for place in places:
            self._next[place] = self._committed[place]
            self._pending.pop(place, None)
        self._consumer.pause([TopicPartition(*place) for place in places])
        self._begin_restoring(numbers)

    # ---------------------------------------------------------------- ticks
    def _send_ticks(self) -> None:
        if self._ticker is None or self._tick is None or time.monotonic() - self._ticked < self._tick_every_s:
            return
        self._ticked = time.monotonic()
        self._ticker.poll(0)
        if self._tick_failed is not None:
            raise KafkaException(self._tick_failed)  # without ticks no deadline would ever pass
        if not len(self._ticker):  # else they wait for Kafka already
            for number in sorted(self._shards):
                send(self._ticker, self._tick(number), self._tick_report)

    def _tick_report(self, error: KafkaError | None, _: Message) -> None:
        if error is not None and not again(error) and error.code() != KafkaError._MSG_TIMED_OUT:
            self._tick_failed = error

    # ---------------------------------------------------------------- rebalance, inside poll, consume or close
    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._joined = True
        if not partitions:
            return
        # Waits for transactions that hold offsets of the old owner.
        found = insist(lambda: _checked(consumer.committed(partitions, timeout=10)), "committed offsets")
        for place in found:
            place.offset = place.offset if place.offset >= 0 else OFFSET_BEGINNING
            self._next[key_of(place)] = self._committed[key_of(place)] = place.offset
        if len(self._sources) == 1:
            consumer.incremental_assign(found)
        else:
            consumer.assign(found)
        consumer.pause(found)  # until the state is there
        self._begin_restoring({place.partition for place in found})

    def _revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for place in partitions:  # no transaction is open here
            self._next.pop(key_of(place), None)
            self._committed.pop(key_of(place), None)
            self._pending.pop(key_of(place), None)
            self._shards.pop(place.partition, None)
            for restore in self._restores:
                restore.forget(place.partition)
        log.info("revoked", group=self._group, partitions=[place.partition for place in partitions])

    def _begin_restoring(self, numbers: set[int]) -> None:
        for number in numbers:
            self._shards.pop(number, None)
        self._restores.append(Restore(self._client, self._changelog, {number: self._make_shard(number) for number in numbers}))

    def _go_on_restoring(self) -> None:
        """One slice of each; those that own partitions already go on in between."""
        for restore in list(self._restores):
            restore.turn(_SLICE_S)
            for number, shard in restore.done().items():
                self._resume(number)
                self._shards[number] = shard
            if not restore.todo:
                restore.close()
                self._restores.remove(restore)

    def _resume(self, number: int) -> None:
        for (topic, partition), offset in self._next.items():
            if partition == number:
                place = TopicPartition(topic, partition, offset)
                insist(lambda place=place: self._consumer.seek(place), "seek")  # type: ignore[misc]
                self._consumer.resume([place])


def _checked(places: list[TopicPartition]) -> list[TopicPartition]:
    for place in places:
        if place.error is not None:
            raise KafkaException(place.error)
    return places
