"""The count of passes behind the bound on escapes: exact whatever comes twice or late, and when parts are removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from schemas.codec import record_of
from schemas.envelope import Received
from schemas.label import LabelV1
from schemas.verdict import VerdictV1
from streams.wiring.adapters.database.ask_console import Questions
from streams.wiring.adapters.database.ask_escapes import Passes
from streams.wiring.adapters.database.store import Store
from tests.helpers.classes import label
from tests.helpers.database import everything, fresh_engine, write
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.history import RULES, history, shuffled
from tests.helpers.judgement import PRODUCT

N, DRAWN = 300, 0.4
HALF = RULES.model_copy(update={"audit_fraction": DRAWN})


def log() -> tuple[Received, ...]:
    return history(N, rules=HALF)


def verdicts() -> list[VerdictV1]:
    return [VerdictV1.read(record.value or b"") for record in log() if record.topic == "verdict.v1"]


def audited_parts() -> list[VerdictV1]:
    return [one for one in verdicts() if one.revision == 1 and one.audit]


def answer(verdict: VerdictV1, n: int, **said: object) -> LabelV1:
    changes = {"inspection": verdict.inspection, "shown": "audit", "audit_probability": verdict.audit_probability, **said}
    return label(n, **changes)


def received(said: Sequence[LabelV1]) -> list[Received]:
    records = [record_of(one, id=one.id, station=one.station, subject=one.inspection) for one in said]
    return [appended(record, i, T0_MS) for i, record in enumerate(records)]


def total(engine: Engine, name: str) -> int:
    return sum(getattr(one, name) for one in Questions(engine).passes())


def test_every_pass_is_counted_once_in_any_order_and_any_transactions(engine: Engine, tmp_path: Path) -> None:
    write(Store(engine), log())
    other = fresh_engine(None, tmp_path / "other")
    for seed, size in ((1, 7), (2, 1000)):
        write(Store(other), shuffled(log(), seed), size)
    assert everything(engine)["passes"] == everything(other)["passes"]
    other.dispose()
    wanted = Counter(one.audit_probability for one in verdicts() if (one.revision, one.disposition) == (1, "pass"))
    found: Counter[float] = Counter()
    for one in Questions(engine).passes():
        found[one.probability] += one.n
    assert dict(found) == dict(wanted)
    assert set(found) == {DRAWN}


def test_what_an_audit_found_is_the_last_opinion_or_a_persons_verdict(engine: Engine) -> None:
    """The history's people have decided some: those count by their verdict."""
    write(Store(engine), log())
    by = {one.inspection: one for one in verdicts()}  # the effective ones
    first = audited_parts()
    fates = Counter(
        "open" if by[one.inspection].decided_by != "person" else "good" if by[one.inspection].disposition == "pass" else "bad"
        for one in first
    )
    assert [total(engine, name) for name in ("good", "bad", "waiting")] == [fates["good"], fates["bad"], fates["open"]]
    waiting = [one for one in first if by[one.inspection].decided_by != "person"]
    a, b, c, d, e, *_ = waiting
    taken_back = answer(d, 9)
    said = [
        answer(a, 1),
        answer(b, 2),
        answer(b, 3, who="bob", opinion="second", answer="defect"),
        answer(c, 4, answer="defect"),
        answer(c, 5, who="bob", opinion="second"),
        answer(c, 6, who="eve", opinion="third"),
        taken_back,
        answer(d, 10, answer=None, withdraws=taken_back.id),
        answer(e, 11, answer="unsure"),
        answer(a, 12, who="bob", answer=None, withdraws=answer(a, 1).id),
    ]
    write(Store(engine), received(said))
    assert total(engine, "good") == fates["good"] + 2
    assert total(engine, "bad") == fates["bad"] + 1
    assert total(engine, "waiting") == fates["open"] - 3


def test_retention_keeps_the_counts(engine: Engine) -> None:
    store = Store(engine)
    write(store, log())
    before = [total(engine, name) for name in ("n", "good", "bad")], total(engine, "waiting")
    while store.forget((T0_MS + 150_000) * 1000, most=20):
        continue
    assert ([total(engine, name) for name in ("n", "good", "bad")], total(engine, "waiting") + total(engine, "lapsed")) == before
    assert 0 < total(engine, "lapsed") < before[1]
    assert len(everything(engine)["inspections"]) == N // 2
    while store.forget((T0_MS + 7_200_000) * 1000):
        continue
    (left,) = Questions(engine).passes()
    assert left == Passes(
        product=PRODUCT,
        probability=DRAWN,
        hour=0,
        n=before[0][0],
        good=before[0][1],
        bad=before[0][2],
        waiting=0,
        lapsed=before[1],
    )
    assert everything(engine)["revisions"] == []


def test_a_rebuild_that_was_cut_off_counts_nothing_twice(engine: Engine) -> None:
    store = Store(engine)
    write(store, log())
    whole = everything(engine)["passes"]
    store.begin_rebuild({}, 0)
    write(store, log()[: N * 2])
    assert store.resume_rebuild()
    write(store, log())
    assert everything(engine)["passes"] == whole


@pytest.mark.parametrize("named", ["sqlite", "postgresql"])
def test_a_database_of_before_has_its_passes_counted(named: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    from sqlalchemy import text

    from streams.wiring.adapters.database.connection import writing
    from streams.wiring.adapters.database.migrate import migrate

    engine = fresh_engine(None if named == "sqlite" else request.getfixturevalue("postgres").fresh(), tmp_path)
    write(Store(engine), log())
    wanted = Counter(one.probability for one in Questions(engine).passes() for _ in range(one.n))
    with writing(engine) as connection:
        connection.execute(text("DROP TABLE passes"))
        connection.execute(text("DROP INDEX revisions_audited"))
        for name in ("product", "purpose", "audit_probability"):
            connection.execute(text(f"ALTER TABLE revisions DROP COLUMN {name}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
    assert migrate(engine).up_to_date
    found = Counter(one.probability for one in Questions(engine).passes() for _ in range(one.n))
    engine.dispose()
    assert sum(found.values()) == sum(wanted.values())
    decided = [one for one in verdicts() if one.decided_by == "person"]
    assert set(found) == {0.0, DRAWN}
    assert found[0.0] <= len({one.inspection for one in decided}), "only of those that a person has decided it is not known"
