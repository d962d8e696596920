"""Limits and signals as messages: with provenance, ids that a replay gives again. Judges nothing."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

from schemas.envelope import from_millis
from schemas.spc import CharacteristicV1, LimitsV1, ProvenanceV1, RemovedV1, SignalV1
from streams.monitors.spc.course import Chart, Course, Output, Signalled, Where
from streams.monitors.spc.facts import subgroup_id
from streams.monitors.spc.kinds import Fitted, at_sizes, rule_set, size_of, spread, values
from streams.monitors.spc.run_length import in_control, spread_in_control

_MOST = 500


def limits_id(where: Where, stage_id: str, characteristic: str, version: int) -> str:
    return "|".join((*where, characteristic, stage_id, str(version)))


def limits_output(
    where: Where, course: Course, one: CharacteristicV1, chart: Chart, status: Literal["trial", "frozen", "carried"]
) -> Output:
    """Of a chart that has limits."""
    limits, stage_id, history = chart.limits, course.stage_id, course.history_of(one)
    assert limits is not None
    sizes = [size_of(value) for subgroup in history for value in values(one, subgroup)]
    largest = round(max(sizes, default=2))
    scatter = spread(one, limits, largest)
    message = LimitsV1(
        limits_id=limits_id(where, stage_id, one.name, chart.version),
        **where._asdict(),
        stage_id=stage_id,
        characteristic=one.name,
        chart=one.chart,
        center=limits.center,
        sigma=limits.sigma,
        sigma_z=limits.sigma_z,
        sigma_z_subgroups=None if limits.sigma_z is None else limits.k,
        k_sigma=one.k_sigma,
        at_n=at_sizes(one, limits, sizes),
        spread_center=None if scatter is None else scatter[0],
        spread_lcl=None if scatter is None else scatter[1],
        spread_ucl=None if scatter is None else scatter[2],
        phase="II" if chart.status == "frozen" else "I",
        status=status,
        provenance=_provenance(where, stage_id, chart, limits),
        rule_set=rule_set(one),
        arl0_subgroups=in_control(one, limits, sizes, course.history),
        spread_arl0_subgroups=None if scatter is None else spread_in_control(one, largest),
    )
    return Output(f"{message.limits_id}/{status}", message.limits_id, message)


def _provenance(where: Where, stage_id: str, chart: Chart, limits: Fitted) -> ProvenanceV1:
    used = limits.used if len(limits.used) <= _MOST else (limits.used[0], limits.used[-1])
    return ProvenanceV1(
        subgroups=tuple(subgroup_id(*where, stage_id, number) for number in used),
        n=len(limits.used),
        removed=tuple(
            RemovedV1(subgroup_id=subgroup_id(*where, stage_id, number), reason=reason) for number, reason in limits.removed
        ),
        method=limits.method,
        constants=limits.constants,
        approved_by=chart.approved_by,
        why=chart.why,
        at=from_millis(chart.at_ms),
    )


def signal_output(
    where: Where,
    stage_id: str,
    one: CharacteristicV1,
    chart: Chart,
    signal: Signalled,
    *,
    revision: int,
    status: Literal["open", "superseded"],
    software: bool,
    state: str | None,
    changes: int,
    at_ms: int,
    version: int | None = None,
) -> Output:
    """changes: of its course. version: of the limits that it was held against, where they are others by now.

    A change opens or supersedes a signal at most once, so the id names it: a later one may say the same of the same revision.
    """
    limits = limits_id(where, stage_id, one.name, chart.version if version is None else version)
    about = subgroup_id(*where, stage_id, signal.number)
    named = sha256("\n".join((limits, about, signal.rule, signal.direction)).encode()).hexdigest()
    message = SignalV1(
        signal_id=named,
        subgroup_id=about,
        revision=revision,
        limits_id=limits,
        **where._asdict(),
        stage_id=stage_id,
        characteristic=one.name,
        chart=one.chart,
        rule_set=rule_set(one),
        rule=signal.rule,
        direction=signal.direction,
        again=signal.again,
        value=signal.value,
        z=signal.z,
        points=tuple(subgroup_id(*where, stage_id, number) for number in signal.points),
        software_change_in_stage=software and 0 in signal.points,
        drift_state=state,
        status=status,
        phase="II" if chart.status == "frozen" else "I",
        at=from_millis(at_ms),
    )
    return Output(f"{named}/{revision}/{status}/{changes}", about, message)
