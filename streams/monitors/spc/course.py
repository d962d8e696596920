"""One series of one product: its closed subgroups, and the charts of the stage that runs. The part of a memory that is cold.

What is remembered is bounded: CLOSED subgroups can still be corrected, KEPT ones give limits anew. Knows no sequence, no rule of
when a subgroup is full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from schemas.common import Message
from schemas.spc import CharacteristicV1, SeriesV1
from streams.monitors.spc.facts import Lite
from streams.monitors.spc.kinds import Fitted
from streams.monitors.spc.part import Stage
from streams.monitors.spc.rules import RulesState
from streams.monitors.spc.tally import Tally

CLOSED, KEPT, REVISED = 48, 60, 4096
GAPS = ("g", "t")


class Output(NamedTuple):
    """A message for spc.v1, its id and what it is about."""

    id: str
    subject: str
    message: Message


class Where(NamedTuple):
    station: str
    product: str
    series: str


class Signalled(NamedTuple):
    """A signal that stands. points: numbers of the subgroups that make the pattern."""

    number: int
    rule: str
    direction: Literal["high", "low", "both"]
    points: tuple[int, ...]
    value: float
    z: float | None = None
    again: bool = False


class Shown(NamedTuple):
    """The newest point as a wall shows it."""

    value: float
    center: float
    lcl: float
    ucl: float
    signals: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """version: limits made so far in this stage. base: the rules before the first subgroup that is kept; rules: after the last.

    spread_base, spread: the same of the chart of scatter. standing: signals of the kept subgroups.
    """

    limits: Fitted | None = None
    version: int = 0
    status: Literal["trial", "frozen"] = "trial"
    approved_by: str | None = None
    why: str | None = None
    at_ms: int = 0
    removed: tuple[tuple[int, str], ...] = ()
    base: RulesState = field(default_factory=RulesState)
    rules: RulesState = field(default_factory=RulesState)
    spread_base: RulesState = field(default_factory=RulesState)
    spread: RulesState = field(default_factory=RulesState)
    shown: Shown | None = None
    standing: tuple[Signalled, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A subgroup that takes no more parts in order. revision: published last, -1 before the first; due_ms: when that is due."""

    tally: Tally
    due_ms: int
    revision: int = -1


class Cut(NamedTuple):
    """What the subgroups of a stage were made by."""

    stage: Stage
    series: SeriesV1


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """stage_id: of the charts; software: it follows another one; carried: its limits were said to be over.

    stages: of the closed subgroups and of the charts. history: subgroups of this stage, for limits; rare: those with gaps.
    newest: stage and number of the subgroup closed last. gone: (epoch, n), parts up to it can be changed no more. changes: how
    often what was published was changed, by a correction or a person; each may take a signal back that another brings again.
    """

    stage_id: str = ""
    software: bool = False
    carried: bool = False
    stages: Mapping[str, Cut] = field(default_factory=dict)
    closed: tuple[Closed, ...] = ()
    history: tuple[Lite, ...] = ()
    rare: tuple[Lite, ...] = ()
    charts: Mapping[str, Chart] = field(default_factory=dict)
    newest: tuple[str, int] = ("", -1)
    gone: tuple[int, int] | None = None
    changes: int = 0

    def next_number(self, stage_id: str) -> int:
        return self.newest[1] + 1 if self.newest[0] == stage_id else 0

    @property
    def characteristics(self) -> tuple[CharacteristicV1, ...]:
        """Of the stage whose charts run."""
        cut = self.stages.get(self.stage_id)
        return () if cut is None else cut.series.characteristics

    def history_of(self, one: CharacteristicV1) -> tuple[Lite, ...]:
        return self.rare if one.chart in GAPS else self.history
