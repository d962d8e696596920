"""Tables on a real Kafka: one process, as a user of the engine sees it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streams.wiring.adapters.kafka import read_all
from tests.helpers.engine_child import Job
from tests.helpers.engines import children, feed, make_topics, outputs
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
MEMORY_LIMIT_KB = 200 * 1024


def resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_state_time_dead_letters_and_memory(kafka: SharedKafka, tmp_path: Path) -> None:
    """Keys that are full answer at once and are forgotten a moment later, by ticks; the same key then starts anew."""
    job = Job(engine="tables", bootstrap=kafka.bootstrap, name=kafka.fresh("tables"), forget_ms=1500)
    make_topics(job)
    with children(job, tmp_path) as (child,):
        child.start_ready()
        feed(job, [("a", b"1"), ("a", b"2"), ("x", b"bad"), ("x", b"bug"), ("a", b"3"), ("b", b"1")])
        wait_until(lambda: len(outputs(job)) >= 3, what="the first answers")
        found = outputs(job)
        assert found["full/a"] == 1
        assert {text.split("/")[0] for text in found} - {"forgot"} == {"full", "failed-bad", "failed-bug"}
        wait_until(lambda: outputs(job)["forgot/a"] == 1, what="the tick that forgets a")
        feed(job, [("a", b"1"), ("a", b"2"), ("a", b"3")])
        wait_until(lambda: outputs(job)["full/a"] == 2, what="a, anew")
        assert child.process is not None
        assert resident_kb(child.process.pid) < MEMORY_LIMIT_KB
        assert child.terminate() == 0
    letters = {letter.header("dl_reason"): letter.value for letter in read_all(job.client, [job.dead])}
    assert letters == {"bad": b"bad", "bug": b"bug"}


def test_a_state_that_cannot_expire_holds_up_no_other_and_ends_nothing(kafka: SharedKafka, tmp_path: Path) -> None:
    """It stays as it was and is asked again, after twice as long each time; after a restart, too."""
    job = Job(engine="tables", bootstrap=kafka.bootstrap, name=kafka.fresh("tables"), forget_ms=200, partitions=1)
    make_topics(job)
    full = [(key, b"%d" % n) for key in ("odd", "a") for n in (1, 2, 3)]
    with children(job, tmp_path) as (child,):
        child.start_ready()
        feed(job, full)
        wait_until(lambda: outputs(job)["forgot/a"] == 1, what="the tick that forgets a, which is due behind odd")
        wait_until(lambda: child.log.read_text().count("a state cannot expire") >= 3, what="the third question")
        assert child.terminate() == 0
        child.start_ready()
        feed(job, [("b", b"%d" % n) for n in (1, 2, 3)])
        wait_until(lambda: outputs(job)["forgot/b"] == 1, what="the tick that forgets b")
        assert child.terminate() == 0
    assert outputs(job)["full/odd"] == 1
    assert not [letter for letter in read_all(job.client, [job.dead])]


def test_a_program_with_another_table_takes_over_from_the_one_before(kafka: SharedKafka, tmp_path: Path) -> None:
    """Kafka hands a static member its old assignment back, with the changelog of the table that is no more."""
    before = Job(engine="tables", bootstrap=kafka.bootstrap, name=kafka.fresh("tables"), partitions=1)
    after = replace(before, table="state-2")
    make_topics(before)
    make_topics(after)
    with children(before, tmp_path) as (child,):
        child.start_ready()
        feed(before, [("a", b"1"), ("a", b"2"), ("a", b"3")])
        wait_until(lambda: outputs(before)["full/a"] == 1, what="the answer")
        assert child.terminate() == 0
    with children(after, tmp_path) as (child,):
        child.start_ready()
        feed(after, [("b", b"1"), ("b", b"2"), ("b", b"3")])
        wait_until(lambda: outputs(after)["full/b"] == 1, what="the answer of the next program")
        assert child.terminate() == 0
