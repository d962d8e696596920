"""The parts of the engines that need no Kafka: watermark, broker clock, alarms, deadlines, dead letters, health."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Received, Record
from streams.fates import Unprocessable
from streams.wiring.adapters.health import Health, PortTaken
from streams.wiring.engines.clock import BrokerClock
from streams.wiring.engines.dead import Dead, TooManyDead, Undertaker, verdict_on
from streams.wiring.engines.watchdog import Deadlines
from streams.wiring.engines.watermark import Watermark

RECORD = Received(topic="t", partition=1, offset=5, timestamp_ms=0, key=b"k", value=b"v", headers=(("h", b"1"),))


@given(st.permutations(range(8)), st.integers(0, 8))
def test_nothing_unfinished_is_ever_below_the_watermark(order: list[int], done: int) -> None:
    mark: Watermark[None] = Watermark()
    assert mark.committable() is None
    for offset in range(8):
        mark.start(offset * 3, None)  # holes in the log
    for n in order[:done]:
        mark.finish(n * 3)
    left = sorted(set(range(8)) - set(order[:done]))
    assert mark.committable() == (left[0] * 3 if left else 22)


def test_the_best_round_trip_sets_the_broker_clock() -> None:
    now = 1000.0
    clock = BrokerClock(lambda: now)
    assert clock.now_ms() == 1000
    clock.seen(5000)  # stamped in the past, so it is at least that late
    assert clock.now_ms() == 5000
    clock.reported(sent_ms=900, trip_ms=100, append_ms=6000)  # somewhere in 100 ms
    assert clock.now_ms() == 6050
    clock.reported(sent_ms=990, trip_ms=10, append_ms=6002)  # in 10 ms: better
    assert clock.now_ms() == 6007
    clock.reported(sent_ms=500, trip_ms=500, append_ms=9999)  # in 500 ms: worse
    assert clock.now_ms() == 6007


def test_deadlines_run_on_while_they_are_expected() -> None:
    now = 0.0
    dog = Deadlines(lambda: now)
    dog.expect({"tick": 10, "commit": 10})
    now = 9
    dog.met("tick", 10)
    dog.expect({"tick": 10, "commit": 10})
    now = 11
    assert dog.late() == ["commit"]
    dog.expect({"tick": 10})
    assert dog.late() == []


def undertaker(in_a_row: int, answers: Sequence[Record] | Exception = ()) -> Undertaker:
    def on_dead(record: Received, dead: Dead) -> Sequence[Record]:
        if isinstance(answers, Exception):
            raise answers
        return answers

    return Undertaker(stage="stage", topic="dead", on_dead=on_dead, in_a_row=in_a_row)


def test_a_dead_letter_is_whole_and_its_answer_goes_with_it() -> None:
    beside = Record(topic="evidence", key=b"k", value=b"failed")
    letter, other = undertaker(9, [beside]).bury(RECORD, verdict_on(Unprocessable("not_json", "at 3"), 2))
    assert (letter.topic, letter.key, letter.value, other) == ("dead", b"k", b"v", beside)
    assert dict(letter.headers) == {
        "h": b"1", "dl_topic": b"t", "dl_partition": b"1", "dl_offset": b"5", "dl_stage": b"stage",
        "dl_reason": b"not_json", "dl_detail": b"at 3", "dl_attempts": b"2",
    }  # fmt: skip


def test_an_answer_that_cannot_be_made_does_not_lose_the_letter() -> None:
    assert len(undertaker(9, ValueError("bug")).bury(RECORD, Dead(reason="bug", detail=""))) == 1


def test_too_many_in_a_row_only_count_in_a_row() -> None:
    grave, dead = undertaker(2), Dead(reason="bug", detail="")
    for _ in range(3):
        grave.bury(RECORD, dead)
        grave.alive()
    grave.bury(RECORD, dead)
    grave.bury(RECORD, dead)
    with pytest.raises(TooManyDead):
        grave.bury(RECORD, dead)


def test_health_says_what_holds() -> None:
    ready = {"assigned": True, "triton": False}
    health = Health(live=lambda: {"loop": True}, ready=lambda: ready)
    try:
        base = f"http://127.0.0.1:{health.port}"
        with urllib.request.urlopen(f"{base}/health/live") as answer:
            assert json.load(answer) == {"ok": True, "checks": {"loop": True}}
        with urllib.request.urlopen(f"{base}/metrics") as answer:
            assert b"verdictline_handled_total" in answer.read()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{base}/health/ready")
        with refused.value as answer:
            assert (answer.code, json.load(answer)) == (503, {"ok": False, "checks": ready})
        with pytest.raises(PortTaken, match=str(health.port)):
            Health(live=lambda: {}, ready=lambda: {}, port=health.port)
    finally:
        health.close()
