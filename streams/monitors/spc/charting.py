"""A chart from subgroup to subgroup: trial limits, rules, signals that stand. Pure; speaks through `Judged`.

Trial limits are made once, of the first `trial_n` subgroups, and stay: nothing adapts itself. Only a person's act changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from schemas.spc import CharacteristicV1
from streams.monitors.spc.attributes import NoLimits
from streams.monitors.spc.course import GAPS, Chart, Shown, Signalled
from streams.monitors.spc.facts import Lite
from streams.monitors.spc.kinds import Fitted, Point, at_sizes, drawn_center, fit, known_rules, points, rule_set, scatter, values
from streams.monitors.spc.rules import RuleSignal, RulesState, rules_step

SPREAD = "spread_1"


class Walked(NamedTuple):
    """The rules of a chart, and the one of the chart of scatter beside it."""

    rules: RulesState = RulesState()
    spread: RulesState = RulesState()


class Judged(NamedTuple):
    """The chart after it; signals that are new, and those that hold no more. limits: they are new."""

    chart: Chart
    opened: tuple[Signalled, ...] = ()
    superseded: tuple[Signalled, ...] = ()
    limits: bool = False


def append(one: CharacteristicV1, chart: Chart, history: Sequence[Lite], at_ms: int) -> Judged:
    """The newest of `history` was published. Makes trial limits where they are due."""
    if chart.limits is None:
        return _first_limits(one, chart, history, at_ms)
    walked, signals = _walk(one, chart.limits, Walked(chart.rules, chart.spread), history, start=len(history) - 1)
    chart = replace(chart, **walked._asdict(), standing=(*chart.standing, *signals))
    return Judged(_shown(one, chart, history), opened=tuple(signals))


def again(one: CharacteristicV1, chart: Chart, history: Sequence[Lite]) -> Judged:
    """A subgroup of `history` was corrected, or the limits are others: the rules run over all that is kept."""
    if chart.limits is None:
        return Judged(chart)
    walked, signals = _walk(one, chart.limits, Walked(chart.base, chart.spread_base), history, start=0)
    before = {_name(signal) for signal in chart.standing}
    after = {_name(signal) for signal in signals}
    gone = tuple(signal for signal in chart.standing if _name(signal) not in after)
    fresh = tuple(signal for signal in signals if _name(signal) not in before)
    chart = replace(chart, **walked._asdict(), standing=tuple(signals))
    return Judged(_shown(one, chart, history), opened=fresh, superseded=gone)


def forget(one: CharacteristicV1, chart: Chart, dropped: Lite) -> Chart:
    """The oldest subgroup is kept no longer."""
    if chart.limits is None:
        return chart
    (base, spread), _ = _walk(one, chart.limits, Walked(chart.base, chart.spread_base), [dropped], start=0)
    standing = tuple(signal for signal in chart.standing if signal.number != dropped.number)
    return replace(chart, base=base, spread_base=spread, standing=standing)


def refit(one: CharacteristicV1, chart: Chart, history: Sequence[Lite], at_ms: int) -> Judged:
    """Trial limits anew, of all that is kept but the removed. Signals of the former limits stand no more. Raises NoLimits."""
    fitted = fit(one, history, chart.removed)
    fresh = Chart(version=chart.version, removed=chart.removed, shown=chart.shown)
    return _with(one, fresh, fitted, history, at_ms)._replace(superseded=chart.standing)


def _shown(one: CharacteristicV1, chart: Chart, history: Sequence[Lite]) -> Chart:
    found = points(one, chart.limits, history[-1]) if chart.limits is not None and history else []
    if chart.limits is None or not found:
        return chart
    (at,) = at_sizes(one, chart.limits, [found[-1].size])
    signals = any(signal.number == history[-1].number for signal in chart.standing)
    return replace(chart, shown=Shown(found[-1].value, drawn_center(one, chart.limits, found[-1].size), at.lcl, at.ucl, signals))


def _first_limits(one: CharacteristicV1, chart: Chart, history: Sequence[Lite], at_ms: int) -> Judged:
    gone = {number for number, _ in chart.removed}
    if len(history) < one.trial_n and one.chart not in GAPS:  # which have several points a subgroup
        return Judged(chart)
    if sum(len(values(one, subgroup)) for subgroup in history if subgroup.number not in gone) < one.trial_n:
        return Judged(chart)
    try:
        fitted = fit(one, history, chart.removed)
    except NoLimits:  # none was bad yet, or all: with the next subgroup there may be
        return Judged(chart)
    return _with(one, chart, fitted, history, at_ms)


def _with(one: CharacteristicV1, chart: Chart, fitted: Fitted, history: Sequence[Lite], at_ms: int) -> Judged:
    chart = replace(chart, limits=fitted, version=chart.version + 1, at_ms=at_ms)
    return again(one, chart, history)._replace(limits=True)


def _walk(
    one: CharacteristicV1, limits: Fitted, state: Walked, history: Sequence[Lite], start: int
) -> tuple[Walked, list[Signalled]]:
    """Rules over the subgroups from `start` on; those before are only named in patterns."""
    found: list[Signalled] = []
    rules, spread = state
    for index in range(start, len(history)):
        scattered = scatter(one, limits, history[index], rules.last)
        for here, point in enumerate(points(one, limits, history[index]), 1):
            rules, signals = rules_step(rules, point.scaled, known_rules(one))
            for signal in signals:
                pattern = _pattern(one, history, index, here, signal.points)
                found.append(_signalled(_rule(one, signal), signal, point, pattern))
        if scattered is not None:
            spread, signals = rules_step(spread, scattered.scaled, "nelson_1")
            found += [_signalled(SPREAD, signal, scattered, (history[index].number,)) for signal in signals]
    return Walked(rules, spread), _unique(found)


def _pattern(one: CharacteristicV1, history: Sequence[Lite], index: int, here: int, count: int) -> tuple[int, ...]:
    """Numbers of the subgroups of the last `count` points, `here` of them the first of the subgroup at `index`."""
    numbers = [history[index].number] * here
    for subgroup in reversed(history[:index]):
        if len(numbers) >= count:
            break
        numbers = [subgroup.number] * len(values(one, subgroup)) + numbers
    return tuple(dict.fromkeys(numbers[-count:]))


def _rule(one: CharacteristicV1, signal: RuleSignal) -> str:
    return "probability" if rule_set(one) == "probability" else signal.rule


def _signalled(rule: str, signal: RuleSignal, point: Point, pattern: tuple[int, ...]) -> Signalled:
    return Signalled(pattern[-1], rule, signal.direction, pattern, point.value, point.z, signal.again)


def _name(signal: Signalled) -> tuple[int, str, str]:
    return signal.number, signal.rule, signal.direction


def _unique(found: Sequence[Signalled]) -> list[Signalled]:
    """A subgroup with several gaps signals once a rule and direction: by its first."""
    return list({_name(signal): signal for signal in reversed(found)}.values())[::-1]
