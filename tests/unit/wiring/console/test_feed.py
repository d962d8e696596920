"""What waits is found: at the start page by page, then as it comes, and what came late from another partition by the round."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import Engine, text

from streams.wiring.adapters.database.ask_console import Questions
from streams.wiring.adapters.database.connection import reading, writing
from streams.wiring.adapters.database.store import Store
from streams.wiring.adapters.database.tables import OPEN
from streams.wiring.console.feed import REST, Feed
from streams.wiring.console.waiting import Room
from tests.helpers.console import NOW
from tests.helpers.database import write
from tests.helpers.history import history


def wanted(engine: Engine) -> set[str]:
    """As the whole table says, without any index."""
    with reading(engine) as connection:
        rows = connection.execute(text("SELECT inspection, disposition, decided_by, audit, late FROM inspections")).all()
    return {
        row.inspection for row in rows if row.disposition == "review" or (row.decided_by == "policy" and (row.audit or row.late))
    }


def found(room: Room) -> set[str]:
    seen: set[str] = set()
    for audit in (False, True):
        while (one := room.next("ada", False, audit, NOW)) is not None:
            seen.add(one)
            room.skip(one, "ada", NOW + timedelta(days=1))
    return seen


def follow(feed: Feed, now: object = NOW) -> int:
    turns = 1
    while feed.turn(now):  # type: ignore[arg-type]
        turns += 1
    return turns


def test_everything_open_is_found_in_small_pages_on_both_databases(engine: Engine) -> None:
    write(Store(engine), list(history(120)))
    room = Room()
    assert room.loading
    assert follow(Feed(Questions(engine), room, page=7)) > 8
    assert not room.loading
    assert found(room) == wanted(engine)


def test_what_comes_is_found_and_what_was_decided_elsewhere_goes(engine: Engine) -> None:
    records = list(history(120))
    store, room = Store(engine), Room()
    feed = Feed(Questions(engine), room, page=50)
    for i in range(0, len(records), 60):
        write(store, records[i : i + 60])
        follow(feed)
    for _ in range(6):
        follow(feed)  # evidence that had not come yet is not waited for any longer
    assert found(room) == wanted(engine)


def test_what_a_late_partition_brings_is_found_by_the_round(engine: Engine) -> None:
    write(Store(engine), list(history(120)))
    late = sorted(wanted(engine))[:5]
    with writing(engine) as connection:
        moved = {one: n for n, one in enumerate(late)}
        for one in moved:
            connection.execute(
                text("UPDATE inspections SET disposition = 'scrap', audit = false WHERE inspection = :one"), {"one": one}
            )
    room = Room()
    feed = Feed(Questions(engine), room)
    follow(feed)
    _reopen(engine, moved)
    follow(feed)
    assert not found(room) & set(late)
    later = NOW + REST
    follow(feed, later)
    assert set(late) <= found(room) | {one for one in late if one in room}


def _reopen(engine: Engine, parts: Mapping[str, int]) -> None:
    """As if they had been decided long ago, and only now come here."""
    with writing(engine) as connection:
        for one in parts:
            sql = "UPDATE inspections SET disposition = 'review', decided_us = 1 WHERE inspection = :one"
            connection.execute(text(sql), {"one": one})


def test_the_index_of_what_is_open_is_used(engine: Engine) -> None:
    write(Store(engine), list(history(120)))
    sql = f"SELECT inspection FROM inspections WHERE {OPEN} AND inspection > 'a' ORDER BY inspection LIMIT 10"
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            connection.execute(text("SET LOCAL enable_sort = off"))
            plan = connection.execute(text(f"EXPLAIN {sql}")).all()
        else:
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN {sql}")).all()
    assert "inspections_open" in str(plan)
