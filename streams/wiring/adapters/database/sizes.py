"""How many rows each table holds. Reads only."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from streams.wiring.adapters.database.tables import content


def sizes(connection: Connection) -> dict[str, int]:
    return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in content()}
