"""What one part does to a stream's state, in full: the rule that `detector` takes the short way of.

In order: repeats (a source that repeats itself says nothing of the baseline, so its parts do not count), the baseline's CUSUMs,
then recovery while suspect, else the rate of tail events.
"""

from __future__ import annotations

from streams.monitors import recovery, ring, stuck, tail
from streams.monitors.baseline import Baseline
from streams.monitors.change_point import begun, located
from streams.monitors.evidence import DriftEvent, Kind, evidence_of
from streams.monitors.marks import Mark, chained, merged, needed, stones, unchained
from streams.monitors.rules import MASK, SHIFT, advanced, split
from streams.monitors.score import Point, Score
from streams.monitors.state import (
    ARMED,
    HELD,
    LOOSE,
    NEVER,
    NORMAL,
    PENDING,
    STALE,
    SUSPECT,
    Course,
    Saved,
    State,
    Watch,
    starts,
    window,
)
from streams.monitors.tables import DIRECTIONS, UNIT

CAPPED_FROM, CAPPED_TO = 7, 40  # tail symbols in a row that are a burst of defects: the first say it, later ones are no burst
BURSTS = 24  # parts in which two bursts of ten may lie
NO_BURST = 15  # tail symbols in a row when a rise has waited long for its name: good parts lie there
RELAPSE = 20_000  # parts: the third baseline event within them is no passing disturbance
_FARTHEST = 2  # place of the largest shift among the weighing tables
_KINDS: tuple[Kind, ...] = ("baseline_up", "baseline_down", "baseline_shrink", "baseline_spread")


def careful(baseline: Baseline, state: State, score: Score, symbol: int) -> tuple[State, list[DriftEvent]]:
    """Take one part of a known symbol."""
    draft = Draft(baseline, state, score, symbol)
    if draft.fresh():
        draft.judge()
    return draft.after(), draft.events


def tidied(state: State, bins: int) -> State:
    """Where the recent symbols are full: the oldest moved up the ladder, and only the marks that are still needed."""
    if len(state.recent) < ring.RECENT:
        return state
    course, oldest = state.course, state.recent[: ring.BLOCK]
    course = course._replace(ladder=ring.pushed(course.ladder, oldest, bins))
    marks = chained(needed(state.marks, starts(state), window(state) + ring.BLOCK))
    return state._replace(recent=state.recent[ring.BLOCK :], course=course, marks=marks)


def watch_of(baseline: Baseline, course: Course) -> Watch | None:
    """What the short way needs to know, None where it is closed: while learning, suspect, stale, stuck or undecided."""
    learned = course.learning is None or course.learning.done
    if course.mode != NORMAL or course.alarm == PENDING or course.frozen != LOOSE or not learned:
        return None
    return watching(baseline, course)


def watching(baseline: Baseline, course: Course) -> Watch:
    """The tail rule of a normal state. While it is learned there is no fall."""
    rule = baseline.tail_rule(course.learning)
    sign, height = (-1, tail.REARM) if course.alarm == HELD else (1, rule.up_h)
    up_event, up_other = (sign * value << SHIFT for value in (rule.up_event, rule.up_other))
    fall = (rule.down_event, rule.down_other, rule.down_h)
    if course.learning is not None and not course.learning.done:
        fall = (0, 0, rule.down_h)
    down_event, down_other, down_h = (value << SHIFT for value in fall)
    return Watch(up_event, up_other, height << SHIFT, down_event, down_other, down_h, course.lowered)


