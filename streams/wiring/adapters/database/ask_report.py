"""Questions that the shift report asks beyond those of parts and monitors: places, lots, truths, the audit, holes, versions.

Reads; judges nothing. Parts are inspections with their effective verdict; `first` is what the policy said before anybody looked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, and_, func, select, union

from schemas.challenge import StationProofV1
from schemas.common import Disposition
from schemas.ids import inspection_id
from schemas.spc import PlanV1
from streams.wiring.adapters.database.ask_parts import time_of, worst_answer
from streams.wiring.adapters.database.scope import Scope, within
from streams.wiring.adapters.database.standing import standing
from streams.wiring.adapters.database.tables import (
    ANNOUNCED,
    BASELINE_POINTERS,
    BASELINE_STATES,
    BASELINES,
    INSPECTIONS,
    LABELS,
    MODEL_SETS,
    POLICIES,
    REVISIONS,
    SPC_PLANS,
)
from streams.wiring.adapters.database.tally import drawn

_I, _R, _L = INSPECTIONS.c, REVISIONS.c, LABELS.c
_FIRST = and_(_R.inspection == _I.inspection, _R.revision == 1)
_BAD = ("rework", "scrap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Parts of all purposes. first_at, last_at: of their captures, over all stations and products in the scope."""

    lot: str
    products: tuple[str, ...]
    n: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """n parts of which people said what they are. by: their verdict, or a label where the verdict is not theirs."""

    product: str
    first: Disposition
    audit: bool
    truth: str
    by: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """n parts of which the policy said this."""

    product: str
    first: Disposition
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """n parts, or views of one, that two people looked at, the second blind."""

    product: str
    first: str
    second: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """n passes of the policy. probability: of being drawn for audit, None where it is not known.

    bad: of those drawn, None where nobody has said good or bad.
    """

    product: str
    probability: float | None
    drawn: bool
    bad: bool | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """n parts of a product that wait for a person."""

    product: str
    n: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Numbers first to last of a station and epoch were neither announced nor judged."""

    station: str
    epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The baseline that a score stream is judged against. who, why: of the act; None where drift made it of the calibration."""

    station: str
    product: str
    view: str
    baseline: str
    state: str
    since: datetime
    certificate_expired: bool
    origin: str | None
    generation: int | None
    scores: int | None
    who: str | None
    why: str | None
    put_at: datetime | None


def places(connection: Connection) -> tuple[tuple[str, str], ...]:
    """Every (station, product) of which a part was announced or judged."""
    both = select(_I.station, _I.product).union(select(ANNOUNCED.c.station, ANNOUNCED.c.product))
    return tuple(sorted((station, product) for station, product in connection.execute(both)))


def lots(connection: Connection, scope: Scope) -> tuple[Lot, ...]:
    """By their first part. Parts without a lot are in none."""
    found = (func.count(), func.min(_I.at_us), func.max(_I.at_us))
    query = (
        select(_I.lot, _I.product, *found).where(*within(scope, INSPECTIONS), _I.lot.is_not(None)).group_by(_I.lot, _I.product)
    )
    rows: dict[str, list[tuple[str, int, int, int]]] = {}
    for lot, product, n, first, last in connection.execute(query):
        rows.setdefault(lot, []).append((product, n, first, last))
    made = [
        Lot(
            lot=lot,
            products=tuple(sorted(row[0] for row in of_lot)),
            n=sum(row[1] for row in of_lot),
            first_at=time_of(min(row[2] for row in of_lot)),
            last_at=time_of(max(row[3] for row in of_lot)),
        )
        for lot, of_lot in rows.items()
    ]
    return tuple(sorted(made, key=lambda one: (one.first_at, one.lot)))


def firsts(connection: Connection, scope: Scope) -> tuple[First, ...]:
    """What the policy said of every part."""
    groups = (_I.product, _R.disposition.label("first"))
    query = select(*groups, func.count().label("n")).join_from(INSPECTIONS, REVISIONS, _FIRST)
    rows = connection.execute(query.where(*within(scope, INSPECTIONS)).group_by(*groups)).mappings()
    return tuple(First(**row) for row in rows)


