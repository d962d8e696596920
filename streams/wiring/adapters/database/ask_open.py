"""Which parts wait for a person, in pages; and one of them as it stands now. Reads; judges nothing.

Open is a verdict of `review`, whoever gave it; a pass drawn for audit that nobody has decided; and containment: what was passed,
and turned bad too late. An index holds the open ones alone, so a page of them costs the same whatever else is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select, text

from schemas.common import Disposition, ImageRef, Purpose
from streams.wiring.adapters.database.ask_parts import time_of
from streams.wiring.adapters.database.tables import EVIDENCE, INSPECTIONS, OPEN

_I, _E = INSPECTIONS.c, EVIDENCE.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One part by its effective verdict. codes: of its reasons. gate_us: when a gate opens or closes. p_value: the smallest of
    its views, uncertainty: of the classification of its most doubtful view; None: not known (yet).
    """

    inspection: str
    station: str
    product: str
    purpose: Purpose
    revision: int
    disposition: Disposition
    label: str | None
    codes: tuple[str, ...]
    decided_by: str
    who: str | None
    late: bool
    audit: bool
    audit_probability: float | None
    gate_us: int | None
    decided_us: int
    acquisition: str | None
    policy: str | None
    model_set: str | None
    lot: str | None
    tool: str | None
    serial: str | None
    visit: int
    previous: str | None
    at: datetime
    announced_at: datetime
    p_value: float | None = None
    uncertainty: float | None = None

    @property
    def is_open(self) -> bool:
        """As the index says it."""
        return self.disposition == "review" or (self.decided_by == "policy" and (self.audit or self.late))


def opened(connection: Connection, beyond: str, most: int) -> tuple[Standing, ...]:
    """Open ones with ids above `beyond`, in the order of their ids."""
    query = select(INSPECTIONS).where(text(OPEN), _I.inspection > beyond).order_by(_I.inspection).limit(most)
    return _page(connection, query)


def changed(connection: Connection, since_us: int, beyond: str, most: int) -> tuple[Standing, ...]:
    """Whatever was decided after (since_us, beyond), open or not, in the order of (decided_us, inspection)."""
    later = or_(_I.decided_us > since_us, and_(_I.decided_us == since_us, _I.inspection > beyond))
    query = select(INSPECTIONS).where(_I.decided_us >= since_us, later).order_by(_I.decided_us, _I.inspection).limit(most)
    return _page(connection, query)


def newest_us(connection: Connection) -> int:
    """When the newest verdict was decided; 0: there is none."""
    found = connection.execute(select(_I.decided_us).order_by(_I.decided_us.desc()).limit(1)).scalar_one_or_none()
    return int(found or 0)


def standing(connection: Connection, inspection: str) -> Standing | None:
    return next(iter(_page(connection, select(INSPECTIONS).where(_I.inspection == inspection))), None)


def images_of(connection: Connection, inspection: str) -> dict[str, ImageRef]:
    """View -> where its image lies, as the first evidence says."""
    query = select(_E.view, _E.image).where(_E.inspection == inspection, _E.image.is_not(None)).order_by(_E.log_offset)
    found: dict[str, ImageRef] = {}
    for view, image in connection.execute(query):
        found.setdefault(view, ImageRef.model_validate_json(image))
    return found


def _page(connection: Connection, query: Select[Any]) -> tuple[Standing, ...]:
    rows = connection.execute(query).all()
    seen = _seen(connection, [row.inspection for row in rows if row.disposition == "review" or row.audit or row.late])
    return tuple(_standing(row, seen.get(row.inspection, ())) for row in rows)


def _seen(connection: Connection, inspections: list[str]) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    columns = (_E.inspection, _E.p_value, _E.probabilities)
    for i in range(0, len(inspections), 500):
        for row in connection.execute(select(*columns).where(_E.inspection.in_(inspections[i : i + 500]))):
            found.setdefault(row.inspection, []).append(row)
    return found


def _standing(row: Row[Any], seen: Iterable[Any]) -> Standing:
    rows = list(seen)
    p_values = [one.p_value for one in rows if one.p_value is not None]
    shares = [json.loads(one.probabilities) for one in rows if one.probabilities is not None]
    return Standing(
        **{name: getattr(row, name) for name in _COPIED},
        codes=tuple(why["code"] for why in json.loads(row.reasons)),
        at=time_of(row.at_us),
        announced_at=time_of(row.announced_us),
        p_value=min(p_values, default=None),
        uncertainty=max(map(uncertainty, shares), default=None),
    )


_MADE = ("codes", "at", "announced_at", "p_value", "uncertainty")
_COPIED = tuple(name for name in Standing.__dataclass_fields__ if name not in _MADE)


def uncertainty(shares: Mapping[str, float]) -> float:
    """How close the two most probable classes are, 0 to 1, as `streams/review/queue.py: unsure`."""
    if len(shares) < 2:
        return 0.0
    second, best = sorted(shares.values())[-2:]
    return min(1.0, max(0.0, 1.0 - (best - second)))
