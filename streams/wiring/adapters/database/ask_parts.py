"""Questions about parts: how many got which verdict and why, what people said, what is missing. Reads; judges nothing.

Every count is of inspections with their effective verdict, unless it says otherwise. `first` is revision 1: what the policy
said before anybody looked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, select

from schemas.common import Disposition
from schemas.envelope import from_millis
from streams.wiring.adapters.database.scope import Scope, within
from streams.wiring.adapters.database.standing import standing
from streams.wiring.adapters.database.tables import ANNOUNCED, FAILED, INSPECTIONS, LABELS, REVISIONS

_I, _A, _R = INSPECTIONS.c, ANNOUNCED.c, REVISIONS.c
_BAD = ("rework", "scrap")
_JUDGED = _I.inspection == _A.inspection


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """n inspections of these. label: the accepted class, `unknown`, or None where there is no classifier."""

    station: str
    product: str
    purpose: str
    disposition: Disposition
    label: str | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """One station's announced and judged inspections of all purposes. missing: announced, without any verdict, by number.

    unannounced: judged, but no announcement is in the database (it was lost to retention, or could not be read). holes:
    numbers between the first and the last one seen that neither was announced nor judged.
    """

    station: str
    announced: int
    judged: int
    missing: tuple[str, ...]
    unannounced: int
    holes: int

    @property
    def complete(self) -> bool:
        return not self.missing and not self.unannounced and not self.holes


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """n inspections that a person decided: what the policy had said, whether it was a pass drawn for audit, what stands now."""

    product: str
    first: Disposition
    audit: bool
    now: Disposition
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Passes that were drawn for blind review: drawn, of these decided by a person as good or bad, of these bad."""

    product: str
    passes: int
    drawn: int
    reviewed: int
    bad: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One inspection as it stands. codes: of its reasons. at: of capture."""

    inspection: str
    station: str
    product: str
    lot: str | None
    tool: str | None
    serial: str | None
    purpose: str
    revision: int
    disposition: Disposition
    label: str | None
    decided_by: str
    who: str | None
    late: bool
    audit: bool
    at: datetime
    decided_at: datetime
    codes: tuple[str, ...]
    policy: str | None
    model_set: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """n pieces of `failed` evidence of this kind."""

    station: str
    by: str
    reason: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """n inspections that were stamped with this pair, from the first to the last of them."""

    station: str
    product: str
    policy: str | None
    model_set: str | None
    n: int
    first_at: datetime
    last_at: datetime


def counts(connection: Connection, scope: Scope) -> tuple[Count, ...]:
    """By station, product, purpose, disposition and label: the Pareto is in it. `purposes=()` counts all purposes."""
    groups = (_I.station, _I.product, _I.purpose, _I.disposition, _I.label)
    rows = connection.execute(select(*groups, func.count().label("n")).where(*within(scope, INSPECTIONS)).group_by(*groups))
    return tuple(sorted((Count(**row) for row in rows.mappings()), key=lambda one: (one.station, one.product, -one.n)))


def reason_codes(connection: Connection, scope: Scope, *dispositions: Disposition) -> Counter[str]:
    """How many inspections with one of these dispositions give this reason (one can give several)."""
    rows = connection.execute(select(_I.reasons).where(*within(scope, INSPECTIONS), _I.disposition.in_(dispositions)))
    return Counter(code for (text,) in rows for code in {why["code"] for why in json.loads(text)})


def reconciliation(connection: Connection, scope: Scope, most: int = 1000) -> tuple[Reconciled, ...]:
    """By station. At most so many missing ones are named for all stations together; all of them are counted as announced."""
    mine, judged = within(scope, ANNOUNCED), within(scope, INSPECTIONS)
    announced = _by_station(connection, select(_A.station, func.count()).where(*mine).group_by(_A.station))
    found = _by_station(connection, select(_I.station, func.count()).where(*judged).group_by(_I.station))
    lost = select(_A.station, _A.inspection).outerjoin_from(ANNOUNCED, INSPECTIONS, _JUDGED)
    missing: dict[str, list[str]] = {}
    for station, inspection in connection.execute(lost.where(*mine, _I.inspection.is_(None)).order_by(_A.inspection).limit(most)):
        missing.setdefault(station, []).append(inspection)
    strange = select(_I.station, func.count()).outerjoin_from(INSPECTIONS, ANNOUNCED, _JUDGED)
    unannounced = _by_station(connection, strange.where(*judged, _A.inspection.is_(None)).group_by(_I.station))
    holes = _holes(connection, scope)
    return tuple(
        Reconciled(
            station=station,
            announced=announced.get(station, 0),
            judged=found.get(station, 0),
            missing=tuple(missing.get(station, ())),
            unannounced=unannounced.get(station, 0),
            holes=holes.get(station, 0),
        )
        for station in sorted({*announced, *found})
    )


def _holes(connection: Connection, scope: Scope) -> dict[str, int]:
    """Numbers of a station and epoch are gapless, over all purposes, products and lots: so no other condition may cut in."""
    wide = Scope(begin=scope.begin, end=scope.end, stations=scope.stations, purposes=())
    both = (
        select(_A.station, _A.epoch, _A.n)
        .where(*within(wide, ANNOUNCED))
        .union(select(_I.station, _I.epoch, _I.n).where(*within(wide, INSPECTIONS)))
        .subquery()
    )
    c = both.c
    rows = connection.execute(select(c.station, func.max(c.n) - func.min(c.n) + 1 - func.count()).group_by(c.station, c.epoch))
    found: Counter[str] = Counter()
    for station, holes in rows:
        found[station] += holes
    return dict(found)


def _by_station(connection: Connection, query: Select[Any]) -> dict[str, int]:
    return {station: n for station, n in connection.execute(query)}


def looked_at(connection: Connection, scope: Scope) -> tuple[Looked, ...]:
    """What people made of the policy's verdicts: true and false rejects, and audited passes. Reviews without a label count."""
    first = _R.disposition.label("first")
    groups = (_I.product, first, _R.audit, _I.disposition.label("now"))
    query = select(*groups, func.count().label("n")).join_from(
        INSPECTIONS, REVISIONS, and_(_R.inspection == _I.inspection, _R.revision == 1)
    )
    rows = connection.execute(query.where(*within(scope, INSPECTIONS), _I.decided_by == "person").group_by(*groups))
    return tuple(Looked(**row) for row in rows.mappings())


