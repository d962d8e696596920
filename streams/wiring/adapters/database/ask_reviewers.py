"""Questions about what people said of parts whose answer is known, and of parts that several looked at. Reads only.

One row a person and part: a part is a defect where any of its views was called one, unsure where one was and none a defect.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, select

from schemas.label import Answer
from streams.wiring.adapters.database.connection import portions
from streams.wiring.adapters.database.standing import still_said
from streams.wiring.adapters.database.tables import INSPECTIONS, LABELS

MOST = 20_000  # labels, the newest
_L, _I = LABELS.c, INSPECTIONS.c
_ORDER: tuple[Answer, ...] = ("good", "unsure", "defect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one person said of a part, as it stands. label, taxonomy: the class, of a defect. opinion: first, second, third."""

    inspection: str
    product: str
    who: str
    answer: Answer
    label: str | None
    taxonomy: str | None
    opinion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An opinion on a challenge part. part: the same for every showing of it at its station. bad: what it is; truth: its class,
    if told.
    """

    said: Opinion
    part: str
    bad: bool
    truth: str | None


def known(connection: Connection) -> tuple[Known, ...]:
    """In blind looks at challenge parts that are in the database. Graded ones are left out: they need not be found."""
    opinions = _opinions(connection, _L.shown == "challenge")
    stamps = _stamps(connection, sorted({one.inspection for one in opinions}))
    found = []
    for one in opinions:
        station, stamp = stamps.get(one.inspection, ("", {"kind": "graded"}))
        if stamp["kind"] != "graded":
            bad = stamp["kind"] == "defect"
            part = f"{station}/{stamp['part']}"
            found.append(Known(said=one, part=part, bad=bad, truth=stamp.get("label") if bad else None))
    return tuple(found)


def several(connection: Connection) -> tuple[tuple[Opinion, ...], ...]:
    """The opinions on each part that got a second look, in their order, each of another person."""
    again = select(_L.inspection).where(_L.opinion != "first")
    opinions = _opinions(connection, and_(_L.inspection.in_(again), _L.shown.in_(("review", "audit"))))
    by: dict[str, list[Opinion]] = {}
    for one in opinions:
        by.setdefault(one.inspection, []).append(one)
    ranks = {"first": 0, "second": 1, "third": 2}
    each = (tuple(sorted(said, key=lambda one: ranks.get(one.opinion, 3))) for said in by.values())
    return tuple(said for said in each if len(said) > 1)


def _stamps(connection: Connection, inspections: Sequence[str]) -> dict[str, tuple[str, dict[str, str]]]:
    """inspection -> (station, stamp)."""
    query = select(_I.inspection, _I.station, _I.challenge).where(_I.challenge.is_not(None))
    each = (connection.execute(query.where(_I.inspection.in_(some))) for some in portions(inspections))
    return {row.inspection: (row.station, json.loads(row.challenge)) for rows in each for row in rows}


def _opinions(connection: Connection, condition: ColumnElement[bool]) -> list[Opinion]:
    """One a person and part, in the order of the log."""
    columns = (_L.inspection, _L.product, _L.who, _L.answer, _L.label, _L.taxonomy, _L.opinion)
    query = select(*columns).where(still_said(), condition).order_by(_L.at_us.desc(), _L.label_id).limit(MOST)
    found: dict[tuple[str, str], Opinion] = {}
    for row in reversed(connection.execute(query).all()):
        one, key = Opinion(**row._mapping), (row.inspection, row.who)
        before = found.get(key)
        if before is None or _ORDER.index(one.answer) > _ORDER.index(before.answer):
            found[key] = one
    return list(found.values())
