"""The stations of one partition of verdict.v1: records in, what each changes and says out. Knows no clock and no alarm.

A station's memory, lines and courses are objects that are replaced, never mutated, so that their bytes are made only where the
changelog needs them. What came from there stays packed until it is asked for. Entries of the changelog: `station` its memory,
`station|product` a line, `station|product|series` a course.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from schemas.codec import Reader, record_of
from schemas.envelope import ContractError, Received, Record
from schemas.spc import LimitsActV1, PlanV1
from schemas.verdict import VerdictV1
from streams.effects import Pack
from streams.monitors.spc.course import Course, Output
from streams.monitors.spc.memory import Line, Memory, Turn
from streams.monitors.spc.packing import course_of, line_of, memory_of, pack_course, pack_line, pack_memory
from streams.monitors.spc.part import part_of
from streams.monitors.spc.station import due_ms, judge, pass_time, register

_READER = Reader(VerdictV1, PlanV1, LimitsActV1)
Kind = TypeVar("Kind")


class Done(NamedTuple):
    """What one record, or time, made of a station. turn: None where nothing changed."""

    station: str
    turn: Turn | None
    changed: Mapping[str, Pack]

    @property
    def said(self) -> list[Output]:
        return [] if self.turn is None else self.turn.said

    @property
    def outputs(self) -> list[Record]:
        return [
            record_of(one.message, id=one.id, station=self.station, subject=one.subject, time=getattr(one.message, "at", None))
            for one in self.said
        ]


class Stations:
    """restore, then the rest; a call that raises has changed nothing."""

    def __init__(self) -> None:
        self._memories: dict[str, bytes | Memory] = {}
        self._lines: dict[str, bytes | Line] = {}
        self._courses: dict[str, bytes | Course] = {}

    def __len__(self) -> int:
        return len(self._memories)

    def courses(self) -> list[tuple[str, bytes | Course]]:
        """By `station|product|series`, packed or not. Safe on any thread."""
        return list(self._courses.items())

    def restore(self, key: str, value: bytes | None) -> None:
        """Take one entry of the changelog, in log order."""
        kept: tuple[dict[str, Any], ...] = (self._memories, self._lines, self._courses)
        held = kept[key.count("|")]
        if value is None:
            held.pop(key, None)
        else:
            held[key] = value

    def take(self, record: Received) -> Done | None:
        """One record of verdict.v1 or spc.v1; None where it is not for us: what spc said itself comes back too.

        Raises ContractError, Unprocessable (see `station.register`).
        """
        read = _READER.read(record)
        if read is None:
            return None
        message = read[1]
        assert isinstance(message, VerdictV1 | PlanV1 | LimitsActV1)
        name = message.station
        if record.key != name.encode():
            raise ContractError("bad_header", f"the key is no {name}")
        shelf = _Shelf(self, name)
        if isinstance(message, VerdictV1):
            part, stage = part_of(message, record.timestamp_ms)
            after, turn = judge(self._memory(name), shelf, part, stage, record.offset)
        else:
            after, turn = register(self._memory(name), shelf, message, record.offset, record.timestamp_ms)
        return self._keep(name, after, turn)

    def due(self, name: str) -> int | None:
        """Log time when time alone has something to do at this station."""
        return due_ms(self._memory(name), _Shelf(self, name))

    def pass_time(self, name: str, now_ms: int) -> Done:
        """now_ms: see `station.pass_time`."""
        return self._keep(name, *pass_time(self._memory(name), _Shelf(self, name), now_ms))

    def read(self) -> int:
        """An offset of verdict.v1 that was read, by what was asked of so far; -1 where nothing was."""
        return max((memory.verdicts for memory in self._memories.values() if isinstance(memory, Memory)), default=-1)

    def line(self, key: str) -> Line | None:
        return _opened(self._lines, key, line_of)

    def course(self, key: str) -> Course | None:
        return _opened(self._courses, key, course_of)

    def _memory(self, name: str) -> Memory:
        return _opened(self._memories, name, memory_of) or Memory(station=name)

    def _keep(self, name: str, after: Memory, turn: Turn | None) -> Done:
        if turn is None:
            return Done(name, None, {})
        self._memories[name] = after
        changed: dict[str, Pack] = {name: partial(pack_memory, after)}
        for product, line in turn.lines.items():
            self._lines[f"{name}|{product}"] = line
            changed[f"{name}|{product}"] = partial(pack_line, line)
        for key, course in turn.courses.items():
            self._courses[f"{name}|{key}"] = course
            changed[f"{name}|{key}"] = partial(pack_course, course)
        return Done(name, turn, changed)


class _Shelf:
    """A station's cold parts."""

    def __init__(self, stations: Stations, name: str) -> None:
        self._stations, self._name = stations, name

    def line(self, product: str) -> Line | None:
        return self._stations.line(f"{self._name}|{product}")

    def course(self, key: str) -> Course | None:
        return self._stations.course(f"{self._name}|{key}")


def _opened(held: dict[str, bytes | Kind], key: str, unpack: Callable[[bytes], Kind]) -> Kind | None:
    found = held.get(key)
    if isinstance(found, bytes):
        found = held[key] = unpack(found)
    return found
