"""Keyed state in faust tables: the shell for statistics, whose repeated or late samples are harmless. Knows no message.

Faust 0.15.3 loses messages where it is used as its manual says; the rules that prevent it are marked (R1) to (R9) here.
They lean on its inside, so its version is pinned. Importing this module imports faust; the other engines do not.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiokafka
import faust as _faust
import structlog
from faust.types import TP

from schemas.envelope import Received, Record
from streams.metrics import ASSIGNED, HANDLED, PROGRESS, STATES
from streams.wiring.engines.alarms import Alarms, Patience
from streams.wiring.engines.dead import OnDead, Undertaker, verdict_on
from streams.wiring.engines.gaps import Gap, report_gap
from streams.wiring.engines.watchdog import Deadlines, Watchdog, turning

log = structlog.get_logger("tables")
faust: Any = _faust  # its annotations name neither its inside nor what its signals accept
BUG = 70  # exit status
_GATHER_MS = 500
State = dict[str, Any]


class Reducer(Protocol):
    """Pure rules for one key's state, which is plain JSON data. Times are the broker's append times, ms since 1970.

    States are replaced, never mutated, and idempotent: a record may come twice. No result may depend on whether a tick came
    before or after an input: what comes late for an expired state starts another.
    """

    def key(self, record: Received) -> str | None:
        """None: not for us."""
        ...

    def step(self, state: State | None, record: Received) -> tuple[State | None, list[Record]]:
        """The same object again: nothing changed, nothing is written. Raises Unprocessable, or anything: a dead letter."""
        ...

    def due(self, state: State) -> float | None:
        """When `expire` has something to do, ms; None: never. Raises nothing."""
        ...

    def expire(self, key: str, state: State, now_ms: float) -> tuple[State | None, list[Record]]:
        """Called once `due` has passed. State None: forget the key. A new state must be due later than now; the same object
        again: not yet, and it is asked again at the next tick. Raises anything: nothing was changed; counted, logged and asked
        again, after twice as long each time.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class TablesConfig:
    """app: processor, consumer group, prefix of the changelog `<app>-<table>-changelog`. A new state format: a new `table`.

    also: further sources with as many partitions and the same keys; nothing is known of their order against `source`.
    tick_topic is private, with the source's number of partitions. stall_s must be longer than a broker outage that should
    be survived; recovery_s is the longest rebalance with its reading of the changelog.
    """

    app: str
    instance: str
    client: Mapping[str, Any]
    source: str
    table: str
    tick_topic: str
    dead_letter_topic: str
    partitions: int
    also: tuple[str, ...] = ()
    tick_every_s: float = 1.0
    stall_s: float = 60.0
    recovery_s: float = 600.0
    session_timeout_s: float = 45.0
    options: Mapping[str, Any] = field(default_factory=dict)


class ReadCommitted(aiokafka.AIOKafkaConsumer):  # type: ignore[misc]
    """(R9) Faust has no setting for it; without it a topic written in transactions shows aborted records too.

    Statistics can wait: the broker gathers for a while, which saves it and us a request for every record.
    """

    def __init__(self, *topics: str, **settings: Any) -> None:
        wanted = {"isolation_level": "read_committed", "fetch_min_bytes": 1 << 20, "fetch_max_wait_ms": _GATHER_MS}
        super().__init__(*topics, **{**settings, **wanted})