def audits(connection: Connection, scope: Scope) -> tuple[Audit, ...]:
    """By product: the blind sample of the passes (revision 1), for the bound of escapes."""
    query = select(_I.product, _R.audit, _I.decided_by, _I.disposition, func.count()).join_from(
        INSPECTIONS, REVISIONS, and_(_R.inspection == _I.inspection, _R.revision == 1)
    )
    groups = (_I.product, _R.audit, _I.decided_by, _I.disposition)
    rows = connection.execute(query.where(*within(scope, INSPECTIONS), _R.disposition == "pass").group_by(*groups)).all()
    return tuple(_audit(product, [row for row in rows if row[0] == product]) for product in sorted({row[0] for row in rows}))


def _audit(product: str, rows: Sequence[Any]) -> Audit:
    drawn = [row for row in rows if row[1]]
    reviewed = [row for row in drawn if row[2] == "person" and row[3] in ("pass", *_BAD)]
    return Audit(
        product=product,
        passes=sum(row[4] for row in rows),
        drawn=sum(row[4] for row in drawn),
        reviewed=sum(row[4] for row in reviewed),
        bad=sum(row[4] for row in reviewed if row[3] in _BAD),
    )


def open_reviews(connection: Connection, scope: Scope, most: int = 1000) -> tuple[Part, ...]:
    """Inspections that wait for a person: `review` that nobody has decided, oldest first. Audited passes: `open_audits`.

    Challenge parts do not: what becomes of them is nobody's to decide.
    """
    return _parts(connection, scope, most, _I.disposition == "review", _I.decided_by == "policy", _I.purpose != "challenge")


