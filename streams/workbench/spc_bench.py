"""What control charts cost: CPU of a verdict in the pure rules and through the processor; memory and recovery of many stations.

The processor is a process of its own on an embedded Kafka; it is fed as fast as it reads. CPU is its own, ticks and Kafka client
included.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from zlib import crc32

import psutil
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from schemas.codec import record_of
from schemas.envelope import Received, Record, from_millis
from schemas.ids import inspection_id
from schemas.spc import CharacteristicV1, PlanV1, SeriesV1, SubgroupRuleV1
from schemas.topics import VERDICT
from schemas.verdict import UsedV1, VerdictV1, WhyV1
from streams.effects import Pack
from streams.monitors.spc.shard import Stations
from streams.wiring.adapters.kafka import Writer
from streams.wiring.adapters.spc import publish
from streams.wiring.adapters.topics import apply_topics
from streams.workbench.bench.readiness import wait_all_ready
from streams.workbench.kafka import EmbeddedKafka
from streams.workbench.processes import free_ports

EPOCH, T0_MS, PRODUCT = 1_767_600_000_000, 1_767_600_000_000, "disc"
CLASSES = tuple(f"kind-{letter}" for letter in "abcdefghijklmn")
_TIMES, _BAD_EVERY, _READY_S = 5, 50, 120.0
_PACKED_EVERY = 10  # a station with ten parts a second, states written once a second
_DIGEST = "ab" * 32
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """us: CPU of a verdict, microseconds. bytes: what its state writes to the changelog, in the mean."""

    what: str
    us: float
    us_median: float
    bytes: float


@dataclass(frozen=True, kw_only=True)
class Many:
    """Of one process. us: CPU of a verdict; fresh, after: memory in MB before the kill and after the recovery."""

    stations: int
    characteristics: int
    verdicts: int
    subgroup: int
    us: float
    fresh_mb: float
    recovery_s: float
    after_mb: float


def twenty(station: str, n: int) -> PlanV1:
    """A plan with 20 charts: shares, defects, fourteen classes, four measurements. Limits after 25 subgroups of n parts."""
    charts = [
        CharacteristicV1(name="nonconforming", of="nonconforming", chart="laney_p"),
        CharacteristicV1(name="defects", of="defects", chart="laney_u"),
        *(CharacteristicV1(name=f"class-{label}", of="class", label=label, chart="laney_p") for label in CLASSES),
        CharacteristicV1(name="length", of="measurement", quantity="length", chart="i_mr"),
        CharacteristicV1(name="width", of="measurement", quantity="width", chart="i_mr"),
        CharacteristicV1(name="area", of="measurement", quantity="area", chart="i_mr"),
        CharacteristicV1(name="count", of="measurement", quantity="count", chart="xbar_s"),
    ]
    series = SeriesV1(series="main", rule=SubgroupRuleV1(n=n, grace_s=1), characteristics=tuple(charts))
    return PlanV1(station=station, product=PRODUCT, series=(series,), who="bench", why="bench", at=datetime.now(UTC))


def pure(tell: Tell) -> list[Cost]:
    """The processor's own work without Kafka: bytes in, records out, states packed once for a number of verdicts."""
    rows = []
    for what, plan in (("default plan, subgroups of 500", None), ("20 charts, subgroups of 500", 500), ("20 charts, of 50", 50)):
        tell(f"pure rules: {what}")
        runs = [_timed(plan, list(_records("plant/line-1/cam-1", range(10_000)))) for _ in range(_TIMES)]
        rows.append(Cost(what=what, us=min(r[0] for r in runs), us_median=median(r[0] for r in runs), bytes=runs[0][1]))
    return rows


def _timed(n: int | None, records: list[Received]) -> tuple[float, float]:
    """(CPU us, bytes of state written) a verdict."""
    stations, written, changed = Stations(), 0, dict[str, Pack]()
    if n is not None:
        stations.take(_told(record_of(twenty("plant/line-1/cam-1", n), id="-", station="plant/line-1/cam-1", subject="-")))
    began = time.process_time()
    for number, record in enumerate(records, 1):
        done = stations.take(record)
        assert done is not None
        changed |= done.changed
        sum(len(output.headers) for output in done.outputs)
        if number % _PACKED_EVERY == 0:
            written += sum(len(pack()) for pack in changed.values())
            changed = {}
    return 1e6 * (time.process_time() - began) / len(records), written / len(records)


def many(stations: int, subgroups: int, subgroup: int, tell: Tell) -> Many:
    """Stations with 20 charts each and so many subgroups, in one process; then kill -9 and a subgroup more."""
    names = [f"plant/line-{i // 10}/cam-{i % 10}" for i in range(stations)]
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka() as kafka:
        client: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
        apply_topics(client)
        publish(client, *(twenty(name, subgroup) for name in names))
        with _process(kafka.bootstrap, Path(folder) / "spc.log") as process:
            tell(f"{stations} stations: {subgroups} subgroups of {subgroup} parts each")
            warm = 2 * subgroup
            _feed(client, names, range(warm))
            _judged(client, stations * warm)
            before = _cpu(process)
            count = subgroups * subgroup
            _feed(client, names, range(warm, warm + count))
            _judged(client, stations * (warm + count))
            spent, fresh = _cpu(process) - before, process.memory_info().rss
            process.send_signal(signal.SIGKILL)
            process.wait()
        tell("kill -9, and again")
        began = time.monotonic()
        with _process(kafka.bootstrap, Path(folder) / "spc.log") as process:
            recovery = time.monotonic() - began
            _feed(client, names, range(warm + count, warm + count + subgroup))
            _judged(client, stations * (warm + count + subgroup))
            after = process.memory_info().rss
    return Many(
        stations=stations,
        characteristics=20,
        verdicts=stations * count,
        subgroup=subgroup,
        us=1e6 * spent / (stations * count),
        fresh_mb=fresh / 1e6,
        recovery_s=recovery,
        after_mb=after / 1e6,
    )


