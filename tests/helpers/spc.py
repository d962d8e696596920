"""Subgroups for tests: verdicts as small as they can be, the pure machine over them, and the spc processor as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from schemas.codec import Reader
from schemas.common import Disposition, Message
from schemas.envelope import from_millis
from schemas.evidence import BaselineStampV1, InstanceV1
from schemas.ids import inspection_id
from schemas.spc import LimitsActV1, LimitsV1, PlanV1, SeriesV1, SignalV1, StageBreakV1, SubgroupV1
from schemas.topics import SPC, VERDICT
from schemas.verdict import UsedV1, VerdictV1, WhyV1
from streams.monitors.spc.course import Course, Output
from streams.monitors.spc.memory import Line, Memory, Turn
from streams.monitors.spc.part import part_of
from streams.monitors.spc.station import due_ms, judge, pass_time, register
from streams.wiring.adapters.kafka import read_all
from tests.helpers.judgement import model_ref

STATION, PRODUCT, EPOCH = "plant/line-1/cam-1", "disc", 1_767_600_000_000
T0_MS = 1_767_600_000_000  # 2026-01-05 08:00 UTC
LATENCY_MS = 300
SAYS = (StageBreakV1, SubgroupV1, LimitsV1, SignalV1)
M = TypeVar("M", bound=Message)
CHILD = """
import pathlib, sys, threading, time
from streams.settings import Settings
from streams.wiring.processors import spc
settings = Settings()
engine = spc.build(settings, settings.slot, session_timeout_s=6)
def tell():
    while not engine.ready():
        time.sleep(0.05)
    pathlib.Path(sys.argv[1]).touch()
threading.Thread(target=tell, daemon=True).start()
engine.run()
"""


def digest_of(letter: str) -> str:
    return letter * 64


def verdict(
    n: int, disposition: Disposition = "pass", label: str | None = None, *, at_ms: int | None = None, **changes: Any
) -> VerdictV1:
    """at_ms: of the shutter; a part a second without."""
    station = changes.get("station", STATION)
    shutter = from_millis(T0_MS + 1000 * n if at_ms is None else at_ms)
    values: dict[str, Any] = {
        "inspection": str(inspection_id(station, changes.pop("epoch", EPOCH), n)),
        "revision": 1,
        "station": station,
        "product": PRODUCT,
        "purpose": "production",
        "disposition": disposition,
        "label": label,
        "reasons": (WhyV1(code="accepted"),),
        "decided_by": "policy",
        "policy": digest_of("1"),
        "model_set": digest_of("2"),
        "acquisition": digest_of("3"),
        "calibration": {"v1": digest_of("4")},
        "baselines": {"v1": BaselineStampV1(stream=digest_of("5"), baseline=digest_of("6"), state="active")},
        "captured_at": shutter,
        "announced_at": shutter,
        "decided_at": shutter,
    }
    return VerdictV1(**(values | changes))


def reviewed(first: VerdictV1, disposition: Disposition, label: str | None = None, revision: int = 2) -> VerdictV1:
    """The next word on the same part, by a person."""
    return first.model_copy(
        update={
            "revision": revision,
            "disposition": disposition,
            "label": label,
            "supersedes": first.disposition,
            "supersedes_label": first.label,
            "decided_by": "person",
        }
    )


def segmented(*lengths_mm: float, label: str = "scratch") -> tuple[UsedV1, ...]:
    box = {"x0": 0, "y0": 0, "x1": 2, "y1": 2}
    instances = tuple(
        InstanceV1.model_validate(
            {"label": label, "area_px": 1, "length_px": 1, "width_px": 1, "length_mm": one, "area_mm2": one, "box": box}
        )
        for one in lengths_mm
    )
    return (UsedV1(stage="segmentation", view="v1", offset=0, model=model_ref("segmentation"), instances=instances),)


def plan(*characteristics: Mapping[str, Any], station: str = STATION, series: str = "main", **rule: Any) -> PlanV1:
    """One series; the nonconforming share on a p' chart of five trial subgroups without characteristics."""
    charts = characteristics or ({"name": "nonconforming", "of": "nonconforming", "chart": "laney_p", "trial_n": 5},)
    one = SeriesV1.model_validate({"series": series, "rule": {"grace_s": 1, **rule}, "characteristics": charts})
    return PlanV1(station=station, product=PRODUCT, series=(one,), who="ada", why="test", at=from_millis(T0_MS))


def act(what: str, *subgroups: str, station: str = STATION, **changes: Any) -> LimitsActV1:
    values = {"station": station, "product": PRODUCT, "series": "main", "characteristic": "nonconforming", "act": what}
    more = {"subgroups": subgroups, "who": "ada", "why": "broken fixture", "at": from_millis(T0_MS)}
    return LimitsActV1.model_validate({**values, **more, **changes})


