"""All inspections of one partition of evidence.v1, and the time of its log. Knows the order of the log, nothing else of Kafka.

* `now` is the highest append time since something waits (for evidence, or for its announcement). So a broker's clock that
  goes back can end a wait too early, never too late, and one that was wrong while nothing waited does no harm. Before each
  record, what is due at `now` is said, in order of (due, inspection).
* A step that raises has changed nothing: all changes go to a draft first.
* Full state is kept for ten minutes of log time after a verdict; then only numbers: a number that is forgotten is a copy.
"""

from __future__ import annotations

from schemas.envelope import Received
from schemas.evidence import TickV1
from streams.effects import Effects
from streams.judgement import memory
from streams.judgement.draft import NUMBERS, Draft, Tally
from streams.judgement.intake import Intake
from streams.judgement.memory import Alarms, Interval
from streams.judgement.part import Held, State
from streams.judgement.triage import Moment
from streams.judgement.versions import RuleBook

NOW = "~now"
_TICK = ("ce_type", TickV1.TYPE.encode())


class TriageShard:
    """A Shard. tally is for metrics only: nothing that is said depends on it."""

    def __init__(self, rules: RuleBook) -> None:
        self.tally = Tally()
        self._rules = rules
        self._now_ms = 0
        self._states: dict[str, bytes | State] = {}
        self._numbers: dict[str, tuple[Interval, ...]] = {}
        self._due = Alarms()
        self._old = Alarms()
        self._held = 0
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Inspections that wait: for evidence, or for their announcement."""
        return self._waiting

    def __len__(self) -> int:
        return len(self._states)

    def restore(self, key: str, value: bytes | None) -> None:
        """Raises ValueError for state of another version of this program."""
        if key == NOW:
            self._now_ms = int(value or 0)
        elif key.startswith(NUMBERS):
            self._numbers[key] = memory.load_numbers(value) if value else ()
        else:
            self._keep(key, None if value is None else memory.load(value), value)

    def step(self, record: Received) -> Effects:
        """Take one record. What cannot be read becomes a dead letter among the outputs; nothing is raised but bugs."""
        now_ms = max(self._now_ms, record.timestamp_ms) if self._waiting else record.timestamp_ms
        tick = _TICK in record.headers
        draft = Draft(self._states, self._numbers, self._held)
        intake = Intake(draft, self._rules, Moment(now_ms=now_ms, append_ms=record.timestamp_ms, offset=record.offset))
        due = self._due.take(now_ms)
        old = self._old.take(now_ms) if tick else []
        try:
            intake.wake(due)
            intake.forget(old)
            if not tick:
                intake.take(record)
            changed = draft.changed()
        except BaseException:
            self._due.give_back(due)
            self._old.give_back(old)
            raise
        self._accept(draft, changed, now_ms)
        if self._waiting:
            changed[NOW] = str(now_ms).encode()
        return Effects(outputs=tuple(draft.outputs), changed=changed)

    def _accept(self, draft: Draft, changed: dict[str, bytes | None], now_ms: int) -> None:
        self._now_ms = now_ms
        self._numbers |= draft.numbers
        for inspection, state in draft.states.items():
            self._keep(inspection, state, changed[inspection])
        self.tally.add(draft.tally)

    def _keep(self, inspection: str, state: State | None, packed: bytes | None) -> None:
        """What waits for nothing stays packed: there are ten minutes of it."""
        before = self._states.pop(inspection, None)
        self._held += isinstance(state, Held) - isinstance(before, Held)
        self._waiting += _waits(state) - _waits(before)
        if state is None or packed is None:
            return
        self._states[inspection] = packed if state.due_ms is None else state
        if state.due_ms is not None and (before is None or isinstance(before, bytes) or before.due_ms != state.due_ms):
            self._due.set(state.due_ms, inspection)
        if state.forget_ms is not None:
            self._old.set(state.forget_ms, inspection)


def _waits(state: bytes | State | None) -> bool:
    return state is not None and not isinstance(state, bytes) and state.due_ms is not None
