"""What waits until Kafka has it: records, in the order in which they were made. Knows no message and no Kafka client."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, func, select

from schemas.envelope import Record
from streams.wiring.adapters.database.connection import reading, writing
from streams.wiring.adapters.desk.tables import OUTGOING

_O = OUTGOING.c


def put(connection: Connection, record: Record, now_us: int) -> None:
    """In the transaction of the change that it tells of."""
    headers = json.dumps([[name, base64.b64encode(value).decode()] for name, value in record.headers])
    row = {"topic": record.topic, "key": record.key, "value": record.value, "headers": headers, "made_us": now_us}
    connection.execute(OUTGOING.insert(), row)


class Outgoing:
    """Every method raises Unavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, records: Sequence[Record], now_us: int) -> None:
        """All of them, or none."""
        with writing(self._engine) as connection:
            for record in records:
                put(connection, record, now_us)

    def waiting(self) -> int:
        with reading(self._engine) as connection:
            return int(connection.execute(select(func.count()).select_from(OUTGOING)).scalar_one())

    def take(self, most: int) -> list[tuple[int, Record]]:
        """(number, record) of the oldest ones; they stay until `done`. No number is given twice."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(OUTGOING).order_by(_O.id).limit(most)).all()
        return [(row.id, _record(row.topic, row.key, row.value, row.headers)) for row in rows]

    def done(self, numbers: Sequence[int]) -> None:
        with writing(self._engine) as connection:
            connection.execute(OUTGOING.delete().where(_O.id.in_(numbers)))


def _record(topic: str, key: bytes | None, value: bytes | None, headers: str) -> Record:
    pairs = tuple((str(name), base64.b64decode(text)) for name, text in json.loads(headers))
    return Record(topic=topic, key=key, value=value, headers=pairs)