def known_truths(connection: Connection, scope: Scope) -> tuple[Known, ...]:
    """What people said of parts: good or defect, with what the policy had said."""
    groups = (_I.product, _R.disposition, _R.audit, _I.disposition)
    query = select(*groups, func.count()).join_from(INSPECTIONS, REVISIONS, _FIRST)
    decided = query.where(*within(scope, INSPECTIONS), _I.decided_by == "person", _I.disposition.in_(("pass", *_BAD)))
    found: dict[tuple[str, Disposition, bool, str, str], int] = {}
    for product, first, audit, now, n in connection.execute(decided.group_by(*groups)):
        key = (product, first, bool(audit), "good" if now == "pass" else "defect", "verdict")
        found[key] = found.get(key, 0) + n
    for product, first, audit, truth in _labelled(connection, scope):
        key = (product, first, audit, truth, "label")
        found[key] = found.get(key, 0) + 1
    return tuple(
        Known(product=product, first=first, audit=audit, truth=truth, by=by, n=n)
        for (product, first, audit, truth, by), n in sorted(found.items())
    )


def _labelled(connection: Connection, scope: Scope) -> Iterable[tuple[str, Disposition, bool, str]]:
    """Parts that no person decided, but somebody looked at and labelled: as `ask_parts.truths` says."""
    part = (_I.inspection, _I.product, _R.disposition, _R.audit)
    query = select(*part, worst_answer()).join_from(LABELS, INSPECTIONS, _L.inspection == _I.inspection).join(REVISIONS, _FIRST)
    mine = (*within(scope, INSPECTIONS), _I.decided_by == "policy", standing(), _L.answer.in_(("good", "defect")))
    for _, product, first, audit, bad in connection.execute(query.where(*mine).group_by(*part)):
        yield product, first, bool(audit), "defect" if bad else "good"


def looked_twice(connection: Connection, scope: Scope) -> tuple[Twice, ...]:
    """First and second opinions that stand, of two people, on the same view, or both on the whole part."""
    columns = (_L.inspection, _L.view, _L.answer, _L.opinion, _L.who, _I.product)
    query = select(*columns).join_from(LABELS, INSPECTIONS, _L.inspection == _I.inspection).order_by(_L.log_offset)
    said: dict[tuple[str, str | None], dict[str, tuple[str, str, str]]] = {}
    for row in connection.execute(query.where(*within(scope, INSPECTIONS), standing())):
        said.setdefault((row.inspection, row.view), {})[row.opinion] = (row.who, row.answer, row.product)
    counts: dict[tuple[str, str, str], int] = {}
    for opinions in said.values():
        one, other = opinions.get("first"), opinions.get("second")
        if one is not None and other is not None and one[0] != other[0]:
            key = (one[2], one[1], other[1])
            counts[key] = counts.get(key, 0) + 1
    return tuple(Twice(product=key[0], first=key[1], second=key[2], n=n) for key, n in sorted(counts.items()))


def audited_passes(connection: Connection, scope: Scope) -> tuple[Passes, ...]:
    """Every pass of the policy: how likely its audit was, whether it was drawn, what people said of it (`tally.drawn`)."""
    groups = (_I.product, _R.audit_probability)
    query = select(*groups, func.count().label("n")).join_from(INSPECTIONS, REVISIONS, _FIRST)
    passed = (*within(scope, INSPECTIONS), _R.disposition == "pass")
    found: dict[tuple[str, float | None, bool, bool | None], int] = {}
    for row in connection.execute(query.where(*passed, _R.audit.is_(False)).group_by(*groups)):
        found[row.product, row.audit_probability, False, None] = row.n
    chances = _audit_chances(connection, scope)
    for row in connection.execute(drawn().where(*within(scope, INSPECTIONS))):
        bad = None if row.state == "open" else row.state == "bad"
        key = (row.product, row.probability or chances.get(row.inspection), True, bad)
        found[key] = found.get(key, 0) + 1
    return tuple(Passes(product=p, probability=q, drawn=d, bad=bad, n=n) for (p, q, d, bad), n in found.items())


