"""What becomes of closed subgroups: published when their time of grace is over, corrected later, forgotten at last.

Each function takes a course and gives it back with what there is to say. What was done already is not done again: a copy changes
nothing and says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from schemas.spc import CharacteristicV1
from streams.monitors.spc.charting import Judged, again, append, forget
from streams.monitors.spc.course import CLOSED, GAPS, KEPT, REVISED, Chart, Closed, Course, Cut, Output, Where
from streams.monitors.spc.facts import Lite, lite, message
from streams.monitors.spc.limits import limits_output, signal_output
from streams.monitors.spc.tally import Tally

RARE = 200
Told = tuple[Course, list[Output]]


def close(course: Course, tally: Tally, cut: Cut, due_ms: int) -> Course:
    """Take a subgroup that is over."""
    return replace(
        course,
        closed=(*course.closed, Closed(tally=tally, due_ms=due_ms)),
        stages={**course.stages, tally.stage_id: cut},
        newest=(tally.stage_id, tally.number),
    )


def next_due(course: Course | None) -> int | None:
    """Of the first that is not published: those behind it wait for their turn, however soon their own time comes."""
    return None if course is None else next((one.due_ms for one in course.closed if one.revision < 0), None)


def publish(where: Where, course: Course, now_ms: int) -> Told:
    """Those whose time has come, in their order."""
    said: list[Output] = []
    for index, one in enumerate(course.closed):
        if one.revision < 0 and one.due_ms <= now_ms:
            course, more = _first(where, course, index)
            said += more
        elif one.revision < 0:
            break
    return _trimmed(course), said


def _first(where: Where, course: Course, index: int) -> Told:
    one = course.closed[index]
    course, said = _begun(where, course, one.tally.stage_id)
    course = _put(course, index, replace(one, revision=0))
    said.append(_facts(where, course, course.closed[index]))
    found = lite(one.tally)
    rare = (*course.rare, _only_gaps(found)) if found.gaps else course.rare
    course = replace(course, history=(*course.history, found), rare=rare)
    course, more = _judge(where, course, one.due_ms, only=found)
    said += more
    course = _shortened(course)
    if one.tally.closed_by == "stage":
        course, more = _carry(where, course)
        said += more
    return course, said


def _begun(where: Where, course: Course, stage_id: str) -> Told:
    """With the charts of this stage: new ones where another stage ran before."""
    if course.stage_id == stage_id:
        return course, []
    course, said = _carry(where, course)
    return replace(course, stage_id=stage_id, software=course.stage_id != "", carried=False, history=(), rare=(), charts={}), said


def _carry(where: Where, course: Course) -> Told:
    """The limits of a stage that is over stay visible."""
    if course.carried or not course.stage_id:
        return course, []
    said = [
        limits_output(where, course, one, chart, "carried")
        for one in course.characteristics
        if (chart := course.charts.get(one.name)) is not None and chart.limits is not None
    ]
    return replace(course, carried=True), said


def revise(where: Where, course: Course, index: int, tally: Tally, why: str, at_ms: int) -> Told:
    """A late part or a later verdict changed a closed subgroup. Where its stage is over, only its facts are corrected."""
    one = course.closed[index]
    if tally is one.tally:
        return course, []
    if one.revision < 0:
        return _put(course, index, replace(one, tally=tally)), []
    course = replace(_put(course, index, replace(one, tally=tally, revision=one.revision + 1)), changes=course.changes + 1)
    said = [_facts(where, course, course.closed[index], why)]
    if tally.stage_id == course.stage_id:
        changed = lite(tally)
        course = replace(course, history=_exchanged(course.history, changed), rare=_rarer(course, changed))
        course, more = _judge(where, course, at_ms)
        said += more
    return _trimmed(course), said


def _judge(where: Where, course: Course, at_ms: int, only: Lite | None = None) -> Told:
    """Every chart of the stage. only: the subgroup that was published just now, else everything kept is judged again."""
    charts, said = dict(course.charts), list[Output]()
    for one in course.characteristics:
        chart, history = charts.get(one.name, Chart()), course.history_of(one)
        if only is None:
            judged = again(one, chart, history)
        elif history and history[-1].number == only.number:
            judged = append(one, chart, history, at_ms)
        else:
            continue
        charts[one.name] = judged.chart
        said += spoken(where, course, one, judged, at_ms)
    return replace(course, charts=charts), said


def spoken(
    where: Where, course: Course, one: CharacteristicV1, judged: Judged, at_ms: int, version: int | None = None
) -> list[Output]:
    """version: of the limits that the superseded signals were held against, where the chart has others by now."""
    stage_id, chart = course.stage_id, judged.chart
    said = []
    if judged.limits:
        said.append(limits_output(where, course, one, chart, "trial"))
    lists: tuple[tuple[Literal["open", "superseded"], tuple], ...] = (  # type: ignore[type-arg]
        ("superseded", judged.superseded),
        ("open", judged.opened),
    )
    for status, signals in lists:
        for signal in signals:
            found = _closed_of(course, signal.number)
            said.append(
                signal_output(
                    where,
                    stage_id,
                    one,
                    chart,
                    signal,
                    revision=0 if found is None else max(0, found.revision),
                    status=status,
                    software=course.software,
                    state=None if found is None else found.tally.state,
                    changes=course.changes,
                    at_ms=at_ms,
                    version=version if status == "superseded" else None,
                )
            )
    return said


def _closed_of(course: Course, number: int) -> Closed | None:
    return next((c for c in course.closed if (c.tally.stage_id, c.tally.number) == (course.stage_id, number)), None)


def _facts(where: Where, course: Course, one: Closed, why: str = "") -> Output:
    cut = course.stages[one.tally.stage_id]
    found = message(one.tally, one.revision, where=where, stage=cut.stage, why=why)
    return Output(f"{found.subgroup_id}/{one.revision}", found.subgroup_id, found)


def _put(course: Course, index: int, one: Closed) -> Course:
    return replace(course, closed=(*course.closed[:index], one, *course.closed[index + 1 :]))


def _exchanged(history: tuple[Lite, ...], changed: Lite) -> tuple[Lite, ...]:
    return tuple(changed if one.number == changed.number else one for one in history)


def _rarer(course: Course, changed: Lite) -> tuple[Lite, ...]:
    rest = [one for one in course.rare if one.number != changed.number]
    return tuple(sorted((*rest, _only_gaps(changed)), key=lambda one: one.number)) if changed.gaps else tuple(rest)


def _only_gaps(found: Lite) -> Lite:
    return found._replace(defects={}, instances={}, measures={})


def _shortened(course: Course) -> Course:
    """Forget subgroups that neither limits nor corrections need."""
    keep = max((KEPT, *(one.trial_n + 1 for one in course.characteristics if one.chart not in GAPS)))
    charts = dict(course.charts)
    for one in course.characteristics:
        history, most = course.history_of(one), RARE if one.chart in GAPS else keep
        if one.name in charts and len(history) > most:
            charts[one.name] = forget(one, charts[one.name], history[0])
    return replace(course, history=course.history[-keep:], rare=course.rare[-RARE:], charts=charts)


def _trimmed(course: Course) -> Course:
    """Only so many subgroups can still be corrected."""
    closed, gone = list(course.closed), course.gone
    while len(closed) > 1 and closed[0].revision >= 0 and (len(closed) > CLOSED or _weight(closed) > REVISED):
        oldest = closed.pop(0)
        gone = oldest.tally.epoch, oldest.tally.last
    if len(closed) == len(course.closed):
        return course
    needed = {course.stage_id, *(one.tally.stage_id for one in closed)}
    stages = {stage_id: cut for stage_id, cut in course.stages.items() if stage_id in needed}
    return replace(course, closed=tuple(closed), stages=stages, gone=gone)


def _weight(closed: Sequence[Closed]) -> int:
    return sum(len(one.tally.revised) for one in closed)
