"""What is remembered of a station: a small part that changes with every verdict, and colder parts of its products. No rules.

What one step changes of them is kept or lost together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from schemas.spc import LimitsActV1, PlanV1, SeriesV1
from streams.monitors.spc.course import Course, Cut, Output
from streams.monitors.spc.part import Part, Stage
from streams.monitors.spc.plans import default_series
from streams.monitors.spc.sequence import Order
from streams.monitors.spc.tally import Tally


class Newest(NamedTuple):
    """The part released last: when it was taken by the station's clock, when its verdict came by the log's."""

    captured_ms: int = 0
    at_ms: int = 0


class Queued(NamedTuple):
    """What a person said; it counts from its append time on, so it waits until verdict.v1 has come that far."""

    at_ms: int
    message: PlanV1 | LimitsActV1


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """verdicts, told: offsets read of verdict.v1 and spc.v1. clock_ms: log time. stages: of the parts that wait.

    opens: the open subgroup by `product|series`; dues: when the next closed one is to be published. excluded: parts of other
    purposes before a subgroup was open; unplaced: verdicts that changed none, since the last one closed.
    """

    station: str
    verdicts: int = -1
    told: int = -1
    clock_ms: int = 0
    order: Order = field(default_factory=Order)
    newest: Newest = field(default_factory=Newest)
    stages: Mapping[str, Stage] = field(default_factory=dict)
    opens: Mapping[str, Tally] = field(default_factory=dict)
    dues: Mapping[str, int] = field(default_factory=dict)
    excluded: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    unplaced: Mapping[str, int] = field(default_factory=dict)
    acts: tuple[Queued, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A product at the station. plan: None for the default. coming: one that the next part begins. labels, quantities: seen."""

    plan: PlanV1 | None = None
    coming: PlanV1 | None = None
    labels: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    stage: Stage = field(default_factory=Stage)
    stage_id: str = ""

    @property
    def series(self) -> tuple[SeriesV1, ...]:
        return self.plan.series if self.plan is not None else default_series(self.labels, self.quantities)

    def cut(self, name: str) -> Cut:
        """What the subgroups of a series are made by."""
        return Cut(self.stage, next(series for series in self.series if series.series == name))


class Shelf(Protocol):
    """The cold parts, as they were written last. course: by `product|series`."""

    def line(self, product: str) -> Line | None: ...

    def course(self, key: str) -> Course | None: ...


class Turn:
    """One step's working copy; parts that were changed are in `lines` and `courses`."""

    def __init__(self, memory: Memory, shelf: Shelf) -> None:
        self.memory, self._shelf = memory, shelf
        self.clock_ms, self.order, self.newest = memory.clock_ms, memory.order, memory.newest
        self.stages, self.opens, self.dues = dict(memory.stages), dict(memory.opens), dict(memory.dues)
        self.excluded, self.unplaced = dict(memory.excluded), dict(memory.unplaced)
        self.acts = list(memory.acts)
        self.lines: dict[str, Line] = {}
        self.courses: dict[str, Course] = {}
        self.said: list[Output] = []
        self.lost: list[str] = []
        """Why verdicts and acts changed nothing that they should have changed."""

    def line(self, product: str) -> Line:
        return self.lines.get(product) or self._shelf.line(product) or Line()

    def course(self, key: str) -> Course:
        return self.courses.get(key) or self._shelf.course(key) or Course()

    def saved(self) -> dict[str, Any]:
        """As it is now, for `go_back`."""
        return {name: value.copy() if isinstance(value, dict | list) else value for name, value in vars(self).items()}

    def go_back(self, saved: Mapping[str, Any]) -> None:
        vars(self).update(saved)

    def lose(self, key: str, part: Part, why: str) -> None:
        """A verdict that changes no subgroup: counted in the next one, and said."""
        self.unplaced[key] = self.unplaced.get(key, 0) + 1
        self.lost.append(f"{key} {part.epoch}-{part.n:012d} revision {part.revision}: {why}")

    def done(self, **changes: int) -> Memory:
        waiting = {part.stage for part in self.order.waiting}
        return replace(
            self.memory,
            clock_ms=self.clock_ms,
            order=self.order,
            newest=self.newest,
            stages={digest: stage for digest, stage in self.stages.items() if digest in waiting},
            opens=self.opens,
            dues=self.dues,
            excluded=self.excluded,
            unplaced=self.unplaced,
            acts=tuple(self.acts),
            **changes,  # type: ignore[arg-type]
        )
