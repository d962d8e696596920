"""Exact on a real Kafka: dead letters inside the transaction, poison that only shows when it is sent, gaps, ticks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from confluent_kafka import KafkaException

from schemas.envelope import Received, Record
from streams.effects import Effects
from streams.wiring.adapters.kafka import create_topics, ends, read_all
from streams.wiring.engines.batch import Batching
from streams.wiring.engines.dead import TooManyDead
from streams.wiring.engines.exact import Exact, Timing
from streams.wiring.engines.gaps import Gap
from tests.helpers.engine_child import TICK, Job, Join, failed
from tests.helpers.engines import feed, forget_before, make_topics, outputs
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
TIMING = Timing(session_timeout_ms=6000)


@pytest.fixture
def job(kafka: SharedKafka) -> Job:
    job = Job(engine="exact", bootstrap=kafka.bootstrap, name=kafka.fresh("exact"))
    make_topics(job)
    return job


def exact(job: Job, **named: Any) -> Exact:
    return Exact(**{
        "group": job.name, "instance": f"{job.name}-0", "sources": [job.name], "changelog": job.changelog,
        "dead_letter_topic": job.dead, "make_shard": lambda _: Join(job), "client": job.client,
        "on_dead": lambda record, dead: failed(job, record, dead), "timing": TIMING, **named,
    })  # fmt: skip


@contextmanager
def running(engine: Exact) -> Iterator[None]:
    thread = threading.Thread(target=engine.run)
    thread.start()
    try:
        yield
    finally:
        engine.stop()
        thread.join()


def triple(key: str) -> list[tuple[str, bytes]]:
    return [(key, b"1"), (key, b"2"), (key, b"3")]


class Huge(Join):
    """Its answer for the key `huge` is larger than any topic takes, and it has changed its state by then."""

    def step(self, record: Received) -> Effects:
        effects = super().step(record)
        big = [replace(output, value=bytes(10 << 20)) for output in effects.outputs if output.key == b"huge"]
        return replace(effects, outputs=big or effects.outputs)


def test_each_fate(job: Job) -> None:
    """A record that raises, one whose output is refused, and good ones around them in the same batch."""
    feed(job, [*triple("a"), ("x", b"bad"), ("x", b"bug"), *triple("huge"), *triple("b")], 0)
    with running(exact(job, make_shard=lambda _: Huge(job))):
        wait_until(lambda: sum(outputs(job).values()) >= 5, what="all answers")
    found = outputs(job)
    assert set(found.values()) == {1}
    assert sorted(text.split("/")[0] for text in found) == ["failed-bad", "failed-bug", "failed-undeliverable", "full", "full"]
    letters = {letter.header("dl_reason"): letter.value for letter in read_all(job.client, [job.dead])}
    assert letters == {"bad": b"bad", "bug": b"bug", "undeliverable": b"3"}


class Swollen(Join):
    """The state of the key `big` is larger than its topic takes from the second record on: only the broker says so."""

    def step(self, record: Received) -> Effects:
        effects = super().step(record)
        large = record.key == b"big" and record.value != b"1"
        return replace(effects, changed=dict.fromkeys(effects.changed, bytes(1_200_000))) if large else effects


def test_a_state_that_its_topic_does_not_take_harms_no_other_key(kafka: SharedKafka) -> None:
    job = Job(engine="exact", bootstrap=kafka.bootstrap, name=kafka.fresh("exact"))
    create_topics(job.client, [(job.changelog, job.partitions, {"cleanup.policy": "compact", "max.message.bytes": str(1 << 20)})])
    make_topics(job)
    feed(job, [*triple("a"), ("big", b"1"), ("big", b"2"), *triple("b")], 0)
    with running(exact(job, make_shard=lambda _: Swollen(job))):
        wait_until(lambda: sum(outputs(job).values()) >= 3, what="all answers")
    assert sorted(text.split("/")[0] for text in outputs(job)) == ["failed-undeliverable", "full", "full"]
    (letter,) = read_all(job.client, [job.dead])
    assert (letter.header("dl_reason"), letter.value) == ("undeliverable", b"2")


def test_state_comes_back_from_the_changelog(job: Job) -> None:
    feed(job, [(f"k{k}", b"%d" % n) for k in range(200) for n in (1, 2)])
    with running(exact(job)):
        wait_until(lambda: len(list(read_all(job.client, [job.changelog]))) >= 200, what="states written")
    feed(job, [(f"k{k}", b"3") for k in range(200)])
    with running(exact(job)):
        wait_until(lambda: len(outputs(job)) >= 200, what="answers")
    assert outputs(job) == {f"full/k{k}": 1 for k in range(200)}


class Later(Join):
    """Its states are only packed when they are written."""

    packed = 0

    def step(self, record: Received) -> Effects:
        effects = super().step(record)
        return Effects(outputs=effects.outputs, unpacked={k: partial(self._pack, v) for k, v in effects.changed.items()})

    def _pack(self, value: bytes | None) -> bytes:
        Later.packed += 1
        return value or b""


def test_of_the_states_of_a_key_only_the_last_in_a_batch_is_packed(job: Job) -> None:
    """Answers may wait too: then they cost no transaction of their own."""
    slow = Batching(batch_ms=300, answer_ms=300, quiet_ms=300)
    feed(job, [(key, n) for n in (b"1", b"2", b"3") for key in ("a", "b")] + [("c", b"1"), ("c", b"2")], 0)
    with running(exact(job, make_shard=lambda _: Later(job), batching=slow)):
        wait_until(lambda: outputs(job) == {"full/a": 1, "full/b": 1}, what="answers")
    assert Later.packed == 3
    assert len(list(read_all(job.client, [job.changelog]))) == 3
    feed(job, [("c", b"3")], 0)
    with running(exact(job, make_shard=lambda _: Later(job))):
        wait_until(lambda: outputs(job)["full/c"] == 1, what="the answer of a state that came back")


def test_time_comes_as_ticks(job: Job) -> None:
    """Nothing else is written, so only a tick can make the deadline pass; batches without effect are committed late."""
    feed(job, [("a", b"1")])
    tick = {
        "tick": lambda n: Record(topic=job.name, key=None, value=TICK, partition=n),
        "timing": replace(TIMING, tick_every_s=0.2),
    }
    with running(exact(job, **tick)):
        wait_until(lambda: outputs(job) == {"partial/a": 1}, what="the deadline")
    ticks = sum(ends(job.client, [job.name]).values()) - 1
    markers = sum(ends(job.client, [job.out]).values()) - 1
    assert ticks >= 4 * 3
    assert markers == 1  # one transaction wrote there, whatever the number of ticks


def test_nothing_but_bad_messages_ends_the_process(job: Job) -> None:
    feed(job, [("k", b"bad")] * 300)
    with pytest.raises(TooManyDead):
        exact(job, batching=Batching(records=50)).run()
    assert len(list(read_all(job.client, [job.dead]))) == 100


def test_input_that_retention_removed_is_noticed(job: Job) -> None:
    gaps: list[Gap] = []
    feed(job, triple("a"), 0)
    with running(exact(job)):
        wait_until(lambda: outputs(job), what="the first answer")
    feed(job, [*triple("lost"), *triple("b")], 0)
    forget_before(job, 6)
    with running(exact(job, on_gap=lambda group, gap: gaps.append(gap))):
        wait_until(lambda: len(outputs(job)) == 2, what="the second answer")
    assert set(outputs(job)) == {"full/a", "full/b"}
    assert gaps == [Gap(topic=job.name, partition=0, wanted=3, first=6)]


def test_another_of_the_same_name_ends_the_first(job: Job) -> None:
    """Whoever comes later owns the name; the first one's transactions are refused, and it ends."""
    first, ended = exact(job), threading.Event()

    def run() -> None:
        with pytest.raises(KafkaException, match=r"[Ff]enced"):
            first.run()
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    wait_until(first.ready, what="the first one is a member")
    with running(exact(job)):
        feed(job, triple("a"))
        wait_until(lambda: outputs(job) == {"full/a": 1}, what="the second one answers")
        assert ended.wait(20)


def test_sources_with_the_same_keys_meet_in_one_shard(job: Job) -> None:
    other = replace(job, name=f"{job.name}-other")
    make_topics(other)
    with running(exact(job, sources=[job.name, other.name])):
        feed(job, [(f"k{k}", b"1") for k in range(20)])
        feed(other, [(f"k{k}", n) for k in range(20) for n in (b"2", b"3")])
        wait_until(lambda: len(outputs(job)) >= 20, what="answers")
    assert outputs(job) == {f"full/k{k}": 1 for k in range(20)}


def test_a_source_that_is_made_after_the_start_is_read(job: Job) -> None:
    other = replace(job, name=f"{job.name}-other")
    with running(engine := exact(job, sources=[job.name, other.name])):
        wait_until(engine.ready, what="a member, with one source")
        make_topics(other)
        feed(job, [("k", b"1")])
        feed(other, [("k", b"2"), ("k", b"3")])
        wait_until(lambda: outputs(job) == {"full/k": 1}, timeout_s=40, what="the answer of both")
