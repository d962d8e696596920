"""Every engine under SIGKILL, SIGTERM with a backlog, one member more and one less, and a stall: counts are exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from streams.wiring.engines.watchdog import STALLED
from tests.helpers.engine_child import PER_KEY, Job
from tests.helpers.engines import Child, Feeder, children, feed, make_topics, outputs
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.faults]
RATE, GROUP = 200, 5
ENGINES = ("flow", "exact", "tables")


def group(number: int) -> list[tuple[str, bytes]]:
    """PER_KEY records of each of GROUP keys, interleaved; every 20th key lacks its last."""
    mine = range(number * GROUP, (number + 1) * GROUP)
    return [(f"k{k}", b"%d" % n) for n in range(PER_KEY) for k in mine if k % 20 or n < PER_KEY - 1]


def expected(engine: str, groups: int) -> set[str]:
    if engine == "flow":
        return {f"{key}/{value.decode()}" for number in range(groups) for key, value in group(number)}
    full = {f"full/k{k}" for k in range(groups * GROUP) if k % 20}
    return full | {f"partial/k{k}" for k in range(0, groups * GROUP, 20)} if engine == "exact" else full


def restart_everything(first: Child, second: Child, feeder: Feeder) -> None:
    """1 -> 2, SIGKILL of one, 2 -> 1, SIGTERM with a backlog; the feeder goes on all the while."""
    second.start_ready()
    first.kill()
    first.start_ready()
    assert second.terminate() == 0
    assert first.terminate() == 0
    backlog = feeder.sent + RATE
    wait_until(lambda: feeder.sent > backlog, what="a backlog")
    first.start()


def at_once(scenario: Callable[[str], None]) -> None:
    """For every engine, side by side: they mostly wait for sessions to expire."""
    with ThreadPoolExecutor(len(ENGINES)) as pool:
        for done in [pool.submit(scenario, engine) for engine in ENGINES]:
            done.result()


def test_nothing_is_lost_whatever_restarts(kafka: SharedKafka, tmp_path: Path) -> None:
    def scenario(engine: str) -> None:
        job = Job(engine=engine, bootstrap=kafka.bootstrap, name=kafka.fresh(engine), forget_ms=3_600_000)
        make_topics(job)
        with children(job, tmp_path, 2) as (first, second):
            first.start_ready()
            feeder = Feeder(job, map(group, count()), RATE)
            restart_everything(first, second, feeder)
            wanted = expected(engine, feeder.finish())
            wait_until(lambda: set(outputs(job)) >= wanted, 60, f"all outputs of {engine}")
            assert first.terminate() == 0
        found = outputs(job)
        assert set(found) == wanted, engine
        if engine == "exact":
            assert found == Counter(wanted)  # each once

    at_once(scenario)


def test_a_stall_ends_the_process_and_a_restart_goes_on(kafka: SharedKafka, tmp_path: Path) -> None:
    def scenario(engine: str) -> None:
        stall = tmp_path / engine
        stall.touch()
        job = Job(engine=engine, bootstrap=kafka.bootstrap, name=kafka.fresh(engine), stall=str(stall), stall_s=4.0)
        make_topics(job)
        with children(job, tmp_path) as (child,):
            child.start_ready()
            feed(job, [("k1", b"1"), ("k1", b"2"), ("k1", b"stall")])
            assert child.wait(30) == STALLED, engine
            stall.unlink()
            child.start()
            wanted = {"k1/1", "k1/2", "k1/stall"} if engine == "flow" else {"full/k1"}
            wait_until(lambda: set(outputs(job)) == wanted, 20, f"all outputs of {engine}")
            assert child.terminate() == 0

    at_once(scenario)
