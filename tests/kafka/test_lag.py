"""Lag on a real Kafka: what is behind a position, what an engine has not done, and a broker that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from prometheus_client import REGISTRY

from schemas.envelope import Received, Record
from streams.wiring.engines.flow import Flow, Limits
from streams.wiring.engines.lag import LagWatch, behind, local
from streams.workbench.processes import free_ports
from tests.helpers.engine_child import Job
from tests.helpers.engines import feed, forget_before, make_topics
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka


@pytest.fixture
def job(kafka: SharedKafka) -> Job:
    job = Job(engine="flow", bootstrap=kafka.bootstrap, name=kafka.fresh("lag"))
    make_topics(job)
    feed(job, [(f"k{n}", b"v") for n in range(10)], partition=0)
    return job


def _shown(name: str, job: Job, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"processor": job.name, **labels})


def test_behind_is_end_less_position_summed_over_a_topic(job: Job) -> None:
    admin = AdminClient(job.client)
    assert behind(admin, {(job.name, 0): 4, (job.name, 1): 0}) == {job.name: 6}
    assert behind(admin, {(job.name, 0): 12}) == {job.name: 0}
    assert behind(admin, {}) == {}


def test_what_retention_removed_is_not_behind_who_never_began(job: Job) -> None:
    forget_before(job, 7)
    assert behind(AdminClient(job.client), {(job.name, 0): None}) == {job.name: 3}


async def test_an_engine_is_behind_until_it_has_done_its_records(job: Job) -> None:
    go = asyncio.Event()

    async def handle(record: Received) -> Sequence[Record]:
        await go.wait()
        return ()

    engine = Flow(
        group=job.name, instance=f"{job.name}-0", topics=[job.name], dead_letter_topic=job.dead, handler=handle,
        on_dead=lambda record, dead: (), client=job.client, limits=Limits(session_timeout_ms=6000),
    )  # fmt: skip
    lag = "verdictline_consumer_lag_records"
    task = asyncio.create_task(engine.run())
    with LagWatch(job.client, job.name, [job.name], engine.positions, every_s=0.1):
        await asyncio.to_thread(wait_until, lambda: _shown(lag, job, topic=job.name) == 10, 20)
        assert _shown("verdictline_kafka_reachable", job) == 1
        go.set()
        await asyncio.to_thread(wait_until, lambda: _shown(lag, job, topic=job.name) == 0, 20)
    engine.stop()
    await task


def test_a_broker_that_says_no_has_answered() -> None:
    assert not local(KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)))
    assert local(KafkaException(KafkaError(KafkaError._TRANSPORT)))


def test_a_broker_that_is_away_is_said(job: Job) -> None:
    client = {"bootstrap.servers": f"127.0.0.1:{free_ports(1)[0]}"}
    with LagWatch(client, job.name, [job.name], lambda: {(job.name, 0): 0}, every_s=0.1):
        wait_until(lambda: _shown("verdictline_kafka_reachable", job) == 0, 30)
    assert _shown("verdictline_consumer_lag_records", job, topic=job.name) is None
