"""The consumer kit's gate program: real Kafka, real MQTT broker, a gate that listens. Skipped where there is no mosquitto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.evidence import ChallengeStampV1
from schemas.verdict import VerdictV1
from tests.helpers.consumers import Bus, Program, running, verdict, verdict_record, with_header
from tests.helpers.mosquitto import Listener, Mosquitto
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
GATE = "lyon/line-2/press-out"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto")).start()
    yield broker
    broker.stop()


@pytest.fixture
def bus(kafka: SharedKafka) -> Bus:
    return Bus(bootstrap=kafka.bootstrap, verdicts=kafka.fresh("verdict"), spc=kafka.fresh("spc")).make()


@pytest.fixture
def gate(broker: Mosquitto, bus: Bus) -> Iterator[Listener]:
    """Named after the test's topic, which is the first level of its MQTT topics."""
    listener = Listener(broker, f"{bus.verdicts}/#", bus.verdicts).connect()
    yield listener
    listener.disconnect()


def options(bus: Bus, broker: Mosquitto, *more: str) -> list[str]:
    return [
        *("--kafka", bus.bootstrap, "--group", "g-" + bus.verdicts, "--topic", bus.verdicts),
        *("--broker", broker.address, "--prefix", bus.verdicts, "--backoff-s", "1", "--timeout-s", "2", *more),
    ]


def soon(n: int, disposition: str, *, gate_s: float = 60, **changes: Any) -> VerdictV1:
    """A verdict of a moment ago, whose gate is `gate_s` away."""
    now = datetime.now(UTC)
    times = {"captured_at": now - timedelta(seconds=1), "announced_at": now, "decided_at": now}
    return verdict(GATE, n, disposition, **({**times, "gate_time": now + timedelta(seconds=gate_s)} | changes))


def test_each_verdict_becomes_an_action_and_only_a_pass_in_time_a_release(
    bus: Bus, broker: Mosquitto, gate: Listener, tmp_path: Path
) -> None:
    digital = ChallengeStampV1(set="s1", part="m1", proof="digital", kind="defect")
    physical = ChallengeStampV1(set="s1", part="m1", proof="physical", kind="golden")
    bus.judge(
        soon(0, "pass", lot="L-1"),
        soon(1, "rework", label="scratch"),
        soon(2, "scrap"),
        soon(3, "review"),
        soon(4, "no_verdict"),
        soon(5, "pass", gate_s=-1),
        soon(6, "pass", gate_time=None),
        soon(7, "pass", purpose="challenge", challenge=digital),
        soon(8, "pass", purpose="challenge", challenge=physical),
        soon(9, "pass", purpose="setup"),
        soon(10, "pass", purpose="reinspection"),
    )
    with running("mqtt", tmp_path / "log", *options(bus, broker)):
        wait_until(lambda: len(gate.heard) == 10, 20, "ten messages")
    assert sorted(gate.actions("serial", "action", "why")) == [
        ("S-00000", "release", "pass"),
        ("S-00001", "reject", "rework"),
        ("S-00002", "reject", "scrap"),
        ("S-00003", "hold", "review"),
        ("S-00004", "hold", "no_verdict"),
        ("S-00005", "hold", "too late to release"),
        ("S-00006", "hold", "no gate_time and no --valid-s"),
        ("S-00008", "hold", "purpose challenge"),
        ("S-00009", "hold", "purpose setup"),
        ("S-00010", "release", "pass"),
    ]
    first = next(one for one in gate.heard if one["serial"] == "S-00000")
    assert first["id"] == f"{first['inspection']}/1"
    assert first["lot"] == "L-1"
    assert first["expires_at"] == first["gate_time"]
    assert gate.retained == 0


def test_nothing_is_retained_and_a_release_dies_with_its_gate_while_a_reject_waits_for_a_gate_that_was_off(
    bus: Bus, broker: Mosquitto, gate: Listener, tmp_path: Path
) -> None:
    gate.disconnect()
    watching = Listener(broker, f"{bus.verdicts}/#", f"{bus.verdicts}-b").connect()
    with running("mqtt", tmp_path / "log", *options(bus, broker)) as program:
        wait_until(lambda: "connected" in program.said(), 20)
        bus.judge(soon(0, "pass", gate_s=2), soon(1, "scrap"))
        wait_until(lambda: len(watching.heard) == 2, 20)
    stranger = Listener(broker, f"{bus.verdicts}/#", f"{bus.verdicts}-late").connect()
    expires = datetime.fromisoformat(watching.heard[0]["expires_at"])
    wait_until(lambda: datetime.now(UTC) > expires + timedelta(seconds=2), 10)  # brokers count whole seconds
    gate.connect()
    wait_until(lambda: gate.heard, 10, "what waited")
    assert watching.actions("serial", "action") == [("S-00000", "release"), ("S-00001", "reject")]
    assert gate.actions("serial", "action") == [("S-00001", "reject")]
    assert stranger.heard == []
    for one in (watching, stranger):
        one.disconnect()


