"""What a demonstration charts: subgroups so small that limits are there within minutes. A plan that is there already stays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.spc import CharacteristicV1, PlanV1, SeriesV1, SubgroupRuleV1
from streams.wiring.adapters.spc import publish, read_spc
from streams.workbench.demo.plan import Plan, StationPlan

SUBGROUP, TRIAL = 10, 5


def plan_charts(client: Mapping[str, Any], plan: Plan) -> None:
    """Raises KafkaUnreachable, KafkaRefused."""
    known = read_spc(client).plans
    publish(client, *(_plan(one) for one in plan.stations if (one.name, one.product) not in known))


def _plan(station: StationPlan) -> PlanV1:
    charts = (
        CharacteristicV1(name="nonconforming", of="nonconforming", chart="laney_p", trial_n=TRIAL),
        CharacteristicV1(name="defects", of="defects", chart="laney_u", trial_n=TRIAL),
    )
    series = SeriesV1(series="demo", rule=SubgroupRuleV1(n=SUBGROUP, grace_s=2), characteristics=charts)
    why = f"limits after {SUBGROUP * TRIAL} parts; a plant takes 500 parts and 25 subgroups"
    return PlanV1(station=station.name, product=station.product, series=(series,), who="demo", why=why, at=datetime.now(UTC))
