"""Every engine under SIGKILL, SIGTERM with a backlog, one member more and one less, and a stall: counts are exact."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from streams.wiring.engines.watchdog import STALLED
from tests.helpers.engine_child import PER_KEY, Job
from tests.helpers.engines import Child, Feeder, children, make_topics, outputs
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.faults]
KEYS, RATE = 600, 250
ENGINES = ("flow", "exact", "tables")


def keys(count: int) -> list[tuple[str, bytes]]:
    """PER_KEY records of each key, interleaved over five keys; every 20th key lacks its last."""
    groups = [range(start, min(start + 5, count)) for start in range(0, count, 5)]
    return [(f"k{k}", b"%d" % n) for group in groups for n in range(PER_KEY) for k in group if k % 20 or n < PER_KEY - 1]


def expected(engine: str, count: int) -> set[str]:
    if engine == "flow":
        return {f"{key}/{value.decode()}" for key, value in keys(count)}
    full = {f"full/k{k}" for k in range(count) if k % 20}
    return full | {f"partial/k{k}" for k in range(count) if k % 20 == 0} if engine == "exact" else full


def restart_everything(first: Child, second: Child, feeder: Feeder) -> None:
    """SIGKILL of one of two, then 2 -> 1, then SIGTERM with a backlog; the feeder goes on all the while."""
    wait_until(lambda: feeder.sent > 200, what="the first 200")
    second.start()
    wait_until(lambda: feeder.sent > 600, what="two members work")
    first.kill()
    first.start()
    wait_until(lambda: feeder.sent > 1000, what="the killed one is back")
    assert second.terminate() == 0
    wait_until(lambda: feeder.sent > 1200, what="one member, and a backlog in what the other had")
    assert first.terminate() == 0
    wait_until(lambda: feeder.sent > 1500, what="a backlog everywhere")
    first.start()


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_lost_whatever_restarts(engine: str, kafka: SharedKafka, tmp_path: Path) -> None:
    job = Job(engine=engine, bootstrap=kafka.bootstrap, name=kafka.fresh(engine))
    make_topics(job)
    with children(job, tmp_path, 2) as (first, second):
        first.start()
        restart_everything(first, second, Feeder(job, keys(KEYS), RATE))
        wanted = expected(engine, KEYS)
        wait_until(lambda: set(outputs(job)) >= wanted, 40, "all outputs")
        assert first.terminate() == 0
    found = outputs(job)
    assert set(found) == wanted
    if engine == "exact":
        assert found == Counter(wanted)  # each once


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stall_ends_the_process_and_a_restart_goes_on(engine: str, kafka: SharedKafka, tmp_path: Path) -> None:
    stall = tmp_path / "stall"
    stall.touch()
    job = Job(engine=engine, bootstrap=kafka.bootstrap, name=kafka.fresh(engine), stall=str(stall), stall_s=4.0)
    make_topics(job)
    with children(job, tmp_path) as (child,):
        child.start()
        records = [("k1", b"1"), ("k1", b"2"), ("k1", b"stall")]
        Feeder(job, records, 1000).join()
        assert child.wait(30) == STALLED
        stall.unlink()
        child.start()
        wanted = {"k1/1", "k1/2", "k1/stall"} if engine == "flow" else {"full/k1"}
        wait_until(lambda: set(outputs(job)) == wanted, 20, "all outputs")
        assert child.terminate() == 0
