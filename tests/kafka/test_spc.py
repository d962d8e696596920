"""The spc processor under kill -9 and rebalance 1 -> 2 -> 1 while verdicts come: it says what the pure rules make of the log."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import ConsumerGroupState, Producer
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from schemas.codec import record_of
from schemas.envelope import Record
from schemas.spc import LimitsV1, SignalV1, StageBreakV1, SubgroupV1
from schemas.topics import ACT, DEAD_LETTER, SPC, VERDICT
from streams.__main__ import application
from streams.judgement.verdicts import verdict_record
from streams.monitors.spc.arl import arl1
from streams.monitors.spc.attributes import AttributeLimits
from streams.wiring.adapters.kafka import Writer, ends, read_all
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.processors.spc_log import LogTime
from tests.helpers.servers import SharedKafka
from tests.helpers.spc import T0_MS, act, digest_of, expected, plan, ready_file, reviewed, said_of, spc, verdict
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.faults]
STATIONS, PARTS, RATE = 4, 1500, 600
MARGIN_MS = 9_000


def story(site: str) -> list[Record]:
    """Stations whose parts get worse at different times, with new models on the way; out of order, with copies and reviews."""
    chance = np.random.default_rng(5)
    placed = []
    for station in range(STATIONS):
        change = PARTS * (station + 1) // (STATIONS + 1)
        for n in range(PARTS):
            bad = chance.random() < (0.05 if n < change else 0.3)
            models = digest_of("2" if n < PARTS // 2 else "7")
            where = {"station": f"{site}/line/cam-{station}", "model_set": models, "lot": f"L-{n // 400}"}
            purpose = "challenge" if n % 97 == 96 else "production"
            one = verdict(
                n, "scrap" if bad else "pass", "crack" if bad else None, at_ms=T0_MS + 100 * n, purpose=purpose, **where
            )
            placed.append((n + chance.uniform(0, 10) * (n > 0), one))
            if n % 83 == 5:
                placed.append((n + chance.uniform(10, 200), one))
            if bad and n % 7 == 0:
                placed.append((n + chance.uniform(20, 300), reviewed(one, "pass")))
    return [verdict_record(one) for _, one in sorted(placed, key=lambda one: one[0])]


def members(client: dict[str, Any]) -> int:
    """How many processes share the work; 0 while they are still agreeing."""
    admin = AdminClient(client)  # it must live as long as its answer is awaited
    found = admin.describe_consumer_groups(["spc"])["spc"].result(10)
    return len(found.members) if found.state == ConsumerGroupState.STABLE else 0


def write(client: dict[str, Any], records: list[Record], rate: float = 1e9) -> None:
    """Acknowledged when it returns."""
    writer, begin = Writer(client), time.monotonic()
    for index, record in enumerate(records):
        if (wait_s := begin + index / rate - time.monotonic()) > 0.005:
            time.sleep(wait_s)
        writer.send(record)
    writer.flush()


def told(message: Any) -> Record:
    return record_of(message, id=f"{message.station}/{type(message).__name__}", station=message.station, subject="-")


def test_it_says_what_the_log_says_over_kills_and_rebalances(kafka: SharedKafka, tmp_path: Path) -> None:
    client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    site, log = kafka.fresh("site"), tmp_path / "spc.log"
    write(client, [told(plan(station=f"{site}/line/cam-{i}", n=50, lot=True, every_s=60)) for i in range(STATIONS)])
    parts = story(site)
    quarter = len(parts) // 4 + 1

    @contextmanager
    def feeding(number: int) -> Iterator[None]:
        """A quarter of the verdicts comes; inside, spc has begun to speak of it."""
        before = len(said_of(client, site))
        feeder = threading.Thread(target=write, args=(client, parts[number * quarter :][:quarter], RATE))
        feeder.start()
        try:
            wait_until(lambda: len(said_of(client, site)) > before, 60, "spc says more")
            yield
        finally:
            feeder.join(60)

    with spc(kafka.bootstrap, log) as first:
        wait_until(ready_file(log).exists, 60, "ready")
        with feeding(0):
            first.kill()
    with spc(kafka.bootstrap, log) as killed, feeding(1):
        killed.kill()
    with spc(kafka.bootstrap, log):
        with spc(kafka.bootstrap, log, slot=1) as second:
            wait_until(lambda: members(client) == 2, 60, "both work")
            with feeding(2):
                second.kill()
                second.wait()
        with feeding(3):
            wait_until(lambda: members(client) == 1, 60, "one works")

        def same() -> bool:
            return said_of(client, site) == expected(client, site, round(time.time() * 1000) - MARGIN_MS)

        wait_until(same, 90, "it says what the log says")
        wanted = said_of(client, site)
    kinds = [
        next(kind for kind in (StageBreakV1, SubgroupV1, LimitsV1, SignalV1) if _is(kind, value)) for value in wanted.values()
    ]
    assert kinds.count(StageBreakV1) == 2 * STATIONS
    assert kinds.count(LimitsV1) == 3 * STATIONS  # trial, carried, and trial of the new models
    assert kinds.count(SignalV1) > STATIONS


YAML = """
series:
- series: main
  rule: {n: 20, grace_s: 1}
  characteristics:
  - {name: nonconforming, of: nonconforming, chart: laney_p, trial_n: 5}
