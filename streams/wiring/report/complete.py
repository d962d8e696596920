"""Whether everything is there: announced against judged, holes in the numbers, copies and conflicts, what the data lack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.ids import inspection_id
from streams.wiring.adapters.database.ask_monitors import Gap as Lost
from streams.wiring.adapters.database.ask_parts import Reconciled
from streams.wiring.adapters.database.ask_report import Hole
from streams.wiring.report.facts import Facts, OnBus
from streams.wiring.report.window import local
from streams.wiring.report.words import count, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Numbers first to last of a station: neither announced nor judged."""

    first: str
    last: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """All purposes. missing: announced and not judged, by name; unannounced: judged, with no announcement in the database."""

    station: str
    announced: int
    judged: int
    missing: tuple[str, ...]
    unannounced: int
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """copies, conflicts: of verdict.v1, None where no Kafka was asked. A copy is harmless; a conflict must never happen."""

    stations: tuple[Station, ...]
    announced: int
    judged: int
    missing: int
    gap_numbers: int
    copies: int | None
    conflicts: tuple[str, ...] | None

    @property
    def complete(self) -> bool:
        return not self.missing and not self.gap_numbers and not self.conflicts and all(not s.unannounced for s in self.stations)


def reconciliation(found: Sequence[Reconciled], holes: Iterable[Hole], bus: OnBus | None) -> Reconciliation:
    gaps: dict[str, list[Gap]] = {}
    for hole in holes:
        ends = [str(inspection_id(hole.station, hole.epoch, n)) for n in (hole.first, hole.last)]
        gaps.setdefault(hole.station, []).append(Gap(first=ends[0], last=ends[1], n=hole.last - hole.first + 1))
    stations = tuple(
        Station(
            station=one.station,
            announced=one.announced,
            judged=one.judged,
            missing=one.missing,
            unannounced=one.unannounced,
            gaps=tuple(gaps.get(one.station, ())),
        )
        for one in found
    )
    return Reconciliation(
        stations=stations,
        announced=sum(one.announced for one in stations),
        judged=sum(one.judged for one in stations),
        missing=sum(one.announced - (one.judged - one.unannounced) for one in stations),
        gap_numbers=sum(gap.n for one in stations for gap in one.gaps),
        copies=None if bus is None else bus.copies,
        conflicts=None if bus is None else bus.conflicts,
    )


def lacking(facts: Facts) -> tuple[str, ...]:
    """What stands above everything else: why figures may be incomplete."""
    window = facts.question.window
    zone = window.zone
    found = []
    if facts.now < window.end:
        found.append(f"The window ends at {local(window.end, zone)}; this is its state at {local(facts.now, zone)}.")
    if facts.kept_since is not None and facts.kept_since > window.begin:
        found.append(f"Parts before {local(facts.kept_since, zone)} were removed from the database: they are not counted.")
    if facts.rebuilding:
        found.append("The database is being made anew, or that was cut off: what it lacks comes with `db rebuild` or a sink.")
    found += [_lost(one, zone) for one in facts.lost if one.noticed_at >= window.begin]
    return (*found, *_behind(facts.bus, facts.newest, zone))


def _lost(gap: Lost, zone: str) -> str:
    at, place = local(gap.noticed_at, zone), f"{gap.topic}, partition {gap.partition}"
    if gap.first_left < gap.wanted:
        begins = f"it begins with record {gap.first_left:,}, where record {gap.wanted:,} was next"
        return f"The log of {place}, was cut or made anew: {begins}. What was not read before is gone ({at})."
    return f"{count(gap.first_left - gap.wanted, 'record')} of {place}, were gone before the database read them ({at})."


def _behind(bus: OnBus | None, newest: datetime | None, zone: str) -> list[str]:
    if bus is None:
        last = "it holds no part" if newest is None else f"its newest part is of {local(newest, zone)}"
        return [f"Kafka was not asked: how far the database is behind, copies and conflicts are not known; {last}."]
    behind = {topic: n for topic, n in sorted(bus.behind.items()) if n}
    if not behind:
        return []
    named = listed([f"{n:,} of {topic}" for topic, n in behind.items()], 4)
    return [f"The database has not read {count(sum(behind.values()), 'record')} yet: {named}. Figures can still grow."]
