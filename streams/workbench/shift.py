"""Two simulated shifts as records of the topics: parts, verdicts, what people said, and what the spc rules say of it. Pure.

For measuring and testing what reads them: the database, the report. The verdicts are drawn, not judged; what spc.v1 says comes
from the processor's own rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from schemas.codec import record_of
from schemas.common import Disposition, Message, digest
from schemas.envelope import Received, Record, from_millis, to_millis
from schemas.evidence import AnnouncedV1, BaselineStampV1, ViewV1
from schemas.ids import inspection_id
from schemas.policy import PolicyV1
from schemas.spc import CharacteristicV1, PlanV1, SeriesV1, SubgroupRuleV1
from schemas.verdict import VerdictV1, WhyV1
from streams.monitors.spc.course import Course, Output
from streams.monitors.spc.memory import Line, Memory, Turn
from streams.monitors.spc.part import part_of
from streams.monitors.spc.station import judge, pass_time, register

PRODUCTS = ("board", "disc", "weave")  # one a line
_SHA = {name: digit * 64 for name, digit in (("models", "2"), ("camera", "3"), ("stream", "5"), ("baseline", "6"), ("view", "7"))}
_LATENCY = timedelta(milliseconds=300)
_CLASSES = ("scratch", "dent", "stain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """parts: of both shifts and all places together, one after the other at equal distances. rates: scratch, dent, stain; to
    come: their factors on the first place in the second shift. audit: share of the passes. looked: at, of what did not pass.
    """

    begin: datetime
    site: str = "plant-a"
    hours: float = 8.0
    parts: int = 3000
    rates: tuple[float, float, float] = (0.012, 0.008, 0.004)
    to_come: tuple[float, float, float] = (2.5, 1.0, 1.0)
    audit: float = 0.02
    looked: float = 0.85
    seed: int = 7

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Station and product."""
        return tuple((f"{self.site}/line-{number}/cam-1", product) for number, product in enumerate(PRODUCTS, 1))


def _class_chart(label: str) -> CharacteristicV1:
    return CharacteristicV1(name=f"class-{label}", of="class", label=label, chart="laney_p")


@dataclass
class _Spc:
    """A station's spc rules with their memory."""

    memory: Memory
    lines: dict[str, Line] = field(default_factory=dict)
    courses: dict[str, Course] = field(default_factory=dict)
    read: int = -1

    def line(self, product: str) -> Line | None:
        return self.lines.get(product)

    def course(self, key: str) -> Course | None:
        return self.courses.get(key)

    def plan(self, product: str) -> list[Output]:
        """Quarters of an hour: so that two shifts give limits and something to hold against them."""
        charts = (CharacteristicV1(name="nonconforming", of="nonconforming", chart="laney_p"), *map(_class_chart, _CLASSES))
        series = SeriesV1(series="quarters", rule=SubgroupRuleV1(every_s=900), characteristics=charts)
        act = PlanV1(
            station=self.memory.station, product=product, series=(series,), who="a.koch", why="first plan", at=from_millis(0)
        )
        self.memory, turn = register(self.memory, self, act, 0, 0)
        return [Output("plan", self.memory.station, act), *self._keep(turn)]

    def take(self, verdict: VerdictV1) -> list[Output]:
        self.read += 1
        part, stage = part_of(verdict, to_millis(verdict.decided_at))
        self.memory, turn = judge(self.memory, self, part, stage, self.read)
        return self._keep(turn)

    def finish(self) -> list[Output]:
        self.memory, turn = pass_time(self.memory, self, 1 << 52)
        return self._keep(turn)

    def _keep(self, turn: Turn | None) -> list[Output]:
        if turn is None:
            return []
        self.lines.update(turn.lines)
        self.courses.update(turn.courses)
        return turn.said


def policy(product: str, audit: float) -> PolicyV1:
    classes = {name: {"threshold": 0.8, "disposition": "rework" if name == "scratch" else "scrap"} for name in _CLASSES}
    return PolicyV1.model_validate(
        {
            "product": product,
            "title": f"{product}: normal",
            "audit_fraction": audit,
            "anomaly": {"alpha": 0.01},
            "classes": classes,
        }
    )


def records(plan: Plan) -> Iterator[Received]:
    """In the order of time; offsets count up by topic, all in one partition. A person looks at most reviews and rejects."""
    offsets: dict[str, int] = {}
    for at, record in _said(plan):
        offset = offsets[record.topic] = offsets.get(record.topic, -1) + 1
        yield Received(
            topic=record.topic,
            partition=0,
            offset=offset,
            timestamp_ms=to_millis(at),
            key=record.key,
            value=record.value,
            headers=record.headers,
        )


