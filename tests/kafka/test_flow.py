"""Flow on a real Kafka: the fates of messages, gaps in the input, the broker's time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from confluent_kafka import KafkaException

from schemas.envelope import Received, Record
from streams.fates import Unavailable, Unprocessable
from streams.wiring.adapters.kafka import read_all
from streams.wiring.engines.dead import TooManyDead
from streams.wiring.engines.flow import Flow, Handler, Limits
from streams.wiring.engines.gaps import Gap
from tests.helpers.engine_child import Job, failed
from tests.helpers.engines import feed, forget_before, make_topics, outputs
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

T = TypeVar("T")
pytestmark = pytest.mark.kafka


@pytest.fixture
def job(kafka: SharedKafka) -> Job:
    job = Job(engine="flow", bootstrap=kafka.bootstrap, name=kafka.fresh("flow"))
    make_topics(job)
    return job


def flow(job: Job, handler: Handler, **named: Any) -> Flow:
    return Flow(
        group=job.name, instance=f"{job.name}-0", topics=[job.name], dead_letter_topic=job.dead, handler=handler,
        on_dead=lambda record, dead: failed(job, record, dead), client=job.client,
        **{"limits": Limits(backoff_s=lambda attempt: 0.02, session_timeout_ms=6000), **named},
    )  # fmt: skip


@asynccontextmanager
async def running(engine: Flow) -> AsyncIterator[None]:
    task = asyncio.create_task(engine.run())
    try:
        yield
    finally:
        engine.stop()
        await task


async def until(holds: Callable[[], T], timeout_s: float = 20.0) -> T:
    return await asyncio.to_thread(wait_until, holds, timeout_s)


async def outputs_of(job: Job, count: int) -> set[str]:
    return set(await until(lambda: found if len(found := outputs(job)) >= count else None) or ())


def copy(job: Job, record: Received) -> Record:
    return Record(topic=job.out, key=record.key, value=record.value)


async def test_each_fate(job: Job) -> None:
    tries: dict[bytes, int] = {}

    async def handle(record: Received) -> Sequence[Record]:
        value = record.value or b""
        tries[value] = tries.get(value, 0) + 1
        match value:
            case b"bad":
                raise Unprocessable("not_an_image", "what the decoder said")
            case b"bug":
                raise ZeroDivisionError
            case b"away" if tries[value] < 8:
                raise Unavailable
            case b"huge":
                return [Record(topic=job.out, key=None, value=bytes(10 << 20))]
        return [copy(job, record)]

    await asyncio.to_thread(feed, job, [(value, value.encode()) for value in ("bad", "bug", "away", "huge", "ok")])
    async with running(flow(job, handle, accept=lambda record: record.value != b"skip")):
        found = await outputs_of(job, 5)
    letters = {r.header("dl_reason"): r for r in await asyncio.to_thread(lambda: list(read_all(job.client, [job.dead])))}
    assert {"ok", "away"} < found
    assert sorted(text.split("/")[0] for text in found - {"ok", "away"}) == [
        "failed-bug",
        "failed-not_an_image",
        "failed-undeliverable",
    ]
    assert {reason: letter.value for reason, letter in letters.items()} == {
        "not_an_image": b"bad", "bug": b"bug", "undeliverable": b"huge",
    }  # fmt: skip
    assert letters["not_an_image"].header("dl_detail") == "what the decoder said"
    assert letters["bug"].header("dl_attempts") == "5"
    assert tries[b"away"] == 8


async def test_an_outage_holds_the_offset(job: Job) -> None:
    """While the dependency is away nothing is committed, and nothing becomes a dead letter; the next process does it all."""
    calls = 0

    async def away(record: Received) -> Sequence[Record]:
        nonlocal calls
        calls += 1
        raise Unavailable("the server is away")

    async def works(record: Received) -> Sequence[Record]:
        return [copy(job, record)]

    await asyncio.to_thread(feed, job, [(f"k{n}", b"%d" % n) for n in range(300)])
    async with running(flow(job, away, limits=Limits(backoff_s=lambda attempt: 0.02, drain_s=0.2, stall_s=0.3))):
        await until(lambda: calls > 500)
    async with running(flow(job, works)):
        found = await outputs_of(job, 300)
    assert found == {str(n) for n in range(300)}
    assert list(await asyncio.to_thread(lambda: list(read_all(job.client, [job.dead])))) == []


async def test_a_topic_of_nothing_but_bad_messages_ends_the_process(job: Job) -> None:
    async def refuse(record: Received) -> Sequence[Record]:
        raise Unprocessable("bad")

    await asyncio.to_thread(feed, job, [("k", b"x")] * 500)
    with pytest.raises(TooManyDead):
        async with asyncio.timeout(20):
            await flow(job, refuse).run()
    letters = await asyncio.to_thread(lambda: list(read_all(job.client, [job.dead])))
    assert 80 <= len(letters) <= 100


async def test_input_that_retention_removed_is_noticed(job: Job) -> None:
    gaps: list[Gap] = []
    seen: list[int] = []

    async def handle(record: Received) -> Sequence[Record]:
        seen.append(record.offset)
        return []

    await asyncio.to_thread(feed, job, [("k", b"%d" % n) for n in range(10)], 0)
    async with running(flow(job, handle)):
        await until(lambda: len(seen) == 10)
    await asyncio.to_thread(feed, job, [("k", b"%d" % n) for n in range(10, 100)], 0)
    await asyncio.to_thread(forget_before, job, 50)
    async with running(flow(job, handle, on_gap=lambda group, gap: gaps.append(gap))):
        await until(lambda: len(seen) == 60)
    assert seen[10:] == list(range(50, 100))
    assert gaps == [Gap(topic=job.name, partition=0, wanted=10, first=50)]


async def test_broker_time_is_ours_corrected(job: Job) -> None:
    async def handle(record: Received) -> Sequence[Record]:
        return [copy(job, record)]

    engine = flow(job, handle)
    engine._clock._wall = lambda: time.time() * 1000 - 90_000  # a machine that is a minute and a half behind
    await asyncio.to_thread(feed, job, [(f"k{n}", b"%d" % n) for n in range(50)])
    async with running(engine):
        await outputs_of(job, 50)
        assert abs(engine.broker_now() - time.time() * 1000) < 250


async def test_another_of_the_same_name_ends_the_first(job: Job) -> None:
    """A fenced member can do nothing any more: it must end, not stand still."""

    async def handle(record: Received) -> Sequence[Record]:
        return []

    first = flow(job, handle)
    task = asyncio.create_task(first.run())
    await until(first.ready)
    async with running(flow(job, handle)):
        with pytest.raises(KafkaException, match="fenced"):
            async with asyncio.timeout(20):
                await task