"""


def test_commands_plan_freeze_and_show(kafka: SharedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    monkeypatch.setenv("VERDICTLINE_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("COLUMNS", "200")
    station = f"{kafka.fresh('site')}/line/cam"
    where, who = ["--station", station, "--product", "disc"], ["--who", "ada", "--why", "agreed"]
    good, bad = tmp_path / "plan.yaml", tmp_path / "bad.yaml"
    good.write_text(YAML)
    bad.write_text(YAML.replace("laney_p", "laney_u"))

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(application(["spc"]), ["spc", *words])
        assert done.exit_code == code, done.output
        return done.output

    assert "n: 500" in run("plan", "--show", *where)
    assert "chart 'laney_u' does not show nonconforming" in run("plan", str(bad), *where, *who, code=2)
    run("plan", str(good), *where, *who)
    shown = run("plan", "--show", *where)
    (tmp_path / "again.yaml").write_text(shown)
    assert "ada" in shown
    run("plan", str(tmp_path / "again.yaml"), *where, *who)
    assert "has series none yet" in run("freeze", *where, "--characteristic", "nonconforming", *who, code=1)
    with spc(kafka.bootstrap, tmp_path / "spc.log"):
        write(client, [verdict_record(verdict(n, "scrap" if n % 9 == 0 else "pass", station=station)) for n in range(140)])
        wait_until(lambda: limits(client, station), 60, "trial limits")
        run("freeze", *where, "--characteristic", "nonconforming", *who)
        wait_until(lambda: limits(client, station) == ["trial", "frozen"], 60, "frozen limits")
        run("recompute", *where, "--characteristic", "nonconforming", *who)
        wait_until(lambda: limits(client, station) == ["trial", "frozen", "trial"], 60, "trial limits again")
        run("remove", *where, "--characteristic", "nonconforming", "--subgroup", "2", *who)
        wait_until(lambda: len(limits(client, station)) == 4, 60, "limits without it")
    assert "nonconforming" in run("list", "--station", station)
    (found,) = json.loads(run("show", "--station", station, "--json"))
    assert found["limits"][-1]["provenance"]["removed"][0]["subgroup_id"].endswith("|000002")
    assert "1 removed" in run("show", "--station", station)
    page = tmp_path / "page.html"
    run("plot", *where, "--out", str(page))
    assert page.read_text().count("<svg") == 1
    acts = [r for r in read_all(client, [ACT]) if r.key == f"current/disc/{station}".encode()]
    assert [json.loads(r.value or b"")["act"] for r in acts] == [
        "spc_plan",
        "spc_plan",
        "spc_freeze",
        "spc_recompute",
        "spc_remove",
    ]


def limits(client: dict[str, Any], station: str) -> list[str]:
    return [one.status for one in all_limits(client, station)]


def all_limits(client: dict[str, Any], station: str) -> list[LimitsV1]:
    found = said_of(client, station.split("/")[0]).values()
    return [LimitsV1.model_validate_json(value) for value in found if _is(LimitsV1, value)]


def test_a_rise_from_1_to_3_percent_through_kafka_and_the_processor(kafka: SharedKafka, tmp_path: Path) -> None:
    """One plant: frozen limits of 25 subgroups of 200 parts, then 3 %. Rule and run length are those that were computed."""
    client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    station = f"{kafka.fresh('site')}/line/cam"
    chart = {"name": "nonconforming", "of": "nonconforming", "chart": "laney_p", "trial_n": 25}
    write(client, [told(plan(chart, station=station, n=200, grace_s=0))])
    chance = np.random.default_rng(4)
    rates = [0.01] * 25 * 200 + [0.03] * 8 * 200
    parts = [
        verdict_record(verdict(n, "scrap" if chance.random() < rate else "pass", station=station)) for n, rate in enumerate(rates)
    ]
    with spc(kafka.bootstrap, tmp_path / "spc.log"):
        write(client, parts[: 25 * 200 + 1])
        wait_until(lambda: limits(client, station), 120, "trial limits")
        write(client, [told(act("freeze", station=station, at=datetime.now(UTC)))])
        wait_until(lambda: limits(client, station) == ["trial", "frozen"], 60, "frozen limits")
        write(client, parts[25 * 200 + 1 :])
        found = wait_until(lambda: signals(client, station), 120, "a signal")
    first = found[0]
    (frozen,) = [one for one in all_limits(client, station) if one.status == "frozen"]
    made = AttributeLimits(
        chart="laney_p", center=frozen.center, sigma_z=frozen.sigma_z, d2=1.128, subgroups=("",) * frozen.provenance.n
    )
    assert (first.rule, first.direction, first.phase) == ("nelson_1", "high", "II")
    waited = int(first.subgroup_id.rpartition("|")[2]) - 24
    assert waited <= 3 * arl1(made, 200, "nelson_1_2", 0.03)  # a geometric wait is longer than that once in twenty


def signals(client: dict[str, Any], station: str) -> list[SignalV1]:
    found = [SignalV1.model_validate_json(v) for v in said_of(client, station.split("/")[0]).values() if _is(SignalV1, v)]
    return [one for one in found if one.phase == "II"]


def _is(kind: Any, value: bytes) -> bool:
    try:
        kind.model_validate_json(value)
    except ValueError:
        return False
    return True


def test_a_silent_station_is_published_and_bad_words_are_buried(kafka: SharedKafka, tmp_path: Path) -> None:
    client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    station = f"{kafka.fresh('site')}/line/cam"
    torn = told(plan(station=station, n=10))
    bad = [
        told(plan(station=station, zone="Mars/Olympus", every_s=60)),
        Record(topic=SPC, key=torn.key, value=b"{", headers=torn.headers),
        told(act("freeze", station=station, series="other")),
    ]
    write(client, [told(plan(station=station, n=10)), *bad])
    with spc(kafka.bootstrap, tmp_path / "spc.log"):
        write(client, [verdict_record(verdict(n, "scrap", station=station)) for n in range(12)])
        (found,) = wait_until(
            lambda: [v for v in said_of(client, station.split("/")[0]).values() if _is(SubgroupV1, v)], 60, "it"
        )
        write(client, [told(act("freeze", station=station, characteristic="other"))])
        wait_until(lambda: len(reasons(client, station)) == 4, 60, "the last one")
    one = SubgroupV1.model_validate_json(found)
    assert (one.n, one.nonconforming, one.defects, one.closed_by) == (10, 10, {"unknown": 10, "unreviewed": 0}, "count")
    assert reasons(client, station) == {"unknown_zone", "not_json", "unknown_series", "unknown_characteristic"}


def reasons(client: dict[str, Any], station: str) -> set[str | None]:
    """Of dead letters."""
    return {r.header("dl_reason") for r in read_all(client, [DEAD_LETTER]) if r.key == station.encode()}


def test_an_open_transaction_at_the_end_of_the_log_is_no_silence(kafka: SharedKafka) -> None:
    """What it holds was appended before the ticks that ask, and may be read after them."""
    client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    read = ends(client, [VERDICT])[VERDICT, 0] - 1
    log, due_ms, ticks = LogTime(client, 0, lambda: read), 1_000, count(10_000, 2_000)
    producer = Producer({**client, "transactional.id": kafka.fresh("triage")})
    producer.init_transactions(30)
    producer.begin_transaction()
    one = verdict_record(verdict(0, station=f"{kafka.fresh('site')}/line/cam"))
    producer.produce(VERDICT, one.value, one.key, partition=0, headers=list(one.headers))
    producer.flush(30)
    asked = time.monotonic() + 5
    wait_until(lambda: log.until(due_ms, next(ticks)) >= due_ms or time.monotonic() > asked, 10, "asked more than once")
    assert log.until(due_ms, next(ticks)) == 0
    producer.abort_transaction(30)
    wait_until(lambda: log.until(due_ms, next(ticks)) >= due_ms, 20, "nothing came of it")