@dataclass
class Shelf:
    lines: dict[str, Line] = field(default_factory=dict)
    courses: dict[str, Course] = field(default_factory=dict)

    def line(self, product: str) -> Line | None:
        return self.lines.get(product)

    def course(self, key: str) -> Course | None:
        return self.courses.get(key)


@dataclass
class Machine:
    """The pure rules, fed in order; offsets count up by themselves."""

    station: str = STATION
    memory: Memory = field(default_factory=lambda: Memory(station=STATION))
    shelf: Shelf = field(default_factory=Shelf)
    said: list[Output] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    offset: int = -1
    told: int = -1

    def judge(self, *verdicts: VerdictV1, at_ms: int | None = None, offset: int | None = None) -> Machine:
        """at_ms: append time; a little after the shutter without."""
        for one in verdicts:
            self.offset += 1
            assert one.captured_at is not None
            came_ms = round(one.captured_at.timestamp() * 1000) + LATENCY_MS if at_ms is None else at_ms
            part, stage = part_of(one, max(came_ms, self.memory.clock_ms))
            self._take(*judge(self.memory, self.shelf, part, stage, self.offset if offset is None else offset))
        return self

    def tell(self, message: PlanV1 | LimitsActV1, at_ms: int | None = None) -> Machine:
        self.told += 1
        when = self.memory.clock_ms if at_ms is None else at_ms
        self._take(*register(self.memory, self.shelf, message, self.told, when))
        return self

    def wait(self, until_ms: int) -> Machine:
        self._take(*pass_time(self.memory, self.shelf, until_ms))
        return self

    def finish(self) -> Machine:
        """Until nothing is due any more."""
        while (due := due_ms(self.memory, self.shelf)) is not None:
            self.wait(due)
        return self

    def _take(self, memory: Memory, turn: Turn | None) -> None:
        self.memory = memory
        if turn is not None:
            self.shelf.lines.update(turn.lines)
            self.shelf.courses.update(turn.courses)
            self.said += turn.said
            self.lost += turn.lost

    def of(self, kind: type[M]) -> list[M]:
        return [one.message for one in self.said if isinstance(one.message, kind)]

    @property
    def subgroups(self) -> list[SubgroupV1]:
        """Each in its last revision, in the order of their first."""
        return list({one.subgroup_id: one for one in self.of(SubgroupV1)}.values())


def values(said: Iterable[Output]) -> dict[str, bytes]:
    """By id; a repeated id must have the same content."""
    found: dict[str, bytes] = {}
    for one in said:
        assert found.setdefault(one.id, one.message.json_bytes()) == one.message.json_bytes(), one.id
    return found


@contextmanager
def spc(bootstrap: str, log: Path, *, slot: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """Killed at the end, where it still runs. `<log>.ready` is there once it owns its partitions and their states."""
    environment = {**os.environ, "VERDICTLINE_KAFKA": bootstrap, "VERDICTLINE_SLOT": str(slot)}
    with log.open("ab") as out:
        ready_file(log).unlink(missing_ok=True)
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(ready_file(log))], env=environment, stdout=out, stderr=out)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def ready_file(log: Path) -> Path:
    return log.with_suffix(".ready")


def said_of(client: Mapping[str, Any], site: str) -> dict[str, bytes]:
    """What spc wrote about the site, by event id; a repeated id must have the same content."""
    reader, found = Reader(*SAYS), dict[str, bytes]()
    for record in read_all(client, [SPC]):
        if (record.key or b"").startswith(f"{site}/".encode()) and reader.wants(record):
            name = record.header("ce_id") or ""
            assert found.setdefault(name, record.value or b"") == record.value, name
    return found


def expected(client: Mapping[str, Any], site: str, until_ms: int) -> dict[str, bytes]:
    """The pure rules over the log, each station in one go, with all acts known before; then time up to `until_ms`."""
    machines: dict[bytes, Machine] = {}
    acts = Reader(PlanV1, LimitsActV1)
    for record in read_all(client, [SPC]):
        if (record.key or b"").startswith(f"{site}/".encode()) and (read := acts.read(record)) is not None:
            machine = machines.setdefault(record.key or b"", _machine(record.key))
            assert isinstance(read[1], PlanV1 | LimitsActV1)
            machine._take(*register(machine.memory, machine.shelf, read[1], record.offset, record.timestamp_ms))
    for record in sorted(read_all(client, [VERDICT]), key=lambda one: (one.partition, one.offset)):
        if (record.key or b"").startswith(f"{site}/".encode()):
            machine = machines.setdefault(record.key or b"", _machine(record.key))
            part, stage = part_of(VerdictV1.read(record.value or b""), record.timestamp_ms)
            machine._take(*judge(machine.memory, machine.shelf, part, stage, record.offset))
    for machine in machines.values():
        machine.wait(until_ms)
    return values(one for machine in machines.values() for one in machine.said)


def _machine(key: bytes | None) -> Machine:
    station = (key or b"").decode()
    return Machine(station=station, memory=Memory(station=station))
