"""The file as it is used: embeddings with what their parts stand for, and the positions they were read at. Knows no Kafka.

A transaction holds rows and positions: after a crash they belong together. Every method raises Unavailable.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from schemas.label import Answer
from streams.review.keeping import Said, State
from streams.review.neighbours import SKETCH, sketch
from streams.wiring.adapters.database.connection import portions, reading, writing
from streams.wiring.adapters.embeddings.record import Embedded
from streams.wiring.adapters.embeddings.tables import KNOWN, POSITIONS, VECTORS
from streams.wiring.adapters.embeddings.waiting import Now

Place = tuple[str, int]  # topic, partition
Half = NDArray[np.float16]
Floats = NDArray[np.float32]
_K, _V = KNOWN.c, VECTORS.c
_MOST_AT_ONCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One kept view without its vector. answer, label: of this view, None where nobody said."""

    id: int
    inspection: str
    view: str
    trunk: str
    product: str
    state: State
    answer: Answer | None
    label: str | None
    taxonomy: str | None
    p_value: float
    at_us: int
    sketch: Floats


class Store:
    """engine: of `open_kept`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # ---------------------------------------------------------------- writing
    def keep(self, rows: Sequence[tuple[Embedded, Now]], positions: Mapping[Place, int]) -> list[int]:
        """Add them, or replace what is there of the same views; their ids."""
        with writing(self._engine) as connection:
            ids = [_put(connection, one, what) for one, what in rows]
            for (topic, partition), offset in positions.items():
                row = {"topic": topic, "partition_no": partition, "next_offset": offset}
                connection.execute(insert(POSITIONS).values(row).on_conflict_do_update(set_={"next_offset": offset}))
        return ids

    def restate(self, now: Mapping[str, Now]) -> list[int]:
        """inspection -> how it stands now; what stands for nothing any more goes. The ids that changed or went."""
        with writing(self._engine) as connection:
            rows = [row for some in portions(list(now)) for row in connection.execute(_columns(_K.inspection.in_(some)))]
            gone = [row.id for row in rows if now[row.inspection].kept is None]
            changed = [new for row in rows if (new := _restated(row, now[row.inspection])) is not None]
            _remove(connection, gone)
            if changed:
                connection.execute(update(KNOWN).where(_K.id == bindparam("of")), changed)
        return [*gone, *(row["of"] for row in changed)]

    def trim(self, most: int) -> list[int]:
        """Remove the oldest beyond so many, those without a label first; their ids."""
        with writing(self._engine) as connection:
            n = connection.execute(select(func.count()).select_from(KNOWN)).scalar_one()
            if n <= most:
                return []
            order = (_K.state == "labelled", _K.at_us)
            gone = list(connection.execute(select(_K.id).order_by(*order).limit(n - most)).scalars())
            _remove(connection, gone)
        return gone

    # ---------------------------------------------------------------- asking
    def positions(self) -> dict[Place, int]:
        with reading(self._engine) as connection:
            rows = connection.execute(select(POSITIONS)).all()
        return {(row.topic, row.partition_no): row.next_offset for row in rows}

    def widths(self) -> dict[str, int]:
        """trunk -> how many values its embeddings have."""
        first = select(func.min(_K.id)).group_by(_K.trunk)
        query = select(_K.trunk, func.length(_V.vector)).join(VECTORS, _V.id == _K.id).where(_K.id.in_(first))
        with reading(self._engine) as connection:
            return {trunk: n // 2 for trunk, n in connection.execute(query)}

    def counts(self) -> dict[str, int]:
        """state -> rows."""
        with reading(self._engine) as connection:
            return {state: n for state, n in connection.execute(select(_K.state, func.count()).group_by(_K.state))}

    def inspections(self) -> list[str]:
        with reading(self._engine) as connection:
            return list(connection.execute(select(_K.inspection).distinct()).scalars())

    def labelled(self) -> Iterator[tuple[int, str, str, Floats]]:
        """(id, trunk, product, sketch) of views that somebody has said something of; a few at a time in memory."""
        query = select(_K.id, _K.trunk, _K.product, _K.sketch).where(_K.answer.is_not(None))
        with reading(self._engine) as connection:
            for row in connection.execute(query.execution_options(yield_per=500)):
                yield row.id, sys.intern(row.trunk), sys.intern(row.product), np.frombuffer(row.sketch, np.float32)

    def unknown(self, most: int) -> list[Known]:
        """Views of parts that are unknown defects, the newest first."""
        query = _columns(_K.state == "unknown").order_by(_K.at_us.desc(), _K.inspection, _K.view).limit(most)
        with reading(self._engine) as connection:
            return [_known(row) for row in connection.execute(query)]

    def of(self, inspections: Sequence[str]) -> list[Known]:
        """Their views."""
        with reading(self._engine) as connection:
            rows = [row for some in portions(inspections) for row in connection.execute(_columns(_K.inspection.in_(some)))]
        return [_known(row) for row in rows]

    def these(self, ids: Sequence[int]) -> list[Known]:
        with reading(self._engine) as connection:
            rows = [row for some in portions(ids) for row in connection.execute(_columns(_K.id.in_(some)))]
        return [_known(row) for row in rows]

    def vectors(self, ids: Sequence[int]) -> dict[int, Half]:
        """As the trunk gave them. Those that are gone meanwhile are left out."""
        found: dict[int, Half] = {}
        with reading(self._engine) as connection:
            for some in portions(ids, _MOST_AT_ONCE):
                for id, vector in connection.execute(select(_V.id, _V.vector).where(_V.id.in_(some))):
                    found[id] = np.frombuffer(vector, np.float16)
        return found


def _put(connection: Connection, one: Embedded, what: Now) -> int:
    values = {
        "trunk": one.trunk,
        "product": one.product,
        **_says(what, one.view),
        "at_us": one.at_ms * 1000,
        "sketch": sketch(one.vector).tobytes(),
    }
    row = insert(KNOWN).values(inspection=one.inspection, view=one.view, **values)
    query = row.on_conflict_do_update(index_elements=["inspection", "view"], set_=values).returning(_K.id)
    id = int(connection.execute(query).scalar_one())
    vector = one.vector.tobytes()
    connection.execute(insert(VECTORS).values(id=id, vector=vector).on_conflict_do_update(set_={"vector": vector}))
    return id


def _says(what: Now, view: str) -> dict[str, Any]:
    """The columns that can change."""
    assert what.kept is not None
    said = what.kept.of(view)
    names = [one.name for one in fields(Said)]
    return {
        "state": what.kept.state,
        **{name: None if said is None else getattr(said, name) for name in names},
        "p_value": what.p_values.get(view, 1.0),
    }


def _restated(row: Any, what: Now) -> dict[str, Any] | None:
    """None: it goes, or says already what it is."""
    if what.kept is None:
        return None
    now = _says(what, row.view)
    return None if all(getattr(row, name) == value for name, value in now.items()) else {"of": row.id, **now}


def _remove(connection: Connection, ids: Sequence[int]) -> None:
    for some in portions(ids):
        connection.execute(delete(KNOWN).where(_K.id.in_(some)))
        connection.execute(delete(VECTORS).where(_V.id.in_(some)))


def _columns(*conditions: Any) -> Any:
    return select(KNOWN).where(*conditions)


def _known(row: Any) -> Known:
    found = np.frombuffer(row.sketch, np.float32)
    assert found.shape == (SKETCH,)
    names = (one.name for one in fields(Known) if one.name != "sketch")
    return Known(**{name: getattr(row, name) for name in names}, sketch=found)
