"""Model sets that an engineer puts in force at the console: version, pointer and act wait together until Kafka has them.

The last pointer that comes is the one in force; two people who promote at the same moment both stand on act.v1.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine

from schemas.act import ActV1
from schemas.common import digest
from schemas.model_set import ModelSetPointerV1, ModelSetV1
from streams.wiring.adapters.database.connection import writing
from streams.wiring.adapters.database.rows import micros
from streams.wiring.adapters.desk.acts import in_force
from streams.wiring.adapters.desk.outgoing import put
from streams.wiring.adapters.shelf import where_of


class ModelSets:
    """engine: of the console's own database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put_in_force(self, models: ModelSetV1, *, who: str, why: str, now: datetime) -> None:
        """Raises Unavailable."""
        found, where = digest(models), where_of(models.product, models.station)
        act = ActV1(act="model_set_in_force", where=where, digest=found, who=who, why=why, at=now)
        with writing(self._engine) as connection:
            for record in in_force(models, ModelSetPointerV1(digest=found, who=who, why=why), act):
                put(connection, record, micros(now))
