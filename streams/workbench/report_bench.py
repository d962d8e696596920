"""What a report of so many inspections costs, on a database filled with a simulated shift and the one before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from streams.wiring.adapters.database.connection import database_url, open_engine
from streams.wiring.adapters.database.migrate import migrate
from streams.wiring.adapters.database.rows import rows_of
from streams.wiring.adapters.database.scope import asking
from streams.wiring.adapters.database.store import Store, Write
from streams.wiring.report.compose import as_json, compose
from streams.wiring.report.facts import Question, gather
from streams.wiring.report.render import html
from streams.wiring.report.window import stretch, stretch_before
from streams.workbench.shift import Plan, records

BEGIN, HOURS = datetime(2026, 11, 26, 21, tzinfo=UTC), 8
_BATCH = 4000


def bench_report(inspections: int, state: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """inspections: in the shift reported; as many again lie before it. Times in seconds, on a file of SQLite in `state`."""
    begin = time.perf_counter()
    rows = _fill(state, Plan(begin=BEGIN, hours=HOURS, parts=2 * inspections, looked=0.02, audit=0.002))
    tell(f"{rows} records in {time.perf_counter() - begin:.0f} s")
    middle, end = BEGIN + timedelta(hours=HOURS), BEGIN + timedelta(hours=2 * HOURS)
    window = stretch(middle.isoformat(" ", "minutes")[:16], end.isoformat(" ", "minutes")[:16], "UTC")
    question = Question(window=window, before=stretch_before(window))
    marks, cpu = [time.perf_counter()], time.process_time()
    with asking(None, state) as connection:
        facts = gather(connection, question, end)
    marks.append(time.perf_counter())
    made = compose(facts)
    marks.append(time.perf_counter())
    page, data = html(made), as_json(made)
    marks.append(time.perf_counter())
    cpu = time.process_time() - cpu
    return {
        "inspections": made.production.total.n,
        "records": rows,
        "questions_s": round(marks[1] - marks[0], 2),
        "composing_s": round(marks[2] - marks[1], 2),
        "drawing_s": round(marks[3] - marks[2], 2),
        "report_s": round(marks[3] - marks[0], 2),
        "cpu_s": round(cpu, 2),
        "page_kb": round(len(page) / 1000),
        "json_kb": round(len(data) / 1000),
        "database_mb": round((state / "verdictline.db").stat().st_size / 1e6),
    }


def _fill(state: Path, plan: Plan) -> int:
    engine = open_engine(database_url(None, state))
    migrate(engine)
    store, batch, count = Store(engine), list[Write](), 0
    for record in records(plan):
        batch.append(Write(place=(record.topic, record.partition), offset=record.offset, rows=rows_of(record)))
        count += 1
        if len(batch) == _BATCH:
            store.write(batch)
            batch = []
    store.write(batch)
    engine.dispose()
    return count
