"""The stations of one partition without Kafka: packed and restored, woken by ticks, put off where they cannot go on."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from schemas.codec import record_of
from schemas.envelope import Received, Record
from schemas.topics import SPC_TICK, VERDICT
from streams.judgement.verdicts import verdict_record
from streams.metrics import RETRIES, SPC_SUBGROUPS
from streams.wiring.processors.spc import SpcShard
from tests.helpers.spc import STATION, T0_MS, Machine, plan, verdict

OTHER, THIRD = "plant/line-1/cam-2", "plant/line-1/cam-3"
NOWHERE = {"bootstrap.servers": "127.0.0.1:1"}


def received(record: Record, offset: int, at_ms: int) -> Received:
    return Received(
        topic=record.topic, partition=0, offset=offset, timestamp_ms=at_ms, key=record.key, value=record.value,
        headers=record.headers,
    )  # fmt: skip


def tick(at_ms: int) -> Received:
    return Received(topic=SPC_TICK, partition=0, offset=0, timestamp_ms=at_ms, key=None, value=b"")


def story(station: str, parts: int) -> list[Received]:
    """A plan with subgroups of 10 parts or a minute, and a part a second, each seventh bad."""
    told = plan(station=station, n=10, every_s=60)
    ones = [verdict(n, "scrap" if n % 7 == 0 else "pass", station=station, at_ms=T0_MS + 1000 * n) for n in range(parts)]
    judged = [received(verdict_record(one), n, T0_MS + 1000 * n + 300) for n, one in enumerate(ones)]
    return [received(record_of(told, id="-", station=station, subject="-"), 0, T0_MS), *judged]


class Log:
    """What one partition's changelog and outputs hold after each step is written."""

    def __init__(self) -> None:
        self.shard, self.entries, self.said = SpcShard(NOWHERE, 0), dict[str, bytes](), list[Record]()

    def feed(self, records: Iterable[Received]) -> Log:
        for record in records:
            effects = self.shard.step(record)
            self.said += effects.outputs
            self.entries |= {key: pack() for key, pack in effects.unpacked.items()}
        return self

    def restart(self) -> Log:
        self.shard = SpcShard(NOWHERE, 0)
        for key, value in self.entries.items():
            self.shard.restore(key, value)
        return self


def test_it_says_what_the_rules_say_wherever_it_is_restarted() -> None:
    records, machine = story(STATION, 70), Machine().tell(plan(n=10, every_s=60), T0_MS)
    for n in range(70):
        machine.judge(verdict(n, "scrap" if n % 7 == 0 else "pass", at_ms=T0_MS + 1000 * n))
    log = Log()
    for record in records:
        log.feed([record]).restart()
    assert [record.value for record in log.said] == [one.message.json_bytes() for one in machine.said]
    assert len({dict(record.headers)["ce_id"] for record in log.said}) == len(log.said) == 8


def test_a_tick_closes_a_stretch_once_another_station_has_shown_that_time_has_passed() -> None:
    log = Log().feed([*story(STATION, 5), *story(OTHER, 5)])
    before = len(log.said)
    log.feed([tick(T0_MS + 100_000)]).restart().feed([tick(T0_MS + 100_000)])
    assert len(log.said) == before  # verdict.v1 was last heard of at 4 s
    late = verdict(5, station=OTHER, at_ms=T0_MS + 100_000)
    log.feed([received(verdict_record(late), 5, T0_MS + 100_300), tick(T0_MS + 101_000)])
    assert [record.key for record in log.said[before:]] == [OTHER.encode(), STATION.encode()]


def test_a_station_that_cannot_go_on_holds_up_no_other() -> None:
    """Its state is unreadable: each question fails, is counted, and comes again after twice as long."""
    log = Log().feed([*story(STATION, 5), *story(OTHER, 5), *story(THIRD, 5)])
    log.entries[STATION] = b'{"station":"' + STATION.encode() + b'","order":"none"}'
    failed, subgroups = RETRIES.labels("spc", "bug"), SPC_SUBGROUPS.labels(OTHER)
    tries, made = failed._value.get(), subgroups._value.get()
    log.restart()
    for second in range(16):
        at_ms = T0_MS + 200_000 + 1000 * second
        one = verdict(5 + second, station=THIRD, at_ms=at_ms)
        log.feed([received(verdict_record(one), 5 + second, at_ms), tick(at_ms)])
    assert subgroups._value.get() == made + 1
    assert failed._value.get() == tries + 5  # at 0, 1, 3, 7 and 15 s


def test_what_it_said_itself_is_not_for_it() -> None:
    log = Log().feed(story(STATION, 25))
    back = [received(record, n, T0_MS) for n, record in enumerate(log.said)]
    assert back
    assert all(log.shard.step(record).ignored for record in back)
    foreign = Received(
        topic=VERDICT, partition=0, offset=99, timestamp_ms=T0_MS, key=b"k", value=b"", headers=(("ce_type", b"x"),)
    )
    assert log.shard.step(foreign).ignored


def test_a_key_of_another_station_is_refused() -> None:
    one = verdict_record(verdict(0))
    with pytest.raises(ValueError, match="the key is no"):
        SpcShard(NOWHERE, 0).step(received(Record(topic=VERDICT, key=b"other", value=one.value, headers=one.headers), 0, T0_MS))
