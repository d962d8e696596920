"""Shifts in a database, and the report of them: records as the topics hold them, written as the sink writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from schemas.envelope import Received
from schemas.topics import VERDICT
from schemas.verdict import VerdictV1
from streams.wiring.adapters.database.scope import asking
from streams.wiring.adapters.database.store import Store
from streams.wiring.report.compose import Report, compose
from streams.wiring.report.facts import OnBus, Question, gather
from streams.wiring.report.window import shift, shift_before
from streams.workbench.shift import Plan, records
from tests.helpers.database import fresh_engine, write
from tests.helpers.shift_extras import extras

ZONE, CLOCKS = "Europe/Berlin", ("06:00", "14:00", "22:00")
BEGIN = datetime(2026, 11, 26, 21, tzinfo=UTC)  # the night shift
SHIFT = "2026-11-27 06:00"
NOW = datetime(2026, 11, 27, 13, 30, tzinfo=UTC)
EIGHT_HOURS = timedelta(hours=8)
ALL_READ = OnBus(behind={}, verdicts=0, copies=0, conflicts=())


@cache
def two_shifts(parts: int = 3000, seed: int = 7) -> tuple[Received, ...]:
    return tuple(records(Plan(begin=BEGIN, parts=parts, seed=seed)))


def stored(folder: Path, found: Sequence[Received]) -> Path:
    """The folder is the state folder of whoever asks."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = fresh_engine(None, folder)
    write(Store(engine), found, 2000)
    engine.dispose()
    return folder


def asked(folder: Path, *, now: datetime = NOW, bus: OnBus | None = ALL_READ, text: str = SHIFT, **changes: object) -> Report:
    """The report of a shift; changes: of the question."""
    window = shift(text, CLOCKS, ZONE, now)
    question = replace(Question(window=window, before=shift_before(window, CLOCKS)), **changes)  # type: ignore[arg-type]
    with asking(None, folder) as connection:
        return compose(replace(gather(connection, question, now), bus=bus))


def full_shift(parts: int = 3000) -> tuple[Received, ...]:
    """With baselines, drift, challenges, acts and labels."""
    found = two_shifts(parts)
    begin = BEGIN + EIGHT_HOURS
    return (*found, *extras(begin, verdicts(found, begin, begin + EIGHT_HOURS), 0.02))


def verdicts(found: Sequence[Received], begin: datetime, end: datetime) -> list[VerdictV1]:
    """Effective ones of parts captured in between: counted from the records alone."""
    newest: dict[str, VerdictV1] = {}
    for record in found:
        if record.topic == VERDICT:
            one = VerdictV1.read(record.value or b"")
            before = newest.get(one.inspection)
            if before is None or one.revision > before.revision:
                newest[one.inspection] = one
    return [one for one in newest.values() if one.captured_at is not None and begin <= one.captured_at < end]