def test_copies_are_told_once_and_a_second_revision_is_told(bus: Bus, broker: Mosquitto, gate: Listener, tmp_path: Path) -> None:
    one = soon(0, "pass")
    person = {"revision": 2, "supersedes": "pass", "captured_at": one.captured_at, "announced_at": one.announced_at}
    bus.judge(one, one)
    foreign = with_header(verdict_record(one), "ce_type", "verdictline.verdict.remark.v1")
    with running("mqtt", tmp_path / "log", *options(bus, broker)) as program:
        wait_until(lambda: gate.heard, 20)
        bus.send(bus.verdicts, [foreign])
        bus.judge(one, soon(0, "scrap", gate_s=-1, **person))
        wait_until(lambda: len(gate.heard) == 2, 20)
    assert gate.actions("revision", "action") == [(1, "release"), (2, "reject")]
    assert "copies 2, events 2, ignored 1" in program.said()


def test_killed_at_any_moment_and_with_the_broker_away_nothing_is_lost_and_no_release_comes_late(
    bus: Bus, broker: Mosquitto, gate: Listener, tmp_path: Path
) -> None:
    parts = 300
    bus.judge(*(soon(n, "pass" if n % 3 else "scrap", gate_s=600) for n in range(parts)))
    program = Program("mqtt", tmp_path / "log", *options(bus, broker))
    wait_until(lambda: gate.heard, 20)
    program.kill()
    told = len(gate.heard)
    broker.stop()
    program = Program("mqtt", tmp_path / "log", *options(bus, broker))
    bus.judge(soon(parts, "pass", gate_s=0.5))
    wait_until(lambda: "not done" in program.said(), 20, "a failed try")
    broker.start()
    wait_until(lambda: {one["serial"] for one in gate.heard} >= {f"S-{n:05d}" for n in range(parts + 1)}, 30, "all parts")
    assert program.stop() == 0
    assert told > 0
    last = [one for one in gate.heard if one["serial"] == f"S-{parts:05d}"]
    assert {(one["action"], one["why"]) for one in last} == {("hold", "too late to release")}
    by_id = {one["id"]: one["action"] for one in gate.heard}
    assert [by_id[f"{GATE}:1795471200123-{n:012d}/1"] for n in range(4)] == ["reject", "release", "release", "reject"]
    again = Program("mqtt", tmp_path / "log", *options(bus, broker))
    heard = len(gate.heard)
    bus.judge(soon(parts + 1, "scrap"))
    wait_until(lambda: len(gate.heard) > heard, 20)
    assert again.stop() == 0
    assert len(gate.heard) == heard + 1, "offsets were not committed"


def test_what_cannot_be_read_ends_it_and_is_put_aside_where_a_folder_is_named(
    bus: Bus, broker: Mosquitto, gate: Listener, tmp_path: Path
) -> None:
    good = verdict_record(soon(0, "pass"))
    bad = [
        with_header(good, "ce_type", "verdictline.verdict.verdict.v2"),
        with_header(good, "ce_type", None),
        replace(good, value=b"{}"),
        replace(good, value=b"no json"),
        replace(good, value=None),
    ]
    bus.send(bus.verdicts, bad)
    bus.judge(soon(1, "scrap"))
    stopped = Program("mqtt", tmp_path / "log", *options(bus, broker))
    assert stopped.ended() == 65
    assert f"{bus.verdicts}-" in stopped.said(), "the place"
    assert "this program knows verdictline.verdict.verdict.v1" in stopped.said()
    with running("mqtt", tmp_path / "log", *options(bus, broker, "--park", str(tmp_path / "parked"))):
        wait_until(lambda: gate.heard, 20)
    assert gate.actions("serial") == [("S-00001",)]
    whys = [json.loads(file.read_text())["why"] for file in sorted((tmp_path / "parked").iterdir())]
    for why, told in zip(whys, ("v2: this program knows", "ce_type", "disposition", "JSONDecodeError", "TypeError"), strict=True):
        assert told in why