def open_audits(connection: Connection, scope: Scope, most: int = 1000) -> tuple[Part, ...]:
    """Passes drawn for blind review that nobody has decided, oldest first."""
    return _parts(connection, scope, most, _I.audit.is_(True), _I.decided_by == "policy")


def parts(connection: Connection, scope: Scope, *dispositions: Disposition, most: int = 1000) -> tuple[Part, ...]:
    """Oldest first; without dispositions all of them."""
    return _parts(connection, scope, most, *([_I.disposition.in_(dispositions)] if dispositions else []))


def parts_of_serial(connection: Connection, serial: str) -> tuple[Part, ...]:
    """Every visit of a part to any station, oldest first."""
    return _parts(connection, Scope(purposes=()), 1000, _I.serial == serial)


def part(connection: Connection, inspection: str) -> Part | None:
    return next(iter(_parts(connection, Scope(purposes=()), 1, _I.inspection == inspection)), None)


def _parts(connection: Connection, scope: Scope, most: int, *conditions: ColumnElement[bool]) -> tuple[Part, ...]:
    query = select(INSPECTIONS).where(*within(scope, INSPECTIONS), *conditions).order_by(_I.at_us, _I.inspection).limit(most)
    return tuple(part_of(row) for row in connection.execute(query))


def part_of(row: Row[Any]) -> Part:
    return Part(
        **{name: getattr(row, name) for name in _COPIED},
        at=time_of(row.at_us),
        decided_at=time_of(row.decided_us),
        codes=tuple(why["code"] for why in json.loads(row.reasons)),
    )


_COPIED = tuple(name for name in Part.__dataclass_fields__ if name not in ("at", "decided_at", "codes"))


def failures(connection: Connection, scope: Scope) -> tuple[Failure, ...]:
    """Stages that could not observe, by station, stage and reason. Those that do not say product or purpose always count."""
    c = FAILED.c
    groups = (c.station, c.by_stage.label("by"), c.reason)
    mine = within(Scope(begin=scope.begin, end=scope.end, stations=scope.stations, purposes=()), FAILED)
    pairs = ((c.product, scope.products), (c.purpose, scope.purposes))
    mine += [column.in_(allowed) | column.is_(None) for column, allowed in pairs if allowed]
    rows = connection.execute(select(*groups, func.count().label("n")).where(*mine).group_by(*groups))
    return tuple(sorted((Failure(**row) for row in rows.mappings()), key=lambda one: (one.station, -one.n)))


def versions_used(connection: Connection, scope: Scope) -> tuple[Versions, ...]:
    """Which policies and model sets judged these parts, in the order of their first part."""
    groups = (_I.station, _I.product, _I.policy, _I.model_set)
    found = (func.count().label("n"), func.min(_I.at_us).label("first_us"), func.max(_I.at_us).label("last_us"))
    rows = connection.execute(select(*groups, *found).where(*within(scope, INSPECTIONS)).group_by(*groups).order_by("first_us"))
    return tuple(
        Versions(
            station=row.station,
            product=row.product,
            policy=row.policy,
            model_set=row.model_set,
            n=row.n,
            first_at=time_of(row.first_us),
            last_at=time_of(row.last_us),
        )
        for row in rows
    )


def truths(connection: Connection, scope: Scope) -> dict[str, str]:
    """inspection -> `good` or `defect`, where people looked at it and labelled it: their newest word that nobody took back.

    Of several people the one who says `defect` counts; whoever is unsure says nothing.
    """
    c = LABELS.c
    wide = Scope(stations=scope.stations, products=scope.products)
    query = select(c.inspection, worst_answer()).where(*within(wide, LABELS), standing(), c.answer.in_(("good", "defect")))
    return {inspection: "defect" if bad else "good" for inspection, bad in connection.execute(query.group_by(c.inspection))}


def worst_answer() -> ColumnElement[int]:
    """Of labels of one part: 1 where one says `defect`, else 0."""
    return func.max(case((LABELS.c.answer == "defect", 1), else_=0))


def time_of(microseconds: int) -> datetime:
    return from_millis(0) + timedelta(microseconds=microseconds)
