"""What a person says of limits: freeze them, remove a subgroup with its cause, make them anew. Nothing else changes them."""

from __future__ import annotations

from dataclasses import replace

from schemas.envelope import to_millis
from schemas.spc import CharacteristicV1, LimitsActV1
from streams.fates import Unprocessable
from streams.monitors.spc.attributes import NoLimits
from streams.monitors.spc.charting import refit
from streams.monitors.spc.course import Chart, Course, Where
from streams.monitors.spc.facts import subgroup_id
from streams.monitors.spc.limits import limits_output
from streams.monitors.spc.publishing import Told, spoken

_FEWEST = 5


def act_on(where: Where, course: Course, act: LimitsActV1) -> Told:
    """The course after it. Raises Unprocessable `unknown_characteristic`, `no_limits`, `frozen`, `unknown_subgroup`."""
    one = next((one for one in course.characteristics if one.name == act.characteristic), None)
    if one is None:
        names = ", ".join(one.name for one in course.characteristics) or "no chart yet"
        raise Unprocessable("unknown_characteristic", f"{act.characteristic!r}: {where.series} of {where.product} charts {names}")
    chart = course.charts.get(one.name, Chart())
    if act.act == "freeze":
        return _freeze(where, course, one, chart, act)
    if act.act == "remove":
        chart = _removed(where, course, one, chart, act)
    return _anew(where, course, one, chart, act)


def _freeze(where: Where, course: Course, one: CharacteristicV1, chart: Chart, act: LimitsActV1) -> Told:
    if chart.limits is None:
        raise Unprocessable("no_limits", f"{one.name} has no limits yet: they are made of {one.trial_n} subgroups")
    if chart.status == "frozen":
        return course, []
    frozen = replace(chart, status="frozen", approved_by=act.who, why=act.why, at_ms=to_millis(act.at))
    course = replace(course, charts={**course.charts, one.name: frozen})
    return course, [limits_output(where, course, one, frozen, "frozen")]


def _removed(where: Where, course: Course, one: CharacteristicV1, chart: Chart, act: LimitsActV1) -> Chart:
    if chart.status == "frozen" and chart.limits is not None:
        raise Unprocessable("frozen", f"the limits of {one.name} are frozen: `recompute` makes new ones, then remove")
    known = {subgroup_id(*where, course.stage_id, kept.number): kept.number for kept in course.history_of(one)}
    if unknown := [name for name in act.subgroups if name not in known]:
        raise Unprocessable("unknown_subgroup", f"{unknown[0]} is none of the {len(known)} subgroups that are kept of this stage")
    if not act.subgroups:
        raise Unprocessable("unknown_subgroup", "name the subgroups to remove")
    gone = {known[name]: act.why for name in act.subgroups}
    return replace(chart, removed=tuple(sorted({**dict(chart.removed), **gone}.items())))


def _anew(where: Where, course: Course, one: CharacteristicV1, chart: Chart, act: LimitsActV1) -> Told:
    """Trial limits of what is kept; before there were any, they wait for their number of subgroups."""
    if chart.limits is None and act.act == "remove":
        return replace(course, charts={**course.charts, one.name: chart}), []
    gone = {number for number, _ in chart.removed}
    if (kept := sum(kept.number not in gone for kept in course.history_of(one))) < _FEWEST:
        raise Unprocessable("no_limits", f"{kept} subgroups are too few for limits: {_FEWEST} at least")
    try:
        judged = refit(one, chart, course.history_of(one), to_millis(act.at))
    except NoLimits as error:
        raise Unprocessable("no_limits", f"{one.name}: {error}") from error
    course = replace(course, charts={**course.charts, one.name: judged.chart}, changes=course.changes + 1)
    return course, spoken(where, course, one, judged, to_millis(act.at), version=chart.version)
