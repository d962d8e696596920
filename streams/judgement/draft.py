"""All that one record changes in a partition's memory, kept apart until the step has succeeded. Knows no message but verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.envelope import Record
from schemas.ids import InspectionId
from schemas.verdict import VerdictV1
from streams.judgement import memory
from streams.judgement.memory import Interval
from streams.judgement.part import Held, State

NUMBERS = "~numbers/"


@dataclass(slots=True)
class Tally:
    """What happened, for metrics only.

    announced: by station; verdicts: new ones; copies, conflicts: by kind of evidence; dead: by reason.
    """

    announced: Counter[str] = field(default_factory=Counter)
    verdicts: list[VerdictV1] = field(default_factory=list)
    copies: Counter[str] = field(default_factory=Counter)
    conflicts: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    ignored: int = 0

    def add(self, other: Tally) -> None:
        self.announced += other.announced
        self.verdicts += other.verdicts
        self.copies += other.copies
        self.conflicts += other.conflicts
        self.dead += other.dead
        self.ignored += other.ignored

    def taken(self) -> Tally:
        """A copy; this one is empty afterwards."""
        taken = Tally()
        taken.add(self)
        self.verdicts.clear()
        for counter in (self.announced, self.copies, self.conflicts, self.dead):
            counter.clear()
        self.ignored = 0
        return taken


class Draft:
    """Reads fall through to the memory below; writes stay here. held: how many inspections wait for their announcement."""

    def __init__(self, states: Mapping[str, bytes | State], numbers: Mapping[str, tuple[Interval, ...]], held: int) -> None:
        self.states: dict[str, State | None] = {}
        self.numbers: dict[str, tuple[Interval, ...]] = {}
        self.outputs: list[Record] = []
        self.tally = Tally()
        self.held = held
        self._read: dict[str, State | None] = {}
        self._states = states
        self._numbers = numbers

    def state(self, inspection: str) -> State | None:
        if inspection in self.states:
            return self.states[inspection]
        if inspection not in self._read:
            found = self._states.get(inspection)
            self._read[inspection] = memory.load(found) if isinstance(found, bytes) else found
        return self._read[inspection]

    def put(self, inspection: str, state: State | None) -> None:
        self.held += isinstance(state, Held) - isinstance(self.state(inspection), Held)
        self.states[inspection] = state

    def forgotten(self, inspection: InspectionId) -> bool:
        """Whether it was judged so long ago that only its number is left."""
        return memory.contains(self._intervals(_key(inspection)), inspection.n)

    def forget_all_but_number(self, inspection: InspectionId) -> None:
        key = _key(inspection)
        self.numbers[key] = memory.with_number(self._intervals(key), inspection.n)

    def changed(self) -> dict[str, bytes | None]:
        """As entries of the changelog."""
        entries = {key: None if state is None else memory.dump(state) for key, state in self.states.items()}
        return entries | {key: memory.dump_numbers(found) for key, found in self.numbers.items()}

    def _intervals(self, key: str) -> tuple[Interval, ...]:
        return self.numbers.get(key) or self._numbers.get(key, ())


def _key(inspection: InspectionId) -> str:
    return f"{NUMBERS}{inspection.station}:{inspection.epoch}"
