"""Run rules on z / width: beyond a limit, one-sided runs, trends, alternation, zones. A step with a small state; knows no chart.

Nelson's rules 1 to 4 (L. Nelson, J. Quality Technology 16 (1984) 237) and the four of Western Electric (1956). Strict: a point on
a limit is inside it, a point on the centre line breaks a run, a tie breaks a trend and an alternation. A rule speaks at every
point at which it holds; `again` tells a continued signal from a new one. A stage break starts from `RulesState()`. Zone rules
take a symmetric distribution for granted: they are for measurements, `rules_for` refuses them for counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Rule = Literal["nelson_1", "nelson_2", "nelson_3", "nelson_4", "weco_1", "weco_two_of_three", "weco_four_of_five", "weco_eight"]
RuleSet = Literal["nelson_1", "nelson_1_2", "nelson_1_2_3", "nelson_1_2_3_4", "weco_1_2", "zone"]
Direction = Literal["high", "low", "both"]

RULE_SETS: Mapping[RuleSet, tuple[Rule, ...]] = {
    "nelson_1": ("nelson_1",),
    "nelson_1_2": ("nelson_1", "nelson_2"),
    "nelson_1_2_3": ("nelson_1", "nelson_2", "nelson_3"),
    "nelson_1_2_3_4": ("nelson_1", "nelson_2", "nelson_3", "nelson_4"),
    "weco_1_2": ("weco_1", "weco_eight"),
    "zone": ("weco_1", "weco_two_of_three", "weco_four_of_five", "weco_eight"),
}
DEFAULT: RuleSet = "nelson_1_2"
POINTS: Mapping[Rule, int] = {  # how many points back from the last one, the last included, make the pattern
    "nelson_1": 1,
    "nelson_2": 9,
    "nelson_3": 6,
    "nelson_4": 14,
    "weco_1": 1,
    "weco_two_of_three": 3,
    "weco_four_of_five": 5,
    "weco_eight": 8,
}
RUNS: frozenset[Rule] = frozenset({"nelson_2", "weco_eight"})
ZONES: frozenset[Rule] = frozenset({"weco_two_of_three", "weco_four_of_five"})
_TOUCHES = 1e-9  # rounding must not carry a point over a line that it lies on


class Step(NamedTuple):
    """A point as the rules see it.

    zone: 0 on the centre line, else which sigma it lies in, signed: +-1 up to one sigma, +-4 beyond three.
    direction: +1 above the point before, -1 below it, 0 level with it or the first.
    """

    zone: int
    direction: int


class Counters(NamedTuple):
    """What the rules remember besides the last point; capped at what the rule set asks, so that there are few (see `arl`).

    run, trend, turns: points in a row on one side, rising or falling, alternating; the sign is the side or the last direction.
    zones: of the last four points, +-1 beyond one sigma, +-2 beyond two of the last two. held: what held at the last point.
    """

    run: int = 0
    trend: int = 0
    turns: int = 0
    zones: tuple[int, ...] = ()
    held: tuple[tuple[Rule, Direction], ...] = ()


_NONE = Counters()


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesState:
    """Where the rules of one chart stand. last: z / width of the last point that had a value."""

    last: float | None = None
    counters: Counters = _NONE

    def dump(self) -> dict[str, Any]:
        """As JSON holds it."""
        held = [list(pair) for pair in self.counters.held]
        return {"last": self.last, **self.counters._asdict(), "zones": list(self.counters.zones), "held": held}

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> RulesState:
        run, trend, turns = (int(data[name]) for name in ("run", "trend", "turns"))
        held = tuple((rule, direction) for rule, direction in data["held"])
        return cls(last=data["last"], counters=Counters(run, trend, turns, tuple(data["zones"]), held))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSignal:
    """A rule that holds at the last point. points: how many at most, counted back from it; again: it held before it too."""

    rule_set: RuleSet
    rule: Rule
    direction: Direction
    points: int
    again: bool


def rules_for(rule_set: RuleSet, *, counts: bool) -> tuple[Rule, ...]:
    """The rules of a set. Raises ValueError for zone rules on a chart of counts, which are skewed."""
    rules = RULE_SETS[rule_set]
    if counts and ZONES.intersection(rules):
        raise ValueError(f"rule set {rule_set} has zone rules, which counts are too skewed for: take nelson_1_2 or weco_1_2")
    return rules


def rules_step(state: RulesState, z: float | None, rule_set: RuleSet = DEFAULT) -> tuple[RulesState, tuple[RuleSignal, ...]]:
    """One more point. z: over the chart's width; None is a subgroup without a part: no point, and nothing changes."""
    if z is None:
        return state, ()
    counters = counted(state.counters, Step(zone_of(z), direction_of(state.last, z)), RULE_SETS[rule_set])
    before = state.counters.held
    signals = tuple(
        RuleSignal(rule_set=rule_set, rule=rule, direction=to, points=POINTS[rule], again=(rule, to) in before)
        for rule, to in counters.held
    )
    return RulesState(last=z, counters=counters), signals


