"""Passes of the policy, counted once each and for ever: what the bound on escapes rests on. In the sink's own transactions.

A verdict may come again, and retention removes parts: a pass counts when its revision 1 is new here, and what people said of
an audited one is kept as a count when the part is removed. Judges nothing: what counts as bad is said below, and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, or_, select, text

from streams.wiring.adapters.database.connection import portions
from streams.wiring.adapters.database.merge import Values
from streams.wiring.adapters.database.standing import standing
from streams.wiring.adapters.database.tables import AUDITED, INSPECTIONS, LABELS, PASSES, REVISIONS
from streams.wiring.adapters.database.upsert import upsert

HOUR_US = 3600 * 10**6
_COLUMNS = ("n", "good", "bad", "unanswered")
_MINE = "xmin = pg_current_xact_id()::xid"  # PostgreSQL: rows that this transaction has inserted
_I, _R, _L = INSPECTIONS.c, REVISIONS.c, LABELS.c
_ADD = text(
    f"INSERT INTO passes (product, probability, hour, {', '.join(_COLUMNS)})"
    f" VALUES (:product, :probability, :hour, {', '.join(f':{name}' for name in _COLUMNS)})"
    " ON CONFLICT (product, probability, hour) DO UPDATE SET "
    + ", ".join(f"{name} = passes.{name} + excluded.{name}" for name in _COLUMNS)
)
Key = tuple[str, float, int]  # product, probability, hour


def upsert_counted(connection: Connection, batch: Mapping[str, Sequence[Values]]) -> None:
    """The upsert, and the count of the passes that it made. A file has one writer; of several on a server each counts its own."""
    found = {row["inspection"]: row for row in batch.get("revisions", ()) if _counts(row)}
    sqlite = connection.dialect.name == "sqlite"
    known = _of_revision_1(connection, list(found)) if sqlite else frozenset()
    upsert(connection, batch)
    new = found.keys() - known if sqlite else _of_revision_1(connection, list(found), text(_MINE))
    keys = Counter(
        (row["product"], row["audit_probability"] or 0.0, row["decided_us"] // HOUR_US) for row in map(found.get, new) if row
    )
    _add(connection, {key: {"n": n} for key, n in keys.items()})  # last: whoever counts the same waits from here to the end


def _of_revision_1(connection: Connection, inspections: Sequence[str], *more: Any) -> frozenset[str]:
    query = select(_R.inspection).where(_R.revision == 1, *more)
    rows = (row for ids in portions(inspections) for row in connection.execute(query.where(_R.inspection.in_(ids))))
    return frozenset(inspection for (inspection,) in rows)


def drawn() -> Select[Any]:
    """(inspection, at_us, product, probability, hour, state) of audited passes. state: good, bad or open.

    The last opinion whose labels stand says what a part is: bad, where any of its views is; open, where it is unsure. A
    person's verdict of rework or scrap makes it bad; a person's pass makes it good where no label stands.
    """
    audited = select(_R.inspection, _R.product, _R.audit_probability, _R.decided_us, _R.purpose, _R.disposition)
    first = audited.where(text(AUDITED)).subquery().c
    said = _last_opinion().c
    decided = _I.decided_by == "person"
    bad = or_(and_(decided, _I.disposition.in_(("rework", "scrap"))), said.defect == 1)
    good = or_(and_(said.defect == 0, said.unsure == 0), and_(said.defect.is_(None), decided, _I.disposition == "pass"))
    return (
        select(
            first.inspection,
            _I.at_us,
            first.product,
            func.coalesce(first.audit_probability, 0.0).label("probability"),
            (first.decided_us // HOUR_US).label("hour"),
            case((bad, "bad"), (good, "good"), else_="open").label("state"),
        )
        .join(INSPECTIONS, _I.inspection == first.inspection)
        .outerjoin(said.inspection.table, and_(said.inspection == first.inspection, said.place == 1))
        .where(first.disposition == "pass", first.purpose == "production")
    )


def _last_opinion() -> Any:
    """(inspection, defect, unsure, place) of standing labels of audited parts, by opinion; place 1: the last one."""
    rank = case((_L.opinion == "third", 3), (_L.opinion == "second", 2), else_=1)
    audited = select(_R.inspection).where(text(AUDITED))
    each = select(
        _L.inspection,
        rank.label("rank"),
        case((_L.answer == "defect", 1), else_=0).label("defect"),
        case((_L.answer == "unsure", 1), else_=0).label("unsure"),
    )
    c = each.where(standing(), _L.inspection.in_(audited)).subquery().c
    place = func.row_number().over(partition_by=c.inspection, order_by=c.rank.desc()).label("place")
    opinions = select(c.inspection, func.max(c.defect).label("defect"), func.max(c.unsure).label("unsure"), place)
    return opinions.group_by(c.inspection, c.rank).subquery()


def keep_answers(connection: Connection, inspections: Sequence[str]) -> None:
    """Before these parts are removed: what was said of those that were drawn."""
    found: dict[Key, Counter[str]] = {}
    for ids in portions(inspections):
        for row in connection.execute(drawn().where(_I.inspection.in_(ids))):
            name = "unanswered" if row.state == "open" else row.state
            found.setdefault((row.product, row.probability, row.hour), Counter())[name] += 1
    _add(connection, found)


def fold(connection: Connection, before_us: int) -> None:
    """Hours of which no part is kept any more become one."""
    old = and_(PASSES.c.hour > 0, PASSES.c.hour < before_us // HOUR_US)
    sums = [func.sum(PASSES.c[name]).label(name) for name in _COLUMNS]
    rows = connection.execute(
        select(PASSES.c.product, PASSES.c.probability, *sums).where(old).group_by(PASSES.c.product, PASSES.c.probability)
    )
    found = {(row.product, row.probability, 0): {name: int(getattr(row, name)) for name in _COLUMNS} for row in rows}
    if found:
        connection.execute(PASSES.delete().where(old))
        _add(connection, found)


def _add(connection: Connection, found: Mapping[Key, Mapping[str, int]]) -> None:
    """In the order of their keys: two writers cannot wait for each other."""
    for (product, probability, hour), counts in sorted(found.items()):
        key = {"product": product, "probability": probability, "hour": hour}
        connection.execute(_ADD, {**key, **{name: counts.get(name, 0) for name in _COLUMNS}})


def _counts(row: Mapping[str, Any]) -> bool:
    return bool(row["revision"] == 1 and row["disposition"] == "pass" and row["purpose"] == "production")