class Draft:
    """A state while one part moves it. Every method belongs to one channel, in the order that the module names."""

    def __init__(self, baseline: Baseline, state: State, score: Score, symbol: int) -> None:
        self.events: list[DriftEvent] = []
        self._baseline, self._rules = baseline, baseline.rules
        self._before, self._score, self._symbol = state, score, symbol
        self._part = state.part + 1
        self._sums, self._up, self._down, self._repeat = state.sums, state.up, state.down, state.repeat
        self._weights, self._run = state.weights, state.run
        self._course, self._kept = state.course, state.saved
        self._recent = state.recent + ring.BYTES[symbol]
        self._marks: Mark = (self._part, score.epoch, score.n, score.at_ms, state.marks)

    def after(self) -> State:
        """The state after the part. A CUSUM that stands at zero, moved or not, starts at the following part."""
        following = self._part + 1
        self._sums = tuple([value if value > MASK else following for value in self._sums])
        cusums = (self._up, self._down, self._repeat)
        self._up, self._down, self._repeat = (value if value > MASK else following for value in cusums)
        if self._course == self._before.course and self._before.watch is not None:
            watch: Watch | None = self._before.watch
        else:
            watch = watch_of(self._baseline, self._course)
        return tidied(self._state(watch), len(self._rules.columns))

    def fresh(self) -> bool:
        """Whether the other channels may see this part: not while the source repeats itself."""
        rules, course = self._rules, self._course
        near = -rules.near <= self._score.value - self._before.last <= rules.near
        gain = rules.more if near else rules.less
        if course.frozen != LOOSE:
            frozen = max(0, course.frozen - gain)
            self._course = course._replace(frozen=LOOSE if frozen >= rules.release else frozen)
            return False
        before = self._repeat
        self._repeat = self._moved(before, gain)
        if self._repeat <= MASK:
            self._kept = None
            return True
        if before <= MASK:
            self._kept = self._saved()
        if self._repeat >> SHIFT >= stuck.H:
            return self._stuck()
        return self._repeat >> SHIFT < stuck.HOLD

    def judge(self) -> None:
        """The part as evidence on the baseline and on the defect rate."""
        if self._course.mode == STALE:
            return
        self._run = self._run + 1 if self._symbol >= self._rules.body else 0
        if not self._tables():
            if self._course.mode == SUSPECT:
                self._recovery()
            else:
                self._tail()

    def _tables(self) -> bool:
        """Whether a table crossed."""
        rules = self._rules
        column = (rules.capped if self._burst() else rules.columns)[self._symbol]
        self._sums = advanced(self._sums, column, self._part + 1)
        over = [i for i, (value, h) in enumerate(zip(self._sums, rules.thresholds, strict=True)) if value >= h]
        if not over:
            return False
        best = max(over, key=lambda i: (self._sums[i] - rules.thresholds[i]) >> SHIFT)
        self._suspect(best, self._sums[best] & MASK, (self._sums[best] >> SHIFT) / UNIT)
        return True

    def _burst(self) -> bool:
        """A row of tail symbols, as defects one after the other make: they exceed any share for a while, so it gains nothing."""
        return CAPPED_FROM <= self._run <= CAPPED_TO

    def _suspect(self, table: int, start: int, log_e: float) -> None:
        """A baseline event. The second of one direction, and the third within 20,000 parts, is stale."""
        course, direction = self._course, self._rules.directions[table]
        again = course.mode == SUSPECT and course.direction == direction
        older, newer = course.onsets
        relapse = older != NEVER and self._part - older <= RELAPSE
        kinds: list[Kind] = [] if again else [_KINDS[direction]]
        if again or relapse:
            kinds.append("stale")
        mark = self._mark(start) if again else self._begun(direction, start)
        for kind in kinds:
            self._say(kind, mark, self._baseline.alternatives[table].name, log_e, direction)
        onsets = course.onsets if again else (newer, self._part)
        mode = STALE if "stale" in kinds else SUSPECT
        self._restart(course._replace(mode=mode, direction=direction, onsets=onsets))

    def _recovery(self) -> None:
        course = self._course
        back = max(0, course.back + self._rules.backward[course.direction][self._symbol])
        self._course = course._replace(back=back)
        if back >= recovery.H:
            self._say("recovered", None, "recovery", back / UNIT, course.direction)
            self._restart(course._replace(mode=NORMAL))

    def _tail(self) -> None:
        event = self._symbol == self._rules.last
        rule = self._baseline.tail_rule(self._course.learning)
        self._rise(rule, event)
        learning = self._course.learning
        if learning is not None and not learning.done:
            self._learn(event)
        elif self._course.mode == NORMAL:
            self._fall(rule, event)

    def _rise(self, rule: tail.TailRule, event: bool) -> None:
        gain = rule.up_event if event else rule.up_other
        alarm = self._course.alarm
        self._up = self._moved(self._up, -gain if alarm == HELD else gain)
        weights = self._rules.capped_weights if self._burst() else self._rules.weights
        self._weights = self._weights + weights[self._symbol] if self._up > MASK else 0
        height = self._up >> SHIFT
        if alarm == HELD and height >= tail.REARM:
            self._alarm(ARMED)
        elif alarm == PENDING and not height:
            self._alarm(ARMED)
        elif alarm == PENDING or (alarm == ARMED and height >= rule.up_h):
            self._course = self._course._replace(alarm=PENDING)
            self._attribute(height >= tail.UNDECIDED * rule.up_h)

    def _attribute(self, at_last: bool) -> None:
        """Whose fault the rise is: what the parts since its start weigh for a moved baseline against more defects.

        A burst of defects is waited for, in a row or with a good part or two in between: it ends, or it is none. In the meantime
        the tables decide alone, which gain nothing from a row.
        """
        weights = split(self._weights, len(self._rules.weighing))
        most, start = max(weights), self._up & MASK
        if most >= tail.HAND_OVER:
            if self._part - start >= BURSTS:
                self._suspect(self._rules.weighing[weights.index(most)], start, most / UNIT)
        elif at_last and self._run >= NO_BURST:
            self._suspect(self._rules.weighing[_FARTHEST], start, (self._up >> SHIFT) / UNIT)
        elif self._run < CAPPED_FROM and (at_last or (most <= tail.NAMED and not self._rising())):
            self._say("defect_rate_up", self._mark(start), "tail rate", (self._up >> SHIFT) / UNIT, None)
            self._alarm(HELD)

    def _rising(self) -> bool:
        """A baseline that has just begun to move: the weights since the start of the rise still hide it."""
        return any(self._sums[table] >> SHIFT >= tail.RISING for table in self._rules.weighing)

    def _fall(self, rule: tail.TailRule, event: bool) -> None:
        self._down = self._moved(self._down, rule.down_event if event else rule.down_other)
        height, start = self._down >> SHIFT, self._down & MASK
        if self._down <= MASK:
            self._course = self._course._replace(lowered=False)
        elif height >= rule.down_h:
            if not self._course.lowered:
                self._say("defect_rate_down", self._mark(start), "tail rate", height / UNIT, None)
                self._course = self._course._replace(lowered=True)
                self._save_again()
            self._down = (rule.down_h - 1 << SHIFT) + start

    def _learn(self, event: bool) -> None:
        learning = self._course.learning
        assert learning is not None
        after = learning.add(event)
        self._course = self._course._replace(learning=after)
        if after.done and self._course.alarm != PENDING:
            self._up, self._weights = self._part + 1, 0
            self._save_again()

    def _alarm(self, alarm: int) -> None:
        self._course = self._course._replace(alarm=alarm)
        self._up, self._weights = self._part + 1, 0
        self._save_again()

    def _restart(self, course: Course) -> None:
        """All channels but the repeats' from zero."""
        following = self._part + 1
        self._sums = (following,) * len(self._sums)
        self._up = self._down = following
        self._weights = self._run = 0
        self._course = course._replace(back=0, lowered=False, alarm=HELD if course.alarm == HELD else ARMED)
        self._save_again()

    def _stuck(self) -> bool:
        """Say it, and put the channels back to where they stood before the first repeat."""
        start = self._repeat & MASK
        self._say("stuck", self._mark(start), "repeats", (self._repeat >> SHIFT) / UNIT, None)
        saved = self._kept
        assert saved is not None
        self._sums = tuple(self._back_to(value, now, start) for value, now in zip(saved.sums, self._sums, strict=True))
        self._up = self._back_to(saved.up, self._up, start)
        self._down = self._back_to(saved.down, self._down, start)
        self._weights, self._run = saved.weights, saved.run
        self._course, self._kept = self._course._replace(frozen=0, back=saved.back), None
        self._repeat = self._part + 1
        return False

    def _back_to(self, value: int, now: int, start: int) -> int:
        """A start that was lost since is taken as the first repeat."""
        return (value & ~MASK) + min(now & MASK, start) if value > MASK else self._part + 1

    def _moved(self, value: int, gain: int) -> int:
        after = value + (gain << SHIFT)
        return after if after > MASK else self._part + 1

    def _saved(self) -> Saved:
        return Saved(self._sums, self._up, self._down, self._weights, self._run, self._course.back)

    def _save_again(self) -> None:
        """After an event its own state is what a stuck source goes back to: what was said stays said."""
        if self._kept is not None:
            self._kept = self._saved()

    def _say(self, kind: Kind, mark: Mark | None, table: str, log_e: float, direction: int | None) -> None:
        """mark: of the first part of what is said, None where that is the last baseline event."""
        since = self._part - (self._course.onsets[1] if mark is None else mark[0]) + 1
        where = None if direction is None else DIRECTIONS[direction]
        found = evidence_of(self._baseline, self._state(None), table=table, log_e=log_e, since=since, direction=where)
        at = Point(self._score.epoch, self._score.n, self._score.at_ms)
        change = None if mark is None else Point(*mark[1:4])
        self.events.append(DriftEvent(kind=kind, at=at, change_point=change, direction=where, evidence=found))

    def _begun(self, direction: int, start: int) -> Mark:
        """Where the change began: by the recent symbols, where the CUSUM that says it began among them, else where that did."""
        since = max(self._part - len(self._recent), self._course.onsets[1])
        if start <= since:
            return self._mark(start)
        baseline, symbols = self._baseline, self._recent[since - self._part :]
        first = begun(baseline.bins.masses, baseline.body, DIRECTIONS[direction], symbols, baseline.deff)
        beside = merged(stones(self._marks, since), [self._mark(start), self._marks])
        return located(since + 1 + first, unchained(beside))

    def _mark(self, start: int) -> Mark:
        mark = self._marks
        while mark[0] != start:
            assert mark[4] is not None
            mark = mark[4]
        return mark

    def _state(self, watch: Watch | None) -> State:
        return State(
            self._part,
            self._sums,
            self._up,
            self._down,
            self._repeat,
            self._weights,
            self._run,
            self._score.value,
            self._marks,
            self._recent,
            self._course,
            watch,
            self._kept,
        )
