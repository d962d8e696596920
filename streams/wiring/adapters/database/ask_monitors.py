"""Questions about charts, drift, challenges, acts and versions: mostly the messages themselves, as they were sent. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Table, func, select

from schemas.baseline import BaselineStateV1
from schemas.challenge import ChallengeResultV1, DetectionLimitV1, StationProofV1, SuspectWindowV1
from schemas.common import Message
from schemas.drift import DriftEventV1
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from schemas.spc import LimitsActV1, LimitsV1, SignalV1, StageBreakV1, SubgroupV1
from streams.wiring.adapters.database import tables as t
from streams.wiring.adapters.database.ask_parts import time_of
from streams.wiring.adapters.database.scope import Scope, within
from streams.wiring.adapters.database.store import KEPT_SINCE, REBUILDING

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who put what in force, or took it out. place: `current/...`."""

    act: str
    place: str
    digest: str
    who: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Records that Kafka's retention had removed before the sink read them: offsets wanted to first_left - 1."""

    topic: str
    partition: int
    wanted: int
    first_left: int
    noticed_at: datetime


def subgroups(connection: Connection, scope: Scope) -> tuple[SubgroupV1, ...]:
    """The highest revision of each, by their end."""
    return _messages(connection, t.SPC_SUBGROUPS, SubgroupV1, *within(scope, t.SPC_SUBGROUPS))


def signals(connection: Connection, scope: Scope) -> tuple[SignalV1, ...]:
    """As they stand: a corrected subgroup has made some of them `superseded`."""
    return _messages(connection, t.SPC_SIGNALS, SignalV1, *within(scope, t.SPC_SIGNALS))


def limits(connection: Connection, scope: Scope) -> tuple[LimitsV1, ...]:
    """Of every stage of these stations and products, whenever they were made: a chart needs those of its stage_id."""
    return _messages(connection, t.SPC_LIMITS, LimitsV1, *within(_always(scope), t.SPC_LIMITS))


def stages(connection: Connection, scope: Scope) -> tuple[StageBreakV1, ...]:
    return _messages(connection, t.SPC_STAGES, StageBreakV1, *within(scope, t.SPC_STAGES))


def limit_acts(connection: Connection, scope: Scope) -> tuple[LimitsActV1, ...]:
    return _messages(connection, t.SPC_ACTS, LimitsActV1, *within(scope, t.SPC_ACTS))


def drift_events(connection: Connection, scope: Scope) -> tuple[DriftEventV1, ...]:
    return _messages(connection, t.DRIFT_EVENTS, DriftEventV1, *within(scope, t.DRIFT_EVENTS))


def baseline_states(connection: Connection, scope: Scope) -> tuple[BaselineStateV1, ...]:
    """As drift sees each score stream now."""
    return _messages(connection, t.BASELINE_STATES, BaselineStateV1, *within(_always(scope), t.BASELINE_STATES))


def challenge_results(connection: Connection, scope: Scope) -> tuple[ChallengeResultV1, ...]:
    return _messages(connection, t.CHALLENGE_RESULTS, ChallengeResultV1, *within(scope, t.CHALLENGE_RESULTS))


def proofs(connection: Connection, scope: Scope) -> tuple[StationProofV1, ...]:
    """What each station, product and kind of proof stood on at the end of the scope; as it stands now without an end."""
    c = t.CHALLENGE_PROOFS.c
    mine = within(_until(scope), t.CHALLENGE_PROOFS)
    key = (c.station, c.product, c.proof)
    newest = select(*key, func.max(c.at_us).label("at_us")).where(*mine).group_by(*key).subquery()
    same = (c.station == newest.c.station) & (c.product == newest.c.product) & (c.proof == newest.c.proof)
    query = select(c.data).join(newest, same & (c.at_us == newest.c.at_us)).order_by(*key)
    return tuple(StationProofV1.read(data.encode()) for (data,) in connection.execute(query))


def suspect_windows(connection: Connection, scope: Scope) -> tuple[SuspectWindowV1, ...]:
    return _messages(connection, t.SUSPECT_WINDOWS, SuspectWindowV1, *within(scope, t.SUSPECT_WINDOWS))


def detection_limits(connection: Connection, scope: Scope) -> tuple[DetectionLimitV1, ...]:
    return _messages(connection, t.DETECTION_LIMITS, DetectionLimitV1, *within(scope, t.DETECTION_LIMITS))


def acts(connection: Connection, scope: Scope) -> tuple[Act, ...]:
    """All of that time, oldest first: an act names a place, and not always a station."""
    rows = connection.execute(select(t.ACTS).where(*within(scope, t.ACTS)).order_by(t.ACTS.c.at_us))
    return tuple(map(act_of, rows))


def act_of(row: Row[Any]) -> Act:
    return Act(act=row.act, place=row.place, digest=row.digest, who=row.who, why=row.why, at=time_of(row.at_us))


def policies(connection: Connection) -> Mapping[str, PolicyV1]:
    """Every version, by digest."""
    return _versions(connection, t.POLICIES, PolicyV1)


def model_sets(connection: Connection) -> Mapping[str, ModelSetV1]:
    """Every version, by digest, with its calibration scores."""
    return _versions(connection, t.MODEL_SETS, ModelSetV1)


def gaps(connection: Connection) -> tuple[Gap, ...]:
    """What the database lacks for good."""
    rows = connection.execute(select(t.GAPS).order_by(t.GAPS.c.noticed_us))
    return tuple(
        Gap(topic=r.topic, partition=r.partition_no, wanted=r.wanted, first_left=r.first_left, noticed_at=time_of(r.noticed_us))
        for r in rows
    )


def kept_since(connection: Connection) -> datetime | None:
    """Older parts were removed by the database's retention; None: nothing was."""
    found = _mark(connection, KEPT_SINCE)
    return None if found is None else time_of(int(found))


def rebuilding(connection: Connection) -> bool:
    """Whether `db rebuild` is at work, or was cut off and no sink has begun anew since."""
    return _mark(connection, REBUILDING) is not None


def _mark(connection: Connection, name: str) -> str | None:
    c = t.MARKS.c
    return connection.execute(select(c.value).where(c.name == name)).scalar_one_or_none()


def read_until(connection: Connection) -> dict[tuple[str, int], int]:
    """(topic, partition) -> the offset that the sink has read up to."""
    return {(row.topic, row.partition_no): row.next_offset for row in connection.execute(select(t.POSITIONS))}


def _messages(connection: Connection, table: Table, kind: type[M], *conditions: ColumnElement[bool]) -> tuple[M, ...]:
    query = select(table.c.data).where(*conditions).order_by(table.c.at_us, *table.primary_key.columns)
    return tuple(kind.read(data.encode()) for (data,) in connection.execute(query))


def _versions(connection: Connection, table: Table, kind: type[M]) -> dict[str, M]:
    rows: Any = connection.execute(select(table.c.digest, table.c.data))
    return {digest: kind.read(data.encode()) for digest, data in rows}


def _always(scope: Scope) -> Scope:
    return Scope(stations=scope.stations, products=scope.products, lots=scope.lots, purposes=scope.purposes)


def _until(scope: Scope) -> Scope:
    return Scope(end=scope.end, stations=scope.stations, products=scope.products, purposes=scope.purposes)
