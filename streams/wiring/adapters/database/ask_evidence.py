"""The evidence of many parts, as it was kept, in stretches of one station's numbers. Reads only; judges nothing.

Keys of one station and epoch sort as its numbers do, so a stretch is a range of keys, and no table is sorted or held whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, func, select

from schemas.ids import inspection_id
from streams.wiring.adapters.database.scope import Scope, within
from streams.wiring.adapters.database.tables import ANNOUNCED, EVIDENCE, FAILED, INSPECTIONS, REVISIONS

STRETCH = 50_000  # parts
_A, _I, _E, _F, _R = ANNOUNCED.c, INSPECTIONS.c, EVIDENCE.c, FAILED.c, REVISIONS.c


class PartRow(NamedTuple):
    """An announced part and its verdict. first: what revision 1 said; None: no verdict. views, baselines: JSON."""

    inspection: str
    station: str
    serial: str | None
    lot: str | None
    product: str
    purpose: str
    policy: str
    model_set: str
    announced_us: int
    decide_within_s: float
    views_expected: int
    views: str
    baselines: str | None
    first: str | None
    now: str | None
    decided_by: str | None


class EvidenceRow(NamedTuple):
    """What a stage saw of a view. probabilities, instances: JSON; cells: see `cells.py`."""

    inspection: str
    view: str
    stage: str
    model_set: str
    model: str
    score: float | None
    probabilities: str | None
    instances: str | None
    cells: str | None
    log_offset: int
    at_us: int


class FailedRow(NamedTuple):
    """view: empty means all. stages: JSON."""

    inspection: str
    view: str
    stages: str
    log_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Parts in the order of their numbers; evidence (by inspection, view, stage) and failures of them, and of others between.

    evidence: tuples with the fields of EvidenceRow, of which there are too many to make objects of.
    """

    parts: Sequence[PartRow]
    evidence: Sequence[tuple[Any, ...]]
    failed: Sequence[FailedRow]


def stretches(connection: Connection, scope: Scope, size: int = STRETCH) -> Iterator[Stretch]:
    """All announced parts of the scope, at most `size` numbers at a time."""
    for station, epoch, first, last in _numbers(connection, scope):
        for begin in range(first, last + 1, size):
            low = str(inspection_id(station, epoch, begin))
            high = str(inspection_id(station, epoch, min(begin + size - 1, last)))
            parts = _parts(connection, scope, low, high)
            if parts:
                yield Stretch(
                    parts=parts,
                    evidence=_rows(connection, EvidenceRow, EVIDENCE, low, high, _E.inspection, _E.view, _E.stage),
                    failed=[FailedRow._make(row) for row in _rows(connection, FailedRow, FAILED, low, high, _F.log_offset)],
                )


def _numbers(connection: Connection, scope: Scope) -> list[tuple[str, int, int, int]]:
    """(station, epoch, first n, last n)."""
    groups = (_A.station, _A.epoch)
    query = select(*groups, func.min(_A.n), func.max(_A.n)).where(*within(scope, ANNOUNCED)).group_by(*groups).order_by(*groups)
    return [(station, epoch, first, last) for station, epoch, first, last in connection.execute(query)]


def _parts(connection: Connection, scope: Scope, low: str, high: str) -> list[PartRow]:
    first = _first(connection, low, high)
    names = PartRow._fields[:-3]
    query = (
        select(*(_A[name] for name in names), _I.disposition.label("first"), _I.disposition.label("now"), _I.decided_by)
        .outerjoin_from(ANNOUNCED, INSPECTIONS, _I.inspection == _A.inspection)
        .where(_between(ANNOUNCED, low, high), *within(scope, ANNOUNCED))
        .order_by(_A.inspection)
    )
    rows = map(PartRow._make, _fetched(connection, query))
    return [row._replace(first=first[row.inspection]) if row.inspection in first else row for row in rows]


def _first(connection: Connection, low: str, high: str) -> dict[str, str]:
    """What revision 1 said of those parts that have more of them."""
    more = select(_I.inspection).where(_between(INSPECTIONS, low, high), _I.revision > 1)
    query = select(_R.inspection, _R.disposition).where(
        and_(_between(REVISIONS, low, high), _R.revision == 1, _R.inspection.in_(more))
    )
    return {inspection: disposition for inspection, disposition in connection.execute(query)}


def _rows(
    connection: Connection, kind: Any, table: Table, low: str, high: str, *order: ColumnElement[Any]
) -> Sequence[tuple[Any, ...]]:
    query = select(*(table.c[name] for name in kind._fields)).where(_between(table, low, high)).order_by(*order)
    return _fetched(connection, query)


def _fetched(connection: Connection, query: Select[Any]) -> Sequence[tuple[Any, ...]]:
    """As the driver gives them: these columns need no conversion, and a million rows are not made into objects twice."""
    cursor = connection.execute(query).cursor
    return cursor.fetchall() if cursor is not None else ()


def _between(table: Table, low: str, high: str) -> ColumnElement[bool]:
    return and_(table.c.inspection >= low, table.c.inspection <= high)