class Tables:
    """One agent over the source and its ticks, one table. `run` blocks until SIGTERM or SIGINT, then ends the process."""

    def __init__(self, config: TablesConfig, reducer: Reducer, on_dead: OnDead) -> None:
        self._config, self._reducer = config, reducer
        self._undertaker = Undertaker(stage=config.app, topic=config.dead_letter_topic, on_dead=on_dead)
        self._alarms: dict[int, Alarms] = {}  # a partition's; made anew after a rebalance
        self._patience = Patience(config.app)
        self._mine: frozenset[int] = frozenset()
        self._turning = False
        self._committed: dict[int, int | None] = {}
        self._topics: dict[str, Any] = {}
        self.deadlines = Deadlines()
        self.deadlines.expect({"start": config.recovery_s})
        self.turned = time.monotonic()
        """When the loop last turned, by `time.monotonic`."""
        aiokafka.AIOKafkaConsumer = ReadCommitted  # faust looks the class up when it starts
        self.app = faust.App(config.app, **{**_options(config), **config.options})
        self._raw = {"value_type": bytes, "value_serializer": "raw", "key_type": bytes, "key_serializer": "raw"}
        self._table = self.app.Table(config.table, default=None, partitions=config.partitions, key_type=str)
        every = self.app.topic(config.source, *config.also, config.tick_topic, partitions=config.partitions, **self._raw)
        self.app.agent(every, name="reduce", concurrency=1)(self._agent)  # (R2)
        self.app.timer(config.tick_every_s)(self._tick)
        self.app.on_rebalance_complete.connect(self._hold)
        self.app.on_partitions_revoked.connect(self._revoked)

    def run(self) -> None:
        """Raises SystemExit at the end; ends the process with BUG or STALLED where going on would lose records."""
        Watchdog(self._late).start()
        ASSIGNED.labels(self._config.app).set_function(lambda: len(self._mine))
        STATES.labels(self._config.app).set_function(lambda: len(self._table))
        worker = faust.Worker(self.app, quiet=True, override_logging=False, redirect_stdouts=False)
        worker.spinner = None
        worker.execute_from_commandline()

    def ready(self) -> bool:
        """Partitions are assigned and their states were there when the loop turned last. Safe on any thread."""
        return bool(self._mine)

    def positions(self) -> dict[tuple[str, int], int | None]:
        """Next offset to be done of every partition that is owned, None where nothing ever was. Safe on any thread."""
        mine, topics = self._mine, (self._config.source, *self._config.also)
        if not mine:  # `app.consumer` would make one, for this thread's loop
            return {}
        committed = self.app.consumer._committed_offset
        return {(topic, n): committed.get(TP(topic, n)) for topic in topics for n in mine}

    def states(self) -> list[State]:
        """Of the partitions that this process owns. Safe on any thread."""
        return [found["state"] for found in list(self._table.values()) if found["partition"] in self._mine]

    def _late(self) -> list[str]:
        """A blocked loop is seen at once, what it should do only in its own time (recovery has long)."""
        loop = turning(lambda: self.turned, self._config.stall_s)() if self._turning else ()
        return [*self.deadlines.late(), *loop]

    # ---------------------------------------------------------------- events
    async def _agent(self, stream: Any) -> None:
        async for event in stream.events():  # (R2) no take, no noack
            try:
                await self._handle(event)
            except BaseException:  # noqa: BLE001 - (R4) raising, CancelledError too, would acknowledge the event: lose it
                os.write(2, traceback.format_exc().encode())
                os._exit(BUG)

    async def _handle(self, event: Any) -> None:
        record = _received(event)
        if record.partition not in self._alarms:
            self._alarms[record.partition] = self._waiting(record.partition)
            for topic in (self._config.source, *self._config.also):
                await self._look_for_gap(TP(topic, record.partition))
        alarms = self._alarms[record.partition]
        if record.topic == self._config.tick_topic:
            await self._expire(record, alarms)
            self.deadlines.met(("tick", record.partition), self._config.stall_s)
            return
        try:
            key = self._reducer.key(record)
            if key is None:
                HANDLED.labels(self._config.app, "ignored").inc()
                return
            before = self._state(key)
            state, outputs = self._reducer.step(before, record)
        except Exception as error:  # noqa: BLE001 - nothing was changed
            await self._send(self._undertaker.bury(record, verdict_on(error, 1)))
            return
        if state is not before or outputs:
            await self._apply(record.partition, alarms, key, state, outputs)
        self._undertaker.alive()
        HANDLED.labels(self._config.app, "done").inc()

    async def _expire(self, tick: Received, alarms: Alarms) -> None:
        now_ms = float(tick.timestamp_ms)
        while (key := alarms.pop(now_ms)) is not None:
            state = self._state(key)
            due_ms = None if state is None else self._reducer.due(state)
            if state is None or due_ms is None or due_ms > now_ms:
                continue
            try:
                new, outputs = self._reducer.expire(key, state, now_ms)
            except Exception as error:  # noqa: BLE001 - nothing was changed; ending would begin with it again, for ever
                alarms.set(key, now_ms + self._patience.wait_ms(key, error))
                continue
            self._patience.well(key)
            if new is state:
                alarms.set(key, now_ms + 1)
            else:
                await self._apply(tick.partition, alarms, key, new, outputs)

    async def _apply(self, partition: int, alarms: Alarms, key: str, state: State | None, outputs: Sequence[Record]) -> None:
        await self._send(outputs)  # (R5) first: a crash in between repeats them, never loses them
        if state is None:
            self._table.pop(key, None)
            return
        self._table[key] = {"partition": partition, "state": state}  # (R6) replaced: else it is not written
        alarms.set(key, self._reducer.due(state))

    def _state(self, key: str) -> State | None:
        found = self._table.get(key)
        state: State | None = None if found is None else found["state"]
        return state

    def _waiting(self, partition: int) -> Alarms:
        alarms = Alarms()
        for key, found in self._table.items():
            if found["partition"] == partition:
                alarms.set(key, self._reducer.due(found["state"]))
        return alarms

    async def _look_for_gap(self, place: Any) -> None:
        wanted = self.app.consumer._committed_offset.get(place)
        if wanted is None:
            return
        first = (await self.app.consumer.earliest_offsets(place))[place]
        if first > wanted:
            report_gap(self._config.app, Gap(topic=place.topic, partition=place.partition, wanted=wanted, first=first))

    async def _send(self, records: Sequence[Record]) -> None:
        for record in records:
            topic = self._topics.get(record.topic)
            if topic is None:
                topic = self._topics[record.topic] = self.app.topic(record.topic, **self._raw)
            sent = await topic.send(key=record.key, value=record.value, partition=record.partition, headers=list(record.headers))
            await sent  # (R5) the broker has it

    # ---------------------------------------------------------------- time, rebalance
    async def _tick(self, app: Any) -> None:
        """(R7) A table can only be written inside a stream, so time arrives as a message. (R8) All of it is expected back."""
        config = self._config
        self.turned, self._turning = time.monotonic(), True
        PROGRESS.labels(config.app).set(time.time())
        if app.rebalancing or app.tables.recovery.in_recovery:
            self._mine = frozenset()
            self.deadlines.expect({"recovery": config.recovery_s})
            return
        mine = [place for place in app.consumer.assignment() if place.topic == config.source]
        self._mine = frozenset(place.partition for place in mine)
        self.deadlines.expect({(what, place.partition): config.stall_s for place in mine for what in ("tick", "commit")})
        for place in mine:
            ticks = TP(config.tick_topic, place.partition)
            offset = app.consumer._committed_offset.get(ticks)
            if offset != self._committed.get(place.partition):
                self._committed[place.partition] = offset
                self.deadlines.met(("commit", place.partition), config.stall_s)
            await self._topics.setdefault(config.tick_topic, app.topic(config.tick_topic, **self._raw)).send(
                key=b"", value=b"", partition=place.partition
            )

    async def _hold(self, app: Any, *_: Any, **__: Any) -> None:
        """(R9) Faust lets the source flow while it still seeks, then empties its queues: messages are lost for ever.

        This signal comes just before; faust itself resumes both after the seek.
        """
        app.flow_control.suspend()
        app.consumer.stop_flow()

    async def _revoked(self, app: Any, *_: Any, **__: Any) -> None:
        self._alarms.clear()


def _options(config: TablesConfig) -> dict[str, Any]:
    """(R1)"""
    return {
        "broker": f"kafka://{config.client['bootstrap.servers']}",
        "store": "memory://",
        "id_format": "{id}",
        "topic_partitions": config.partitions,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "table_standby_replicas": 0,
        "web_enabled": False,
        "producer_acks": -1,
        "producer_max_request_size": 9 << 20,
        "stream_buffer_maxsize": 512,
        "broker_commit_interval": 0.5,
        "broker_session_timeout": config.session_timeout_s,
        "broker_heartbeat_interval": min(3.0, config.session_timeout_s / 10),
        # A member that comes back gets its old assignment, with the changelog of an earlier table: so its name holds the table.
        "consumer_group_instance_id": f"{config.instance}-{config.table}",
        "worker_redirect_stdouts": False,
    }


def _received(event: Any) -> Received:
    message = event.message
    return Received(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=round(message.timestamp * 1000),
        key=message.key,
        value=message.value,
        headers=tuple(message.headers or ()),
    )
