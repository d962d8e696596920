"""The database as the sink uses it: batches of rows with the positions they were read at, retention, rebuilding.

A transaction holds rows and positions, so after a crash they belong together. Knows no Kafka client.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select, text

from streams.metrics import SINK_COMMIT_SECONDS, SINK_ROWS
from streams.wiring.adapters.database.connection import portions, reading, writing
from streams.wiring.adapters.database.merge import Values, merged
from streams.wiring.adapters.database.rows import Row
from streams.wiring.adapters.database.tables import INSPECTIONS, KEPT_BY_TIME, META, POSITIONS, REVISIONS, content
from streams.wiring.adapters.database.tally import fold, keep_answers, upsert_counted
from streams.wiring.adapters.database.upsert import upsert

Place = tuple[str, int]  # topic, partition
REBUILDING = "rebuilding"
KEPT_SINCE = "kept_since_us"
_MARK = """INSERT INTO marks (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value
WHERE CAST(excluded.value AS BIGINT) > CAST(marks.value AS BIGINT)"""
"""It only rises: what was removed does not come back with a longer retention. Of two slots that say it at once on a server the
second waits until the first has committed, so no part is removed and counted twice.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One record's rows. offset: of the record."""

    place: Place
    offset: int
    rows: Sequence[Row]


class Store:
    """Every method raises Unavailable while the database is away, full or locked, and has then changed nothing."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def write(self, writes: Sequence[Write]) -> None:
        """One transaction. Raises NotStorable where a value of any of them cannot be stored."""
        begin = time.perf_counter()
        reached: dict[Place, int] = {}
        for one in writes:
            reached[one.place] = max(one.offset + 1, reached.get(one.place, 0))
        batch = merged(row for one in writes for row in one.rows)
        counted = {table: len(rows) for table, rows in batch.items()}
        batch["positions"] = [{"topic": t, "partition_no": p, "next_offset": offset} for (t, p), offset in reached.items()]
        with writing(self.engine) as connection:
            upsert_counted(connection, batch)
        SINK_COMMIT_SECONDS.observe(time.perf_counter() - begin)
        for table, count in counted.items():
            SINK_ROWS.labels(table).inc(count)

    def reach(self, places: Mapping[Place, int]) -> None:
        """So far everything was read, also what left no row: dead letters, and what is of no interest here."""
        rows = [{"topic": t, "partition_no": p, "next_offset": offset} for (t, p), offset in places.items()]
        with writing(self.engine) as connection:
            upsert(connection, {"positions": rows})

    def positions(self) -> dict[Place, int]:
        """Where reading goes on."""
        with reading(self.engine) as connection:
            rows = connection.execute(POSITIONS.select()).all()
        return {(row.topic, row.partition_no): row.next_offset for row in rows}

    def note_gap(self, place: Place, wanted: int, first: int, now_us: int) -> None:
        """Input that Kafka's retention had removed before it was read: what the database lacks for good."""
        with writing(self.engine) as connection:
            upsert(connection, {"gaps": [_gap(place, wanted, first, now_us)]})

    def forget(self, before_us: int, most: int = 2000) -> int:
        """Remove up to `most` rows a table of parts older than that; how many there were."""
        with writing(self.engine) as connection:
            connection.execute(text(_MARK), {"name": KEPT_SINCE, "value": str(before_us)})  # another slot waits here
            parts = self._forget_parts(connection, before_us, most)
            rest = [name for name in KEPT_BY_TIME if not (parts and name in ("inspections", "revisions"))]
            gone = parts + sum(self._forget_rows(connection, name, before_us, most) for name in rest)
            if not parts:
                fold(connection, before_us)
        return gone

    @staticmethod
    def _forget_parts(connection: Connection, before_us: int, most: int) -> int:
        """Verdicts, each with all its revisions, once the tally has what was said of them."""
        c = INSPECTIONS.c
        ids = list(connection.execute(select(c.inspection).where(c.at_us < before_us).order_by(c.at_us).limit(most)).scalars())
        keep_answers(connection, ids)
        for table in (INSPECTIONS, REVISIONS):
            for some in portions(ids):
                connection.execute(table.delete().where(table.c.inspection.in_(some)))
        return len(ids)

    @staticmethod
    def _forget_rows(connection: Connection, name: str, before_us: int, most: int) -> int:
        row = "rowid" if connection.dialect.name == "sqlite" else "ctid"
        old = f"SELECT {row} FROM {name} WHERE at_us < :before LIMIT :most"
        done = connection.execute(text(f"DELETE FROM {name} WHERE {row} IN ({old})"), {"before": before_us, "most": most})
        return int(done.rowcount)

    def begin_rebuild(self, first: Mapping[Place, int], now_us: int) -> None:
        """Empty it. Until `end_rebuild` the next sink begins anew. first: offset that each place begins with now: what was there
        before cannot be read again.
        """
        lost = [_gap(place, 0, offset, now_us) for place, offset in first.items() if offset > 0]
        with writing(self.engine) as connection:
            self._empty(connection)
            connection.execute(META.tables["gaps"].delete())
            upsert(connection, {"gaps": lost} if lost else {})
            connection.execute(text(_MARK), {"name": REBUILDING, "value": "1"})

    def end_rebuild(self) -> None:
        with writing(self.engine) as connection:
            connection.execute(text("DELETE FROM marks WHERE name = :name"), {"name": REBUILDING})

    def resume_rebuild(self) -> bool:
        """Whether a rebuild was cut off: then it is emptied, and every topic is read from its beginning once more."""
        if REBUILDING not in self.marks():
            return False
        with writing(self.engine) as connection:
            self._empty(connection)
        return True

    def marks(self) -> Mapping[str, str]:
        with reading(self.engine) as connection:
            return {row.name: row.value for row in connection.execute(META.tables["marks"].select())}

    @staticmethod
    def _empty(connection: Connection) -> None:
        """But for what is known to be lost for good."""
        for table in (*content(), POSITIONS, META.tables["marks"]):
            connection.execute(table.delete())


def _gap(place: Place, wanted: int, first: int, now_us: int) -> Values:
    return {"topic": place[0], "partition_no": place[1], "wanted": wanted, "first_left": first, "noticed_us": now_us}


def beginning(stored: Mapping[Place, int], committed: Mapping[Place, int]) -> dict[Place, int]:
    """Where to read on: where the group stands, but never beyond what the database holds. Places without either: at the first.

    The group may be ahead (the database was replaced or restored), or behind (a dead letter was not acknowledged any more).
    """
    return {place: min(at, committed.get(place, at)) for place, at in stored.items()}
