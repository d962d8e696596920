"""The next part in order: which stage it is in, which subgroups it ends, begins and enters. Knows no late part, no chart."""

from __future__ import annotations

from dataclasses import replace

from schemas.envelope import from_millis
from schemas.ids import inspection_id
from schemas.spc import SeriesV1, StageBreakV1
from streams.monitors.spc.bins import bin_of
from streams.monitors.spc.closing import close, key_of, over
from streams.monitors.spc.course import Output, Where
from streams.monitors.spc.facts import stage_message
from streams.monitors.spc.limits import limits_id
from streams.monitors.spc.memory import Line, Newest, Turn
from streams.monitors.spc.part import NONCONFORMING, UNITS, UNKNOWN, Part, Stage
from streams.monitors.spc.plans import measured, seen
from streams.monitors.spc.stages import changed, merged, stage_name
from streams.monitors.spc.tally import Since, Tally, add, more


def take(turn: Turn, part: Part, stage: Stage) -> None:
    """A part of any purpose."""
    turn.newest = Newest(part.captured_ms, part.at_ms)
    line = turn.line(part.product)
    if part.production:
        line = _staged(turn, part, stage)
    for series in line.series:
        where = Where(turn.memory.station, part.product, series.series)
        if part.production:
            _enter(turn, where, series, line.stage_id, part)
        else:
            _exclude(turn, key_of(where), part)


def _staged(turn: Turn, part: Part, stage: Stage) -> Line:
    """The line with this part's stage, told where it is a new one."""
    before = turn.line(part.product)
    names = ("plan",) if before.coming is not None else ()
    names = (*changed(before.stage, stage), *names)
    after = _learnt(replace(before, stage=merged(before.stage, stage)), part)
    if names or not before.stage_id:
        for series in before.series if before.stage_id else ():
            where = Where(turn.memory.station, part.product, series.series)
            if key_of(where) in turn.opens:
                close(turn, where, "stage", turn.clock_ms, series.rule.grace_s)
        after = replace(after, stage_id=stage_name(turn.memory.station, part.product, part))
        after = replace(after, plan=before.coming or before.plan, coming=None)
    if after != before:
        turn.lines[part.product] = after
    if after.stage_id != before.stage_id:
        _tell(turn, part, before, after, names)
    return after


def _learnt(line: Line, part: Part) -> Line:
    """With the classes and sizes of this part, for the default plan."""
    labels = [part.said.label or UNKNOWN] if part.said.disposition in NONCONFORMING else []
    sizes = [name for name, _ in part.measures if name in UNITS and name != "count"]
    if set(labels) <= set(line.labels) and set(sizes) <= set(line.quantities):
        return line
    return replace(line, labels=seen(line.labels, labels), quantities=seen(line.quantities, sizes))


def _tell(turn: Turn, part: Part, before: Line, after: Line, names: tuple[str, ...]) -> None:
    for series in after.series:
        where = Where(turn.memory.station, part.product, series.series)
        course = turn.course(key_of(where))
        carried = tuple(
            limits_id(where, course.stage_id, name, chart.version) for name, chart in course.charts.items() if chart.limits
        )
        message = StageBreakV1(
            **where._asdict(),
            stage_id=after.stage_id,
            previous=before.stage_id or None,
            stage=stage_message(after.stage),
            changed=names,
            first=str(inspection_id(where.station, part.epoch, part.n)),
            carried=carried,
            at=from_millis(turn.clock_ms),
        )
        subject = f"{where.product}|{where.series}|{after.stage_id}"
        turn.said.append(Output(f"{where.station}|{subject}", subject, message))


def _enter(turn: Turn, where: Where, series: SeriesV1, stage_id: str, part: Part) -> None:
    key = key_of(where)
    tally = turn.opens.get(key)
    reason = None if tally is None else over(tally, part, series.rule)
    if reason is not None:
        close(turn, where, reason, turn.clock_ms, series.rule.grace_s)
        tally = None
    tally = turn.opens[key] = add(tally or _begun(turn, key, series, stage_id, part), measured(series, part))
    if series.rule.n is not None and tally.n >= series.rule.n:
        close(turn, where, "count", turn.clock_ms, series.rule.grace_s)


def _begun(turn: Turn, key: str, series: SeriesV1, stage_id: str, part: Part) -> Tally:
    course = turn.course(key)
    since = _since(course.closed[-1].tally if course.closed else None, series, stage_id)
    return Tally(
        number=course.next_number(stage_id),
        stage_id=stage_id,
        epoch=part.epoch,
        first=part.n,
        last=part.n,
        start_ms=part.captured_ms,
        end_ms=part.captured_ms,
        stretch=bin_of(series.rule, part.captured_ms),
        lot=part.lot,
        excluded=turn.excluded.pop(key, {}),
        since=since,
        begun=since,
    )


def _since(before: Tally | None, series: SeriesV1, stage_id: str) -> Since | None:
    """Gaps go on from one subgroup of a stage to the next, where any chart asks for them."""
    if all(one.chart not in ("g", "t") for one in series.characteristics):
        return None
    return before.since if before is not None and before.stage_id == stage_id else Since()


def _exclude(turn: Turn, key: str, part: Part) -> None:
    if key in turn.opens:
        turn.opens[key] = add(turn.opens[key], part)
    else:
        turn.excluded[key] = more(turn.excluded.get(key, {}), part.purpose)
