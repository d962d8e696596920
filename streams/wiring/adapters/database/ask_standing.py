"""How many parts stand at once: verdict, what people said, and what an answer has to name. Reads; judges nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from schemas.common import ImageRef
from schemas.label import LabelV1
from streams.wiring.adapters.database import tables as t
from streams.wiring.adapters.database.connection import portions
from streams.wiring.adapters.database.heat import unpack_heat

Word = tuple[str, str, int]  # inspection, which word of it, when (microseconds since 1970)
_I, _L, _E, _R = t.INSPECTIONS.c, t.LABELS.c, t.EVIDENCE.c, t.REVIEWS.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The effective verdict of one inspection, and every label of it in the log's order. disposition: None without a verdict.

    p_values: by view, of the anomaly stage's first word.
    """

    inspection: str
    disposition: str | None = None
    label: str | None = None
    decided_by: str = "policy"
    audit: bool = False
    purpose: str = "production"
    codes: frozenset[str] = frozenset()
    labels: tuple[LabelV1, ...] = ()
    p_values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """p_value: 1 where no anomaly model saw it. heat: (value of step 255, 32 x 32 steps row by row)."""

    view: str
    image: ImageRef
    p_value: float = 1.0
    heat: tuple[float, bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a label of this part repeats. views: by name, those that the evidence knows an image of."""

    inspection: str
    station: str
    product: str
    lot: str | None
    serial: str | None
    purpose: str
    acquisition: str | None
    revision: int
    policy: str | None
    model_set: str | None
    at_us: int
    views: Mapping[str, View] = field(default_factory=dict)
    labels: tuple[LabelV1, ...] = ()


def standings(connection: Connection, inspections: Sequence[str]) -> dict[str, Standing]:
    """Of those that have a verdict or a label."""
    said, strange = labels_of(connection, inspections), _p_values(connection, inspections)
    found = {one: Standing(inspection=one, labels=labels, p_values=strange.get(one, {})) for one, labels in said.items()}
    names = ("inspection", "disposition", "label", "decided_by", "audit", "purpose")
    columns = [_I[name] for name in names]
    for some in portions(inspections):
        for row in connection.execute(select(*columns, _I.reasons).where(_I.inspection.in_(some))):
            codes = frozenset(why["code"] for why in json.loads(row.reasons))
            own = {name: getattr(row, name) for name in names}
            labels, p_values = said.get(row.inspection, ()), strange.get(row.inspection, {})
            found[row.inspection] = Standing(**own, codes=codes, labels=labels, p_values=p_values)
    return found


def members(connection: Connection, inspections: Sequence[str]) -> dict[str, Member]:
    """Of those that have a verdict."""
    names = ("inspection", "station", "product", "lot", "serial", "purpose", "acquisition", "revision", "policy", "model_set")
    columns = [_I[name] for name in (*names, "at_us")]
    said, views = labels_of(connection, inspections), _views(connection, inspections)
    found: dict[str, Member] = {}
    for some in portions(inspections):
        for row in connection.execute(select(*columns).where(_I.inspection.in_(some))).mappings():
            one = row["inspection"]
            found[one] = Member(**row, views=views.get(one, {}), labels=said.get(one, ()))
    return found


def labels_of(connection: Connection, inspections: Sequence[str]) -> dict[str, tuple[LabelV1, ...]]:
    """In the log's order."""
    found: dict[str, list[LabelV1]] = {}
    for some in portions(inspections):
        query = select(_L.inspection, _L.data).where(_L.inspection.in_(some)).order_by(_L.at_us, _L.log_offset)
        for inspection, data in connection.execute(query):
            found.setdefault(inspection, []).append(LabelV1.read(data.encode()))
    return {inspection: tuple(labels) for inspection, labels in found.items()}


def words_since(connection: Connection, since_us: int) -> set[Word]:
    """What people said since then, by the broker's append time."""
    reviews = select(_R.inspection, _R.who, _R.revision, _R.at_us).where(_R.at_us >= since_us)
    labels = select(_L.inspection, _L.label_id, _L.at_us).where(_L.at_us >= since_us)
    found = {(row.inspection, f"{row.who}/{row.revision}", row.at_us) for row in connection.execute(reviews)}
    return found | {(row.inspection, row.label_id, row.at_us) for row in connection.execute(labels)}


def clock_us(connection: Connection) -> int:
    """Append time of the newest evidence that is here: how far the sink has come. 0: there is none."""
    return int(connection.execute(select(func.max(_E.at_us))).scalar_one() or 0)


def _p_values(connection: Connection, inspections: Sequence[str]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for some in portions(inspections):
        query = select(_E.inspection, _E.view, _E.p_value).where(_E.inspection.in_(some), _E.p_value.is_not(None))
        for inspection, view, p_value in connection.execute(query.order_by(_E.log_offset)):
            found.setdefault(inspection, {}).setdefault(view, p_value)
    return found


def _views(connection: Connection, inspections: Sequence[str]) -> dict[str, dict[str, View]]:
    """The first image of each view; p-value and heat map of the anomaly stage's first word."""
    found: dict[str, dict[str, View]] = {}
    columns = (_E.inspection, _E.view, _E.stage, _E.image, _E.p_value, _E.heat)
    for some in portions(inspections):
        query = select(*columns).where(_E.inspection.in_(some), _E.image.is_not(None)).order_by(_E.log_offset)
        for row in connection.execute(query):
            mine = found.setdefault(row.inspection, {})
            if row.stage == "anomaly" or row.view not in mine:
                mine[row.view] = _view(row)
    return found


def _view(row: Any) -> View:
    return View(
        view=row.view,
        image=ImageRef.model_validate_json(row.image),
        p_value=1.0 if row.p_value is None else row.p_value,
        heat=None if row.heat is None else unpack_heat(row.heat),
    )
