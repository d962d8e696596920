"""How the baselines stand that are in use now: of the models in force, as `schemas/standing.py` has it. Reads only."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Connection, select

from schemas.baseline import BaselinePointerV1, BaselineStateV1
from schemas.standing import standing
from streams.wiring.adapters.database.ask_monitors import baseline_states
from streams.wiring.adapters.database.scope import Scope
from streams.wiring.adapters.database.tables import BASELINE_POINTERS, BASELINES, IN_FORCE, MODEL_SETS

Digests = frozenset[str]


def baselines_in_use(connection: Connection) -> tuple[BaselineStateV1, ...]:
    """Drift's words of each score stream, with the state that follows from the pointer: retired, or that of another baseline.

    Not those of models that were replaced. Where no model set is known to be in force, all.
    """
    models, pointers, origins = _models(connection), _pointers(connection), _origins(connection)
    found = []
    for said in baseline_states(connection, Scope()):
        stream = said.stream
        used = models.get(f"current/{stream.product}/{stream.station}", models.get(f"current/{stream.product}"))
        if used is not None and stream.model.digest not in used:
            continue
        pointer = pointers.get(stream.model_dump_json())
        origin = None if pointer is None or pointer.baseline is None else origins.get(pointer.baseline)
        state = standing(pointer, origin, said.baseline, said).state  # type: ignore[arg-type]
        found.append(said.model_copy(update={"state": state}))
    return tuple(found)


def _models(connection: Connection) -> Mapping[str, Digests]:
    """Place -> digests of the models of the set in force there."""
    query = select(IN_FORCE.c.place, MODEL_SETS.c.data).join(MODEL_SETS, MODEL_SETS.c.digest == IN_FORCE.c.digest)
    rows = connection.execute(query.where(IN_FORCE.c.kind == "model_set"))
    return {place: frozenset(one["ref"]["digest"] for one in json.loads(data)["models"]) for place, data in rows}


def _pointers(connection: Connection) -> Mapping[str, BaselinePointerV1]:
    """By the stream, as JSON."""
    found = (BaselinePointerV1.read(data.encode()) for (data,) in connection.execute(select(BASELINE_POINTERS.c.data)))
    return {one.stream.model_dump_json(): one for one in found}


def _origins(connection: Connection) -> Mapping[str, str]:
    return {digest: origin for digest, origin in connection.execute(select(BASELINES.c.digest, BASELINES.c.origin))}
