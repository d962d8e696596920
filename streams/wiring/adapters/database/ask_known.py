"""Which parts with a known answer may be mixed into the review queue: challenge parts of the last hours. Reads; judges nobody.

Found by the results of their sets, which are few, so no other part is read. Left out is what could be told from production, or
whose answer is not certain: painted defects, which need not be found; parts that were retired or have expired since; parts of
which a view has no image; and those without a production part of the same product, views and image sizes close to them in their
station's numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from schemas.challenge import ChallengePartV1, ChallengeResultV1
from schemas.common import ImageRef, canonical
from schemas.evidence import ChallengeStampV1
from schemas.ids import LAST_N, inspection_id, parse_inspection
from streams.wiring.adapters.database.connection import portions
from streams.wiring.adapters.database.rows import micros
from streams.wiring.adapters.database.tables import ANNOUNCED, CHALLENGE_PARTS, CHALLENGE_RESULTS, EVIDENCE, INSPECTIONS

MOST = 200  # showings, the newest
NEAR = 20  # numbers before and after
_C, _P, _I, _A, _E = CHALLENGE_RESULTS.c, CHALLENGE_PARTS.c, INSPECTIONS.c, ANNOUNCED.c, EVIDENCE.c


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPart:
    """One showing. part: of a digital part by its images, wherever it is registered; of a master by its name."""

    inspection: str
    part: str
    images: tuple[ImageRef, ...]


def known_parts(connection: Connection, begin: datetime, now: datetime) -> tuple[KnownPart, ...]:
    """Of sets that were closed since `begin`."""
    stamps = _stamps(connection, begin)
    rows = _rows(connection, list(stamps))
    certain = _certain(connection, {stamps[one].part for one in rows}, now)
    rows = {one: row for one, row in rows.items() if (row.station, stamps[one].part) in certain}
    alike = _alike(connection, rows)
    images = _images(connection, alike)
    return tuple(_known(rows[one], stamps[one], found) for one, found in images.items())


def _stamps(connection: Connection, begin: datetime) -> dict[str, ChallengeStampV1]:
    """By inspection."""
    query = select(_C.data).where(_C.at_us >= micros(begin)).order_by(_C.at_us.desc()).limit(MOST)
    found: dict[str, ChallengeStampV1] = {}
    for (data,) in connection.execute(query):
        for item in ChallengeResultV1.read(data.encode()).items:
            if item.stamp.kind != "graded" and len(found) < MOST:
                found[item.inspection] = item.stamp
    return found


def _rows(connection: Connection, inspections: Sequence[str]) -> dict[str, Any]:
    columns = (_I.inspection, _I.station, _I.product)
    mine = (_I.purpose == "challenge", _I.acquisition.is_not(None))
    each = (connection.execute(select(*columns).where(_I.inspection.in_(some), *mine)) for some in portions(inspections))
    return {row.inspection: row for rows in each for row in rows}


def _certain(connection: Connection, names: set[str], now: datetime) -> set[tuple[str, str]]:
    """(station, part) of those whose registration stands."""
    found: set[tuple[str, str]] = set()
    for some in portions(sorted(names)):
        for row in connection.execute(select(_P.station, _P.part, _P.data).where(_P.part.in_(some), _P.retired.is_(False))):
            expires_at = ChallengePartV1.read(row.data.encode()).expires_at
            if expires_at is None or expires_at > now:
                found.add((row.station, row.part))
    return found


def _alike(connection: Connection, rows: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """inspection -> its views, of those that have a production part like them close by."""
    near = {one: _near(one) for one in rows}
    shown: dict[str, tuple[str, str, Any]] = {}
    columns = (_A.inspection, _A.purpose, _A.product, _A.views)
    for some in portions(sorted({*rows, *(one for ids in near.values() for one in ids)})):
        for row in connection.execute(select(*columns).where(_A.inspection.in_(some))):
            shown[row.inspection] = (row.purpose, row.product, json.loads(row.views))
    found: dict[str, frozenset[str]] = {}
    for one, ids in near.items():
        mine = shown.get(one)
        if mine is not None and any(shown.get(other) == ("production", *mine[1:]) for other in ids):
            found[one] = frozenset(mine[2])
    return found


def _near(inspection: str) -> list[str]:
    """The parts before and after it at its station."""
    station, epoch, n = parse_inspection(inspection)
    numbers = range(max(0, n - NEAR), min(LAST_N, n + NEAR) + 1)
    return [str(inspection_id(station, epoch, other)) for other in numbers if other != n]


def _images(connection: Connection, views: Mapping[str, frozenset[str]]) -> dict[str, dict[str, ImageRef]]:
    """inspection -> image of each view, of those that have all."""
    found: dict[str, dict[str, ImageRef]] = {one: {} for one in views}
    for some in portions(sorted(views)):
        query = select(_E.inspection, _E.view, _E.image).where(_E.inspection.in_(some), _E.image.is_not(None))
        for row in connection.execute(query.order_by(_E.log_offset)):
            found[row.inspection].setdefault(row.view, ImageRef.model_validate_json(row.image))
    return {one: images for one, images in found.items() if frozenset(images) == views[one]}


def _known(row: Any, stamp: ChallengeStampV1, images: Mapping[str, ImageRef]) -> KnownPart:
    shown = hashlib.sha256(canonical(sorted(one.sha256 for one in images.values()))).hexdigest()
    part = f"images/{shown}" if stamp.proof == "digital" else f"master/{row.product}/{stamp.part}"
    return KnownPart(inspection=row.inspection, part=part, images=tuple(images[view] for view in sorted(images)))