def _audit_chances(connection: Connection, scope: Scope) -> dict[str, float]:
    """inspection -> with what probability it was drawn, as the label of its audit says: for verdicts that were stored before
    the database kept that.
    """
    query = select(_L.inspection, _L.data).join_from(LABELS, INSPECTIONS, _L.inspection == _I.inspection)
    rows = connection.execute(query.where(*within(scope, INSPECTIONS), _L.shown == "audit"))
    said = {inspection: json.loads(data).get("audit_probability") for inspection, data in rows}
    return {inspection: float(chance) for inspection, chance in said.items() if chance}


def late(connection: Connection, scope: Scope) -> int:
    """Parts that came after their deadline, whatever people made of them since."""
    query = select(func.count(func.distinct(_R.inspection))).join_from(INSPECTIONS, REVISIONS, _R.inspection == _I.inspection)
    return int(connection.execute(query.where(*within(scope, INSPECTIONS), _R.late.is_(True))).scalar_one())


def waiting(connection: Connection, scope: Scope) -> tuple[Waiting, ...]:
    """Parts on `review` that nobody has decided, by product, without challenge parts. `ask_parts.open_reviews` names them."""
    query = select(_I.product, func.count().label("n"), func.min(_I.at_us).label("oldest_us"))
    asked = (_I.disposition == "review", _I.decided_by == "policy", _I.purpose != "challenge")
    rows = connection.execute(query.where(*within(scope, INSPECTIONS), *asked).group_by(_I.product).order_by(_I.product))
    return tuple(Waiting(product=row.product, n=row.n, oldest_at=time_of(row.oldest_us)) for row in rows)


def holes(connection: Connection, scope: Scope, most: int = 1000) -> tuple[Hole, ...]:
    """Numbers between the first and the last of the scope that are nowhere in the database. Looks at so many stretches at most.

    Numbers go on over all purposes, products and lots of a station: so nothing else may cut in. Where a station's clock leaps
    they are in another stretch of time, and no hole.
    """
    wide = Scope(begin=scope.begin, end=scope.end, stations=scope.stations, purposes=())
    a = ANNOUNCED.c
    both = (
        select(a.station, a.epoch, a.n)
        .where(*within(wide, ANNOUNCED))
        .union(select(_I.station, _I.epoch, _I.n).where(*within(wide, INSPECTIONS)))
        .subquery()
    )
    c = both.c
    before = func.lag(c.n).over(partition_by=(c.station, c.epoch), order_by=c.n).label("before")
    found = select(c.station, c.epoch, c.n, before).subquery().c
    query = select(found.station, found.epoch, found.before + 1, found.n - 1).where(found.n > found.before + 1)
    rows = connection.execute(query.order_by(found.station, found.epoch, found.n).limit(most))
    found_here = [Hole(station=station, epoch=epoch, first=first, last=last) for station, epoch, first, last in rows]
    return tuple(one for hole in found_here for one in _nowhere(connection, hole))


def _nowhere(connection: Connection, hole: Hole) -> Iterator[Hole]:
    """What is left of it without the numbers of other times. By the keys: ids of one station and epoch are in their order."""
    low, high = (str(inspection_id(hole.station, hole.epoch, n)) for n in (hole.first, hole.last))
    tables = (ANNOUNCED, INSPECTIONS)
    there = union(*(select(t.c.n).where(t.c.inspection.between(low, high), t.c.epoch == hole.epoch) for t in tables))
    begin = hole.first
    for n in (*sorted(connection.execute(there).scalars()), hole.last + 1):
        if n > begin:
            yield replace(hole, first=begin, last=n - 1)
        begin = n + 1


