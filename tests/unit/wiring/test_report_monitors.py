"""What the report makes of charts, proofs and baselines: each counted where it belongs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from schemas.challenge import StationProofV1
from schemas.common import BaselineState
from schemas.evidence import BaselineStampV1
from schemas.spc import CharacteristicV1, PlanV1, SeriesV1, SignalV1, StageV1, SubgroupRuleV1, SubgroupV1
from streams.judgement.verdicts import verdict_record
from streams.wiring.adapters.database import ask_report
from streams.wiring.adapters.database.connection import reading
from streams.wiring.adapters.database.scope import Scope
from streams.wiring.adapters.database.store import Store
from streams.wiring.report.process import Published, process
from streams.wiring.report.window import Window
from tests.helpers.database import write
from tests.helpers.evidence_log import appended
from tests.helpers.spc import PRODUCT, STATION, T0_MS, digest_of, verdict

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLACE: dict[str, Any] = {"station": STATION, "product": PRODUCT, "series": "rare"}


def gaps(name: str, begin: datetime, *lengths: int) -> SubgroupV1:
    n = 1000
    return SubgroupV1(
        **PLACE,
        subgroup_id=name,
        revision=0,
        stage_id="st-1",
        stage=StageV1(),
        closed_by="time",
        start=begin,
        end=begin + HOUR,
        epoch=1,
        first_n=0,
        last_n=n - 1,
        n=n,
        nonconforming=len(lengths),
        counts={"pass": n - len(lengths), "scrap": len(lengths)},
        gaps=lengths,
        gap_s=tuple(float(gap) for gap in lengths),
    )


def signal(subgroup: str, value: float, rule: str, **changes: Any) -> SignalV1:
    chart: dict[str, Any] = {"stage_id": "st-1", "characteristic": "nonconforming", "chart": "g", "rule_set": "probability"}
    said: dict[str, Any] = {"signal_id": f"{subgroup}/{rule}", "revision": 0, "limits_id": "l", "direction": "low"}
    more: dict[str, Any] = {"status": "open", "phase": "I", "points": [subgroup], "at": BEGIN, "rule": rule, "value": value}
    return SignalV1.model_validate({**PLACE, **chart, **said, **more, "subgroup_id": subgroup, **changes})


def test_on_a_chart_of_gaps_a_signal_is_one_gaps_and_one_subgroups() -> None:
    one = CharacteristicV1(name="nonconforming", of="nonconforming", chart="g")
    series = SeriesV1(series="rare", rule=SubgroupRuleV1(every_s=3600), characteristics=(one,))
    plan = PlanV1(station=STATION, product=PRODUCT, series=(series,), who="x", why="y", at=BEGIN)
    published = Published(
        subgroups=[gaps("a", BEGIN, 200, 1, 300, 400), gaps("b", BEGIN + HOUR, 250, 7, 2)],
        limits=[],
        signals=[signal("a", 1, "probability"), signal("b", 7, "runs"), signal("b", 2, "probability", again=True)],
        stages=[],
        plans=[plan],
    )
    window = Window(kind="shift", name="w", begin=BEGIN, end=BEGIN + 8 * HOUR, zone="UTC")
    (course,) = process(published, window).courses
    marked = [(point.value, point.rules, point.begins) for point in course.points if point.rules]
    assert len(course.points) == 7
    assert marked == [(1, ("probability",), ("probability",)), (7, ("runs",), ("runs",)), (2, ("probability",), ())]
    assert course.signals == 2


def test_parts_since_the_last_proof_are_counted_when_they_are_asked_for(engine: Engine) -> None:
    """A proof is published where it changes: so what it says of parts since is 0, however many there were."""
    made = [verdict(n, at_ms=T0_MS + 60_000 * n) for n in range(100)]
    made += [verdict(n, at_ms=T0_MS + 60_000 * n, purpose="setup") for n in range(100, 105)]
    made += [verdict(n, at_ms=T0_MS + 60_000 * n, product="ring") for n in range(105, 108)]
    records = [appended(verdict_record(one), i, T0_MS) for i, one in enumerate(made)]
    write(Store(engine), records)
    said: dict[str, Any] = {"station": STATION, "product": PRODUCT, "proven": True, "why": "", "parts_since": 0, "at": BEGIN}
    proofs = [
        StationProofV1.model_validate({**said, "proof": "digital", "last_pass_at": BEGIN + timedelta(minutes=70)}),
        StationProofV1.model_validate({**said, "proof": "physical", "proven": False}),
    ]
    with reading(engine) as connection:
        all_day = ask_report.parts_since(connection, Scope(), proofs)
        late = ask_report.parts_since(connection, Scope(begin=BEGIN + timedelta(minutes=90)), proofs)
    assert all_day == {(STATION, PRODUCT, "digital"): 30, (STATION, PRODUCT, "physical"): 100}
    assert late == {(STATION, PRODUCT, "digital"): 10, (STATION, PRODUCT, "physical"): 10}


def test_a_products_baseline_has_its_own_parts_under_it(engine: Engine) -> None:
    def stamped(n: int, product: str, state: BaselineState) -> Any:
        stamp = BaselineStampV1(stream=digest_of("5"), baseline=digest_of("6"), state=state)
        return verdict(n, product=product, baselines={"v1": stamp})

    made = [stamped(n, "disc", "active") for n in range(3)] + [stamped(n, "ring", "stale") for n in range(3, 5)]
    write(Store(engine), [appended(verdict_record(one), i, T0_MS) for i, one in enumerate(made)])
    with reading(engine) as connection:
        found = ask_report.judged_under(connection, Scope())
    assert found == {(STATION, "disc", "v1", "active"): 3, (STATION, "ring", "v1", "stale"): 2}
