"""Exactly once: consume, step, produce in Kafka transactions, state in a compacted changelog. Knows no message.

One transaction a batch holds outputs, last states and source offsets, so after any crash all three are there or none.
Readers of the outputs must use read_committed. Single-threaded; more processes up to the number of partitions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from schemas.envelope import Received, Record
from streams.effects import Effects, Shard
from streams.metrics import ASSIGNED, BATCH_RECORDS, HANDLE_SECONDS, HANDLED, PROGRESS
from streams.wiring.driver import (
    Key,
    consumer_config,
    hopeless,
    insist,
    key_of,
    membership,
    producer_config,
    received,
    send,
    skip_to_first,
)
from streams.wiring.engines.batch import Batch, Batching
from streams.wiring.engines.dead import Dead, OnDead, Undertaker, verdict_on
from streams.wiring.engines.gaps import Gap, OnGap, report_gap
from streams.wiring.engines.restore import Restore
from streams.wiring.engines.ticks import Ticks
from streams.wiring.engines.watchdog import Deadlines, Watchdog

__all__ = ["Batching", "Exact", "Timing"]
log = structlog.get_logger("exact")


@dataclass(frozen=True, kw_only=True)
class Timing:
    """transaction_timeout_ms: the broker aborts a transaction whose owner is silent for so long."""

    tick_every_s: float = 1.0
    poll_s: float = 0.25
    transaction_timeout_ms: int = 10_000
    session_timeout_ms: int = 45_000


class _Poison(Exception):
    """An output of this record, or the state after it, cannot be produced; its shard has stepped already."""

    def __init__(self, record: Received, dead: Dead) -> None:
        super().__init__(dead.detail)
        self.place, self.dead = (record.topic, record.partition, record.offset), dead


class Exact:
    """Drive one Shard per partition number over co-partitioned `sources`.

    group: the processor's name, also its label. instance: stable and unique; it is the transactional id too, so a restart
    ends its old transaction at once. tick: the record that carries time into a partition, sent for every partition that is
    owned; its topic is one of `sources`. on_dead, on_gap: as for Flow.
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
        on_gap: OnGap = report_gap,
        batching: Batching | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._batching = batching or Batching()
        self._timing = timing = timing or Timing()
        self._group, self._sources, self._changelog, self._client = group, list(sources), changelog, client
        self._make_shard, self._on_gap, self._tick = make_shard, on_gap, tick
        self._undertaker = Undertaker(stage=group, topic=dead_letter_topic, on_dead=on_dead)
        member = membership(group, instance, timing.session_timeout_ms)
        if len(self._sources) > 1:  # the same numbers of every source must meet in one process
            member["partition.assignment.strategy"] = "range"
        gather = {"fetch.min.bytes": 1 << 20, "fetch.wait.max.ms": max(1, round(self._batching.batch_ms))}
        self._consumer_config = consumer_config(client, **member, **gather)
        self._producer_config = _transactional(client, instance, timing.transaction_timeout_ms)
        self._next: dict[Key, int] = {}  # where reading goes on
        self._committed: dict[Key, int] = {}  # everything below is in a transaction
        self._shards: dict[int, Shard] = {}  # live ones; those of a Restore are on their way
        self._restores: list[Restore] = []
        self._poison: dict[tuple[str, int, int], Dead] = {}
        self._refused: list[_Poison] = []  # in this transaction, by the broker
        self._batch = Batch(self._batching)
        self._stopping = self._joined = False
        self._transaction = Deadlines()
        self.turned = time.monotonic()
        """When the loop last turned, by `time.monotonic`."""

    # ---------------------------------------------------------------- life
    def run(self) -> None:
        """Work until `stop()`. Raises what made it fail: fatal errors of Kafka, TooManyDead, bugs of the shell."""
        self._producer, self._consumer = Producer(self._producer_config), Consumer(self._consumer_config)
        ticks = None if self._tick is None else Ticks(self._client, self._tick, self._timing.tick_every_s)
        ASSIGNED.labels(self._group).set_function(lambda: len(self._shards))
        PROGRESS.labels(self._group).set_function(lambda: time.time() - (time.monotonic() - self.turned))
        Watchdog(self._transaction.late).start()
        try:
            insist(lambda: self._producer.init_transactions(10), "transactions")
            self._consumer.subscribe(self._sources, on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lost)
            while not self._stopping:
                self._turn(ticks)
            self._commit()
        except BaseException:
            self._batch = Batch(self._batching)  # nothing more is committed, not even while leaving the group
            raise
        finally:
            for restore in self._restores:
                restore.close()
            self._consumer.close()
            if ticks is not None:
                ticks.close()

    def stop(self) -> None:
        """Finish what is in hand and leave. Safe in a signal handler and on any thread."""
        self._stopping = True

    def ready(self) -> bool:
        """A member of its group, with every partition's state at hand."""
        return self._joined and not self._restores and not self._stopping

    def positions(self) -> dict[Key, int | None]:
        """Next offset to be done of every partition that is owned, None where nothing ever was. Safe on any thread."""
        return {key: offset if offset >= 0 else None for key, offset in list(self._committed.items())}

    def _turn(self, ticks: Ticks | None) -> None:
        self.turned = time.monotonic()
        if ticks is not None:
            ticks.send(self._shards)
        self._go_on_restoring()
        for message in self._fetch():
            record = self._sift(message)
            if record is not None:
                self._take(record)
        if self._batch.full or time.monotonic() >= self._batch.due:
            self._commit()

    def _fetch(self) -> Sequence[Message]:
        """What comes until the batch is due; without outputs in it, what is there once something has come."""
        wait_s = max(0.0, min(self._timing.poll_s, self._batch.due - time.monotonic()))
        room = self._batching.records
        if self._restores:
            return self._consumer.consume(room, 0)
        if self._batch.outputs:
            return self._consumer.consume(room, wait_s)
        first = self._consumer.poll(wait_s)
        return () if first is None else (first, *self._consumer.consume(room - 1, 0))

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
        elif hopeless(error):
            raise KafkaException(error)
        else:
            log.warning("consumer", group=self._group, error=error.str())
        return None

    # ---------------------------------------------------------------- one record
    def _take(self, record: Received) -> None:
        self._next[record.topic, record.partition] = record.offset + 1
        effects = self._step(record)
        if isinstance(effects, Dead):
            self._batch.add_dead(record, self._undertaker.bury(record, effects))
        else:
            self._batch.add(record, effects)

    def _step(self, record: Received) -> Effects | Dead:
        if found := self._poison.get((record.topic, record.partition, record.offset)):
            return found
        try:
            effects = self._shards[record.partition].step(record)
        except Exception as error:  # noqa: BLE001 - a pure step that raised has changed nothing
            return verdict_on(error, 1)
        if not effects.ignored:
            self._undertaker.alive()
        return effects

    # ---------------------------------------------------------------- one transaction
    def _commit(self) -> None:
        """Nothing where there is nothing. An error that only aborts the transaction leads to a rewind; others are raised."""
        batch = self._batch
        if not batch:
            return
        try:
            # The driver's calls have time-outs, but one was seen to wait for ever after a broker had been killed.
            self._transaction.expect({"transaction": 2.5e-3 * self._timing.transaction_timeout_ms})
            self._transact(batch)
        except _Poison as poison:
            self._poison[poison.place] = poison.dead
            self._abort(poison)
            return
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():  # fenced or fatal: fail stop
                raise
            self._producer.poll(0)  # what the broker said of each record
            self._poison |= {poison.place: poison.dead for poison in self._refused}
            self._abort(error)
            return
        finally:
            self._transaction.expect({})
        self._committed.update(batch.offsets)
        self._poison = {
            place: dead for place, dead in self._poison.items() if place[2] >= self._committed.get((place[0], place[1]), 0)
        }
        self._batch = Batch(self._batching)
        BATCH_RECORDS.labels(self._group).observe(batch.records)
        HANDLED.labels(self._group, "done").inc(batch.records - batch.dead - batch.ignored)
        if batch.ignored:
            HANDLED.labels(self._group, "ignored").inc(batch.ignored)
        HANDLE_SECONDS.labels(self._group).observe(time.monotonic() - batch.began)

    def _transact(self, batch: Batch) -> None:
        states = [(place, record, value() if callable(value) else value) for place, (record, value) in batch.changed.items()]
        self._refused.clear()
        self._producer.begin_transaction()
        for record, output in batch.outputs:
            self._send(record, output)
        for (number, key), record, packed in states:
            self._send(record, Record(topic=self._changelog, key=key.encode(), value=packed, partition=number))
        places = [TopicPartition(*place, offset) for place, offset in batch.offsets.items()]
        self._again(lambda: self._producer.send_offsets_to_transaction(places, self._consumer.consumer_group_metadata(), 5))
        self._again(lambda: self._producer.commit_transaction(5))

    def _send(self, record: Received, output: Record) -> None:
        """Too large for the driver is told here; too large for the topic by `_undelivered`: then the transaction must abort."""
        try:
            send(self._producer, output, partial(self._undelivered, record))
        except KafkaException as error:
            if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                raise
            raise _Poison(record, _undeliverable(output.topic, error.args[0])) from error

    def _undelivered(self, record: Received, error: KafkaError | None, message: Message) -> None:
        if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self._refused.append(_Poison(record, _undeliverable(message.topic() or "", error)))

    def _again(self, call: Callable[[], object]) -> None:
        """A time-out is no failure: the same call again. But the broker ends a transaction that takes too long: then so do we."""
        end = time.monotonic() + self._timing.transaction_timeout_ms / 1000
        while True:
            try:
                call()
                return
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > end:
                    raise
                self.turned = time.monotonic()

    def _abort(self, why: Exception) -> None:
        log.warning("aborted", group=self._group, error=str(why))
        insist(lambda: self._producer.abort_transaction(10), "abort")
        self._rewind()

    def _rewind(self) -> None:
        """Nothing of the batch was committed: take the states that are, and read its records again."""
        numbers = {number for _, number in self._batch.offsets} & set(self._shards)
        self._batch = Batch(self._batching)
        places = [place for place in self._next if place[1] in numbers]
        for place in places:
            self._next[place] = self._committed[place]
        self._consumer.pause([TopicPartition(*place) for place in places])
        self._begin_restoring(numbers)

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

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._commit()  # still ours
        self._lost(consumer, partitions)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = {place.partition for place in partitions}
        for number in numbers:
            self._shards.pop(number, None)
            for restore in self._restores:
                restore.forget(number)
        if any(number in numbers for _, number in self._batch.offsets):
            self._rewind()  # the batch is mixed: those that stay do theirs again
        for place in partitions:
            self._next.pop(key_of(place), None)
            self._committed.pop(key_of(place), None)
        log.info("given up", group=self._group, partitions=sorted(numbers))

    def _begin_restoring(self, numbers: set[int]) -> None:
        if numbers:
            for number in numbers:
                self._shards.pop(number, None)
            shards = {number: self._make_shard(number) for number in numbers}
            self._restores.append(Restore(self._client, self._changelog, shards))

    def _go_on_restoring(self) -> None:
        """One slice of each; those that own partitions already go on in between."""
        for restore in list(self._restores):
            restore.turn()
            for number, shard in restore.done().items():
                self._resume(number)
                self._shards[number] = shard
            if not restore.todo:
                restore.close()
                self._restores.remove(restore)

    def _resume(self, number: int) -> None:
        places = [TopicPartition(*place, offset) for place, offset in self._next.items() if place[1] == number]
        for place in places:
            insist(lambda place=place: self._consumer.seek(place), "seek")  # type: ignore[misc]
        self._consumer.resume(places)


def _undeliverable(topic: str, error: KafkaError) -> Dead:
    return Dead(reason="undeliverable", detail=f"{topic}: {error.str()}")


def _transactional(client: dict[str, Any], instance: str, timeout_ms: int) -> dict[str, Any]:
    return producer_config(
        client,
        **{
            "transactional.id": instance,
            "transaction.timeout.ms": timeout_ms,
            "delivery.timeout.ms": timeout_ms,
            "linger.ms": 0,  # the commit flushes the whole batch
            "retry.backoff.ms": 10,
            "delivery.report.only.error": True,
        },
    )


def _checked(places: list[TopicPartition]) -> list[TopicPartition]:
    for place in places:
        if place.error is not None:
            raise KafkaException(place.error)
    return places
