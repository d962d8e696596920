"""Which parts wait for a person, in pages; and one of them as it stands now. Reads; judges nothing.

Open is a verdict of `review`, whoever gave it; a pass drawn for audit that nobody has decided; and containment: what was passed,
and turned bad too late. An index holds the open ones alone, so a page of them costs the same whatever else is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, or_, select, text

from schemas.common import Disposition, Purpose
from streams.wiring.adapters.database.ask_parts import time_of
from streams.wiring.adapters.database.connection import portions
from streams.wiring.adapters.database.tables import EVIDENCE, INSPECTIONS, OPEN

_I, _E = INSPECTIONS.c, EVIDENCE.c
Seen = tuple[float | None, float | None]


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
        return _is_open(self)


class Glimpse(NamedTuple):
    """As much of a part as its place in the queue takes; `Standing` says what each is. reasons: JSON."""

    inspection: str
    purpose: str
    revision: int
    disposition: str
    decided_by: str
    late: bool
    audit: bool
    gate_us: int | None
    decided_us: int
    acquisition: str | None
    reasons: str

    @property
    def is_open(self) -> bool:
        return _is_open(self)

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(why["code"] for why in json.loads(self.reasons))


def _is_open(part: Standing | Glimpse) -> bool:
    """As the index says it."""
    return part.disposition == "review" or (part.decided_by == "policy" and (part.audit or part.late))


_GLIMPSE = [_I[name] for name in Glimpse._fields]


def opened(connection: Connection, beyond: str, most: int) -> list[Glimpse]:
    """Open ones with ids above `beyond`, in the order of their ids."""
    query = select(*_GLIMPSE).where(text(OPEN), _I.inspection > beyond).order_by(_I.inspection).limit(most)
    return [Glimpse(*row) for row in connection.execute(query)]


def changed(connection: Connection, since_us: int, beyond: str, most: int) -> list[Glimpse]:
    """Whatever was decided after (since_us, beyond), open or not, in the order of (decided_us, inspection)."""
    later = or_(_I.decided_us > since_us, and_(_I.decided_us == since_us, _I.inspection > beyond))
    query = select(*_GLIMPSE).where(_I.decided_us >= since_us, later).order_by(_I.decided_us, _I.inspection).limit(most)
    return [Glimpse(*row) for row in connection.execute(query)]


def newest_us(connection: Connection) -> int:
    """When the newest verdict was decided; 0: there is none."""
    found = connection.execute(select(_I.decided_us).order_by(_I.decided_us.desc()).limit(1)).scalar_one_or_none()
    return int(found or 0)


def standing(connection: Connection, inspection: str) -> Standing | None:
    row = connection.execute(select(INSPECTIONS).where(_I.inspection == inspection)).first()
    return None if row is None else _standing(row, seen(connection, [inspection]).get(inspection, (None, None)))


def seen(connection: Connection, inspections: Sequence[str]) -> dict[str, Seen]:
    """inspection -> (p_value, uncertainty) as in `Standing`; without those of which no evidence is here."""
    found: dict[str, Seen] = {}
    columns = (_E.inspection, _E.p_value, _E.probabilities)
    for some in portions(inspections):
        for inspection, p_value, shares in connection.execute(select(*columns).where(_E.inspection.in_(some))):
            unsure = None if shares is None else uncertainty(json.loads(shares))
            before = found.get(inspection, (None, None))
            found[inspection] = (_first(min, before[0], p_value), _first(max, before[1], unsure))
    return found


def _first(better: Callable[[float, float], float], one: float | None, other: float | None) -> float | None:
    return one if other is None else (other if one is None else better(one, other))


def _standing(row: Row[Any], seen: Seen) -> Standing:
    return Standing(
        **{name: getattr(row, name) for name in _COPIED},
        codes=tuple(why["code"] for why in json.loads(row.reasons)),
        at=time_of(row.at_us),
        announced_at=time_of(row.announced_us),
        p_value=seen[0],
        uncertainty=seen[1],
    )


_MADE = ("codes", "at", "announced_at", "p_value", "uncertainty")
_COPIED = tuple(name for name in Standing.__dataclass_fields__ if name not in _MADE)


def uncertainty(shares: Mapping[str, float]) -> float:
    """How close the two most probable classes are, 0 to 1, as `streams/review/queue.py: unsure`."""
    if len(shares) < 2:
        return 0.0
    second, best = sorted(shares.values())[-2:]
    return min(1.0, max(0.0, 1.0 - (best - second)))