def judged_under(connection: Connection, scope: Scope) -> dict[tuple[str, str, str, str], int]:
    """(station, product, view, state of its baseline when the part was announced) -> parts. Not of views without a stamp."""
    groups = (_I.station, _I.product, _I.baselines)
    rows = connection.execute(select(*groups, func.count()).where(*within(scope, INSPECTIONS)).group_by(*groups))
    found: dict[tuple[str, str, str, str], int] = {}
    for station, product, stamps, n in rows:
        for view, state in json.loads(stamps or "{}").items():
            found[station, product, view, state] = found.get((station, product, view, state), 0) + n
    return found


def parts_since(connection: Connection, scope: Scope, proofs: Sequence[StationProofV1]) -> dict[tuple[str, str, str], int]:
    """(station, product, kind of proof) -> parts of the scope since that last passed; all of them where it never did.

    A proof is published where it changes: what it says of parts since is what was known then.
    """
    found: dict[tuple[str, str, str], int] = {}
    for one in proofs:
        begin = max((at for at in (scope.begin, one.last_pass_at) if at is not None), default=None)
        mine = replace(scope, begin=begin, stations=(one.station,), products=(one.product,))
        query = select(func.count()).select_from(INSPECTIONS).where(*within(mine, INSPECTIONS))
        found[one.station, one.product, one.proof] = int(connection.execute(query).scalar_one())
    return found


def baselines_in_force(connection: Connection, scope: Scope) -> tuple[InForce, ...]:
    """As drift sees each score stream now, with the version's origin and the act that put it in force."""
    s, b, p = BASELINE_STATES.c, BASELINES.c, BASELINE_POINTERS.c
    wide = Scope(stations=scope.stations, products=scope.products)
    columns = (
        s.station,
        s.product,
        s.view,
        s.baseline,
        s.state,
        s.at_us,
        s.certificate_expired,
        b.origin,
        b.generation,
        b.scores,
    )
    joined = BASELINE_STATES.outerjoin(BASELINES, s.baseline == b.digest).outerjoin(
        BASELINE_POINTERS, and_(p.stream == s.stream, p.baseline == s.baseline)
    )
    query = select(*columns, p.who, p.why, p.at_us.label("put_us")).select_from(joined).where(*within(wide, BASELINE_STATES))
    return tuple(
        InForce(
            station=row.station,
            product=row.product,
            view=row.view,
            baseline=row.baseline,
            state=row.state,
            since=time_of(row.at_us),
            certificate_expired=bool(row.certificate_expired),
            origin=row.origin,
            generation=row.generation,
            scores=row.scores,
            who=row.who,
            why=row.why,
            put_at=None if row.put_us is None else time_of(row.put_us),
        )
        for row in connection.execute(query.order_by(s.station, s.product, s.view, s.at_us))
    )


def titles(connection: Connection, digests: Sequence[str]) -> dict[str, str]:
    """digest -> what a person calls it: a policy's title, the names and versions of a model set's models."""
    p, m = POLICIES.c, MODEL_SETS.c
    rows = connection.execute(select(p.digest, p.title).where(p.digest.in_(digests)))
    named = {row.digest: str(row.title) for row in rows}
    for digest, data in connection.execute(select(m.digest, m.data).where(m.digest.in_(digests))):
        models = [one["ref"] for one in json.loads(data)["models"]]
        named[digest] = ", ".join(f"{ref['name']} {ref['version']}" for ref in models)
    return named


def plans(connection: Connection, scope: Scope) -> tuple[PlanV1, ...]:
    """What engineers want charted; a place without one has the default."""
    wide = Scope(stations=scope.stations, products=scope.products)
    rows = connection.execute(select(SPC_PLANS.c.data).where(*within(wide, SPC_PLANS)))
    return tuple(PlanV1.read(data.encode()) for (data,) in rows)


def newest_part(connection: Connection) -> datetime | None:
    """When the newest part in the database was captured; None: there is none."""
    found = connection.execute(select(func.max(_I.at_us))).scalar_one_or_none()
    return None if found is None else time_of(found)