def rules_run(zs: Iterable[float | None], rule_set: RuleSet = DEFAULT) -> list[tuple[RuleSignal, ...]]:
    """The signals at each point of a series, from the start of a stage."""
    state, found = RulesState(), []
    for z in zs:
        state, signals = rules_step(state, z, rule_set)
        found.append(signals)
    return found


def zone_of(z: float) -> int:
    """See `Step`. A point on a line belongs to the inner zone."""
    far = abs(z)
    if far <= _TOUCHES:
        return 0
    zone = 1 + sum(far > line + _TOUCHES for line in (1, 2, 3))
    return zone if z > 0 else -zone


def direction_of(last: float | None, z: float) -> int:
    if last is None or abs(z - last) <= _TOUCHES:
        return 0
    return 1 if z > last else -1


def counted(counters: Counters, step: Step, rules: Sequence[Rule]) -> Counters:
    """The counters after one more point, with the rules that hold there."""
    longest = max((POINTS[rule] for rule in rules if rule in RUNS), default=0)
    after = Counters(
        run=_run(counters.run, step.zone, longest),
        trend=_trend(counters.trend, step.direction) if "nelson_3" in rules else 0,
        turns=_turns(counters.turns, step.direction) if "nelson_4" in rules else 0,
        zones=(*counters.zones, _side(step.zone) * max(0, min(abs(step.zone) - 1, 2)))[-5:] if ZONES.intersection(rules) else (),
    )
    held = tuple((rule, to) for rule in rules for to in _holds(rule, after, step.zone))
    return after._replace(zones=_remembered(after.zones), held=held)


def _remembered(zones: tuple[int, ...]) -> tuple[int, ...]:
    """Of the last four points; beyond two sigma is asked of the last two only."""
    kept = zones[-4:]
    return (*map(_side, kept[:-2]), *kept[-2:])


def _side(number: int) -> int:
    return (number > 0) - (number < 0)


def _run(run: int, zone: int, longest: int) -> int:
    side = _side(zone)
    return side * min(longest, abs(run) + 1 if _side(run) == side else 1)


def _trend(trend: int, direction: int) -> int:
    """Points: two make the first step, a tie starts again."""
    return direction * (min(POINTS["nelson_3"], abs(trend) + 1) if _side(trend) == direction else 2)


def _turns(turns: int, direction: int) -> int:
    return direction * (min(POINTS["nelson_4"], abs(turns) + 1) if turns and _side(turns) == -direction else 2)


def _holds(rule: Rule, after: Counters, zone: int) -> Sequence[Direction]:
    if rule in ("nelson_1", "weco_1"):
        return _toward(zone, abs(zone) == 4)
    if rule in RUNS:
        return _toward(after.run, abs(after.run) == POINTS[rule])
    if rule == "nelson_3":
        return _toward(after.trend, abs(after.trend) == POINTS[rule])
    if rule == "nelson_4":
        return ("both",) if abs(after.turns) == POINTS[rule] else ()
    level = 2 if rule == "weco_two_of_three" else 1
    return _zoned(after.zones[-POINTS[rule] :], level, needed=POINTS[rule] - 1)


def _zoned(zones: Sequence[int], level: int, needed: int) -> Sequence[Direction]:
    """So many of the last points beyond this sigma on the last one's side, the last one among them."""
    side, far = _side(zones[-1]), abs(zones[-1]) >= level
    return _toward(side, far and sum(zone * side >= level for zone in zones) >= needed)


def _toward(side: int, holds: bool) -> Sequence[Direction]:
    if not holds:
        return ()
    return ("high",) if side > 0 else ("low",)
