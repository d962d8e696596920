"""spc: verdicts, plans and acts in; subgroups, limits, stages and signals out, in transactions. No rules here.

Time is the append time of verdict.v1, which is heard as it is read; a private tick only asks, and where the log stands still it
counts for a time once verdict.v1 was read to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakSet

import structlog

from schemas.envelope import Received, Record
from schemas.spc import SignalV1, SubgroupV1
from schemas.topics import DEAD_LETTER, SPC, SPC_STATE, SPC_TICK, VERDICT
from streams.effects import IGNORED, Effects
from streams.metrics import SPC_SIGNALS, SPC_SUBGROUPS, SPC_UNPLACED, STATES
from streams.monitors.spc.shard import Done, Stations
from streams.settings import Settings
from streams.wiring.adapters.kafka import partitions
from streams.wiring.engines.alarms import Alarms, Patience
from streams.wiring.engines.exact import Batching, Exact, Timing
from streams.wiring.engines.gaps import Gap, report_gap
from streams.wiring.processors.spc_gauges import follow
from streams.wiring.processors.spc_log import LogTime

log = structlog.get_logger("spc")
GROUP = "spc"
BATCHING = Batching(batch_ms=500, answer_ms=500, quiet_ms=1000, records=2000)
"""A chart can wait for a second: so a station's state is written once for all its verdicts of that time."""


class SpcShard:
    """A Shard: the stations of one partition, with the alarms that its ticks wake and the metrics of what is said."""

    def __init__(self, client: Mapping[str, Any], partition: int) -> None:
        self.stations = Stations()
        self._log = LogTime(client, partition, self.stations.read)
        self._alarms, self._patience = Alarms(), Patience(GROUP)
        self._moved: set[str] = set()  # stations that came, or had a record, since the last tick

    def restore(self, key: str, value: bytes | None) -> None:
        self.stations.restore(key, value)
        if "|" not in key:
            self._moved.add(key)

    def step(self, record: Received) -> Effects:
        """Raises what `Stations.take` raises; a station that cannot go on with time is put off."""
        if record.topic == SPC_TICK:
            return self._wake(record.timestamp_ms)
        if record.topic == VERDICT:
            self._log.heard(record)
        done = self.stations.take(record)
        if done is None:
            return IGNORED
        self._moved.add(done.station)
        _count(done)
        return Effects(outputs=done.outputs, unpacked=done.changed)

    def _wake(self, tick_ms: int) -> Effects:
        for station in self._moved:
            self._patiently(station, tick_ms, self._hasten)
        self._moved = set()
        done = list[Done]()
        while (due := self._alarms.pop(tick_ms)) is not None:
            done += self._patiently(due, tick_ms, self._pass_time)
        for one in done:
            _count(one)
        changed = {key: value for one in done for key, value in one.changed.items()}
        return Effects(outputs=[said for one in done for said in one.outputs], unpacked=changed, ignored=not changed)

    def _patiently(self, station: str, tick_ms: int, do: Callable[[str, int], list[Done]]) -> list[Done]:
        try:
            return do(station, tick_ms)
        except Exception as error:  # noqa: BLE001 - nothing was changed, and a dead tick would tell nobody
            self._alarms.set(station, tick_ms + self._patience.wait_ms(station, error))
            return []

    def _hasten(self, station: str, _: int) -> list[Done]:
        self._alarms.hasten(station, self.stations.due(station))
        return []

    def _pass_time(self, station: str, tick_ms: int) -> list[Done]:
        due_ms = self.stations.due(station)
        if due_ms is None or due_ms > tick_ms:
            self._alarms.set(station, due_ms)
            return []
        now_ms = self._log.until(due_ms, tick_ms)
        if now_ms < due_ms:
            self._alarms.set(station, tick_ms + 1)
            return []
        done = self.stations.pass_time(station, now_ms)
        self._patience.well(station)
        self._moved.add(station)
        return [done]


def _count(done: Done) -> None:
    """A batch that is done again is counted again."""
    for why in done.turn.lost if done.turn is not None else ():
        SPC_UNPLACED.labels(done.station).inc()
        log.warning("changes nothing", station=done.station, why=why)
    for one in done.said:
        message = one.message
        if isinstance(message, SubgroupV1):
            SPC_SUBGROUPS.labels(done.station).inc()
        if isinstance(message, SignalV1) and message.status == "open" and not message.again:
            SPC_SIGNALS.labels(done.station, message.rule).inc()
            named = {"characteristic": message.characteristic, "rule": message.rule, "to": message.direction}
            log.warning("signal", station=done.station, **named)


def _on_gap(group: str, gap: Gap) -> None:
    """Ticks are kept for minutes only, and none is missed."""
    if gap.topic != SPC_TICK:
        report_gap(group, gap)


def _tick(partition: int) -> Record:
    return Record(topic=SPC_TICK, key=None, value=b"", partition=partition)


class Spc(Exact):
    """The engine; its ticks are nobody's work, so nobody is behind with them."""

    def positions(self) -> dict[tuple[str, int], int | None]:
        return {place: offset for place, offset in super().positions().items() if place[0] != SPC_TICK}


def build(settings: Settings, slot: int, *, session_timeout_s: float = 45.0) -> Spc:
    """The processor, not yet running. Raises ValueError where no Kafka is named or a topic is missing, KafkaUnreachable.

    session_timeout_s: so long after a process has gone others take its partitions over.
    """
    client = settings.client()
    sources = [VERDICT, SPC, SPC_TICK]
    found = partitions(client, [*sources, SPC_STATE])
    if missing := [name for name in (*sources, SPC_STATE) if name not in found]:
        raise ValueError(f"no topic {', '.join(missing)}: `verdictline topics apply` makes it")
    shards: WeakSet[SpcShard] = WeakSet()

    def make_shard(partition: int) -> SpcShard:
        shards.add(shard := SpcShard(client, partition))
        return shard

    STATES.labels(GROUP).set_function(lambda: sum(len(shard.stations) for shard in shards))
    follow(lambda: [entry for shard in shards for entry in shard.stations.courses()])
    return Spc(
        group=GROUP,
        instance=f"{GROUP}-{slot}",
        sources=sources,
        changelog=SPC_STATE,
        dead_letter_topic=DEAD_LETTER,
        make_shard=make_shard,
        on_dead=lambda record, dead: (),
        client=client,
        tick=_tick,
        on_gap=_on_gap,
        batching=BATCHING,
        timing=Timing(session_timeout_ms=round(1000 * session_timeout_s)),
    )