def _said(plan: Plan) -> Iterator[tuple[datetime, Record]]:
    rng = np.random.default_rng(plan.seed)
    spc = {station: _Spc(memory=Memory(station=station)) for station, _ in plan.places}
    policies = {product: digest(policy(product, plan.audit)) for product in PRODUCTS}
    step = timedelta(hours=2 * plan.hours) / plan.parts
    later: list[tuple[datetime, VerdictV1]] = []
    for station, product in plan.places:
        for said in spc[station].plan(product):
            yield plan.begin, _record(said.message, said.id, station, said.subject, None)
    for index in range(plan.parts):
        at = plan.begin + step * index
        station, product = plan.places[index % len(PRODUCTS)]
        hello = _announced(plan, station, product, index // len(PRODUCTS), at, policies[product])
        verdict = _verdict(plan, hello, rng, first_place=index % len(PRODUCTS) == 0, second_shift=index >= plan.parts // 2)
        yield at, _record(hello, f"{hello.inspection}/announced", station, hello.inspection, at)
        yield from _judged(spc[station], verdict)
        if (looked := _looked(plan, verdict, rng)) is not None:
            later.append((at + timedelta(minutes=20), looked))
        while later and later[0][0] <= at:
            yield from _judged(spc[later[0][1].station], later.pop(0)[1])
    end = plan.begin + timedelta(hours=2 * plan.hours)
    for station, machine in spc.items():
        yield from ((end, _record(said.message, said.id, station, said.subject, None)) for said in machine.finish())


def _judged(machine: _Spc, verdict: VerdictV1) -> Iterator[tuple[datetime, Record]]:
    name = f"{verdict.inspection}/{verdict.revision}"
    yield verdict.decided_at, _record(verdict, name, verdict.station, verdict.inspection, verdict.decided_at)
    for said in machine.take(verdict):
        yield verdict.decided_at, _record(said.message, said.id, verdict.station, said.subject, None)


def _record(message: Message, id: str, station: str, subject: str, time: datetime | None) -> Record:
    return record_of(message, id=id, station=station, subject=subject, time=time)


def _announced(plan: Plan, station: str, product: str, n: int, at: datetime, policy: str) -> AnnouncedV1:
    view = ViewV1(view="v1", sha256=_SHA["view"], bytes=1000, content_type="image/png", width_px=640, height_px=640)
    return AnnouncedV1(
        inspection=str(inspection_id(station, to_millis(plan.begin), n)),
        station=station,
        product=product,
        lot=f"{product.upper()}-{n * len(PRODUCTS) * 4 // plan.parts + 1}",
        serial=f"{product[0].upper()}{n:07d}",
        views=(view,),
        views_expected=1,
        acquisition=_SHA["camera"],
        purpose="production",
        policy=policy,
        model_set=_SHA["models"],
        captured_at=at,
        decide_within_s=5,
        baselines={"v1": BaselineStampV1(stream=_SHA["stream"], baseline=_SHA["baseline"], state="active")},
    )


def _verdict(plan: Plan, hello: AnnouncedV1, rng: np.random.Generator, *, first_place: bool, second_shift: bool) -> VerdictV1:
    factors = plan.to_come if first_place and second_shift else (1.0, 1.0, 1.0)
    disposition, label = _drawn(float(rng.random()), [rate * factor for rate, factor in zip(plan.rates, factors, strict=True)])
    audited = disposition == "pass" and bool(rng.random() < plan.audit)
    return VerdictV1(
        **hello.model_dump(include={"inspection", "station", "product", "lot", "serial", "purpose", "acquisition"}),
        revision=1,
        disposition=disposition,
        label=label,
        reasons=(WhyV1(code=_REASON[disposition]),),
        decided_by="policy",
        audit=audited,
        audit_probability=plan.audit if disposition == "pass" and plan.audit else None,
        policy=hello.policy,
        model_set=hello.model_set,
        baselines=hello.baselines,
        captured_at=hello.captured_at,
        announced_at=hello.captured_at,
        decided_at=hello.captured_at + _LATENCY,
    )


_REASON = {"pass": "accepted", "rework": "defect", "scrap": "defect", "review": "anomalous", "no_verdict": "deadline"}


def _drawn(chance: float, rates: list[float]) -> tuple[Disposition, str | None]:
    """Of one number in 0..1: a defect by its rate, else seldom a review or no verdict, else a pass."""
    for label, rate in zip(_CLASSES, rates, strict=True):
        if chance < rate:
            return ("rework" if label == "scratch" else "scrap"), label
        chance -= rate
    for disposition, rate in _OTHERS:
        if chance < rate:
            return disposition, "unknown" if disposition == "scrap" else None
        chance -= rate
    return "pass", "good"


_OTHERS: tuple[tuple[Disposition, float], ...] = (("review", 0.02), ("no_verdict", 0.001), ("scrap", 0.002))


def _looked(plan: Plan, verdict: VerdictV1, rng: np.random.Generator) -> VerdictV1 | None:
    """What a person made of it; None: nobody has looked."""
    chance, right = float(rng.random()), float(rng.random())
    if verdict.disposition == "no_verdict" or chance > (
        1 if verdict.audit else 0 if verdict.disposition == "pass" else plan.looked
    ):
        return None
    good = right < {"pass": 0.995, "review": 0.6}.get(verdict.disposition, 0.1)
    now: Disposition = "pass" if good else "rework" if verdict.disposition in ("pass", "review") else verdict.disposition
    label = "good" if good else verdict.label if verdict.label not in ("good", None) else "scratch"
    changes = {
        "revision": 2,
        "disposition": now,
        "label": label,
        "supersedes": verdict.disposition,
        "supersedes_label": verdict.label,
        "reasons": (WhyV1(code="person"),),
        "decided_by": "person",
        "who": "a.koch",
        "audit": False,
        "audit_probability": None,
        "decided_at": verdict.decided_at + timedelta(minutes=20),
    }
    return verdict.model_copy(update=changes)