def bench_spc(quick: bool, tell: Tell) -> dict[str, Any]:
    """Rows as plain data."""
    sizes = [(20, 8, 500), (50, 60, 10)] if quick else [(20, 30, 500), (500, 60, 10)]
    return {"pure": [asdict(row) for row in pure(tell)], "processor": [asdict(many(*size, tell)) for size in sizes]}


@contextmanager
def _process(bootstrap: str, log: Path) -> Iterator[psutil.Process]:
    """The processor, ready."""
    (port,) = free_ports(1)
    environment = {**os.environ, "VERDICTLINE_KAFKA": bootstrap, "VERDICTLINE_HEALTH_PORT": str(port)}
    command = [sys.executable, "-m", "streams", "run", "spc"]
    with log.open("ab") as out:
        child = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        wait_all_ready({"spc": port}, _READY_S, lambda: None)
        yield psutil.Process(child.pid)
    finally:
        child.kill()
        child.wait()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _judged(client: dict[str, Any], wanted: int) -> None:
    """Return when so many verdicts are committed by the group. Raises TimeoutError where nothing comes for a minute."""
    admin, last, seen = AdminClient(client), time.monotonic(), -1
    while (now := _committed(admin)) < wanted:
        if now > seen:
            last, seen = time.monotonic(), now
        if time.monotonic() - last > 60:
            raise TimeoutError(f"{now} of {wanted} verdicts committed, and no more")
        time.sleep(0.1)


def _committed(admin: AdminClient) -> int:
    (future,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("spc")]).values()
    return sum(max(0, place.offset) for place in future.result(30).topic_partitions if place.topic == VERDICT)


def _feed(client: dict[str, Any], stations: list[str], numbers: range) -> None:
    """Every station's part n, then n + 1."""
    writer, templates = Writer(client), [_Template(station) for station in stations]
    for n in numbers:
        for template in templates:
            writer.send(template.record(n))
    writer.flush()


class _Template:
    """Verdicts of a station, made by replacing the number in a text."""

    def __init__(self, station: str) -> None:
        self._texts = [record_of(one, id="-", station=station, subject=one.inspection) for one in _kinds(station)]

    def record(self, n: int) -> Record:
        chance = crc32(b"%d" % n)
        found = self._texts[1 + chance // _BAD_EVERY % len(CLASSES) if chance % _BAD_EVERY == 0 else 0]
        assert found.value is not None
        return Record(
            topic=found.topic,
            key=found.key,
            value=found.value.replace(b"-000000000000", f"-{n:012d}".encode()),
            headers=found.headers,
        )


def _kinds(station: str) -> Iterator[VerdictV1]:
    """A good part, and a bad one of every class with an instance in mm."""
    yield _verdict(station, None)
    for label in CLASSES:
        yield _verdict(station, label)


def _verdict(station: str, label: str | None) -> VerdictV1:
    model = {"name": "disc-anomaly", "version": 1, "digest": _DIGEST, "profile": "cpu-fp32"}
    size = len(label or "") + CLASSES.index(label) * 0.1 if label else 0.0
    box = {"x0": 0, "y0": 0, "x1": 9, "y1": 9}
    instance = {"label": label, "area_px": 9, "length_px": 9, "width_px": 3, "box": box}
    measured = {**instance, "area_mm2": size, "length_mm": size, "width_mm": size / 3}
    used = [UsedV1.model_validate({"stage": "anomaly", "view": "top", "offset": 1, "model": model, "score": 0.5, "p_value": 0.4})]
    if label is not None:
        used.append(
            UsedV1.model_validate({"stage": "segmentation", "view": "top", "offset": 2, "model": model, "instances": [measured]})
        )
    at = from_millis(T0_MS)
    return VerdictV1(
        inspection=str(inspection_id(station, EPOCH, 0)),
        revision=1,
        station=station,
        product=PRODUCT,
        lot="L-1",
        purpose="production",
        disposition="pass" if label is None else "scrap",
        label=label,
        reasons=(WhyV1(code="accepted"),),
        decided_by="policy",
        policy=_DIGEST,
        model_set=_DIGEST,
        acquisition=_DIGEST,
        calibration={"top": _DIGEST},
        evidence=tuple(used),
        captured_at=at,
        announced_at=at,
        decided_at=at,
    )


def _records(station: str, numbers: range) -> Iterator[Received]:
    template = _Template(station)
    for n in numbers:
        yield _told(template.record(n), offset=n, at_ms=T0_MS + 100 * n)


def _told(record: Record, offset: int = 0, at_ms: int = 0) -> Received:
    return Received(
        topic=record.topic,
        partition=0,
        offset=offset,
        timestamp_ms=at_ms,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )
