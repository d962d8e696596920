"""What judged the parts: policies and model sets with the parts that they judged, and who changed what in the window, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.spc import LimitsActV1, StageBreakV1
from streams.wiring.adapters.database.ask_monitors import Act
from streams.wiring.adapters.database.ask_parts import Versions
from streams.wiring.report.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """n parts of all purposes were judged by this pair. *_title: what people call the version; None where it is not known."""

    station: str
    product: str
    policy: str | None
    policy_title: str | None
    model_set: str | None
    model_set_title: str | None
    n: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An act within the window. what: `policy_in_force`, `freeze limits`, ...; where: place, or station, product and chart."""

    at: datetime
    what: str
    where: str
    version: str
    title: str | None
    who: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBreak:
    at: datetime
    station: str
    product: str
    series: str
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    used: tuple[Used, ...]
    changes: tuple[Change, ...]
    stages: tuple[StageBreak, ...]


def lineage(
    versions: Iterable[Versions],
    acts: Iterable[Act],
    limit_acts: Iterable[LimitsActV1],
    stages: Iterable[StageBreakV1],
    titles: Mapping[str, str],
    window: Window,
) -> Lineage:
    changes = [*(_act(one, titles) for one in acts), *(_limits_act(one) for one in limit_acts)]
    return Lineage(
        used=tuple(_used(one, titles) for one in versions),
        changes=tuple(sorted(changes, key=lambda one: one.at)),
        stages=tuple(
            StageBreak(at=one.at, station=one.station, product=one.product, series=one.series, changed=one.changed)
            for one in stages
            if one.previous is not None and window.begin <= one.at < window.end
        ),
    )


def _used(one: Versions, titles: Mapping[str, str]) -> Used:
    return Used(
        station=one.station,
        product=one.product,
        policy=one.policy,
        policy_title=titles.get(one.policy or ""),
        model_set=one.model_set,
        model_set_title=titles.get(one.model_set or ""),
        n=one.n,
        first_at=one.first_at,
        last_at=one.last_at,
    )


def _act(one: Act, titles: Mapping[str, str]) -> Change:
    title = titles.get(one.digest)
    return Change(at=one.at, what=one.act, where=one.place, version=one.digest, title=title, who=one.who, why=one.why)


def _limits_act(one: LimitsActV1) -> Change:
    where = f"{one.station} {one.product} {one.series} {one.characteristic}"
    removed = f"{len(one.subgroups)} subgroups" if one.subgroups else ""
    return Change(at=one.at, what=f"{one.act} limits", where=where, version=removed, title=None, who=one.who, why=one.why)
