"""What the database answers, against the same counted from the messages themselves; on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from schemas.envelope import from_millis
from schemas.verdict import VerdictV1
from streams.wiring.adapters.database import ask_monitors, ask_parts
from streams.wiring.adapters.database.connection import reading
from streams.wiring.adapters.database.scope import Scope
from streams.wiring.adapters.database.store import Store
from tests.helpers.database import write
from tests.helpers.evidence_log import T0_MS
from tests.helpers.history import examples, history, part
from tests.helpers.judgement import PRODUCT, STATION

START = from_millis(T0_MS)
N = 150
ALL = Scope(begin=START, end=START + timedelta(hours=1), products=(PRODUCT,))


def spoken() -> dict[str, list[VerdictV1]]:
    """inspection -> its revisions."""
    found: dict[str, list[VerdictV1]] = {}
    for record in history(N):
        if record.topic == "verdict.v1":
            verdict = VerdictV1.read(record.value or b"")
            found.setdefault(verdict.inspection, []).append(verdict)
    return {inspection: sorted(said, key=lambda one: one.revision) for inspection, said in found.items()}


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """Part 7 has no verdict, part 9 no announcement, of part 11 nothing is known."""
    lost = {(part(7), "verdict.v1"), (part(9), "evidence.v1"), (part(11), "verdict.v1"), (part(11), "evidence.v1")}
    write(Store(engine), [r for r in history(N) if (r.header("ce_subject"), r.topic) not in lost])
    return engine


def known() -> dict[str, list[VerdictV1]]:
    return {key: said for key, said in spoken().items() if key not in (part(7), part(11))}


def test_counts_are_those_of_the_effective_verdicts(filled: Engine) -> None:
    with reading(filled) as connection:
        found = ask_parts.counts(connection, ALL)
        halves = [
            ask_parts.counts(connection, Scope(begin=START + timedelta(seconds=a), end=START + timedelta(seconds=b)))
            for a, b in ((0, 75), (75, 150))
        ]
        lot = ask_parts.counts(connection, Scope(lots=("L1",)))
    wanted = Counter((said[-1].disposition, said[-1].label) for said in known().values())
    assert {(one.disposition, one.label): one.n for one in found} == wanted
    assert {one.station for one in found} == {STATION}
    assert [sum(one.n for one in half) for half in halves] == [73, 75]
    assert sum(one.n for one in lot) == 50


def test_what_is_missing_is_named(filled: Engine) -> None:
    with reading(filled) as connection:
        (found,) = ask_parts.reconciliation(connection, Scope(purposes=()))
    assert (found.announced, found.judged) == (N - 2, N - 2)
    assert found.missing == (part(7),)
    assert (found.unannounced, found.holes, found.complete) == (1, 1, False)


def test_what_people_decided_is_held_against_the_policy(filled: Engine) -> None:
    with reading(filled) as connection:
        looked = ask_parts.looked_at(connection, ALL)
        audits = ask_parts.audits(connection, ALL)
        open_reviews = ask_parts.open_reviews(connection, ALL)
        open_audits = ask_parts.open_audits(connection, ALL)
    said = list(known().values())
    by_person = [one for one in said if one[-1].decided_by == "person"]
    assert Counter({(o.first, o.audit, o.now): o.n for o in looked}) == Counter(
        (one[0].disposition, one[0].audit, one[-1].disposition) for one in by_person
    )
    passes = [one for one in said if one[0].disposition == "pass"]
    drawn = [one for one in passes if one[0].audit]
    reviewed = [one for one in drawn if one[-1].decided_by == "person"]
    (audit,) = audits
    assert (audit.passes, audit.drawn, audit.reviewed) == (len(passes), len(drawn), len(reviewed))
    assert audit.bad == sum(one[-1].disposition != "pass" for one in reviewed)
    waiting = {one[-1].inspection for one in said if (one[-1].disposition, one[-1].decided_by) == ("review", "policy")}
    assert {one.inspection for one in open_reviews} == waiting
    assert [one.at for one in open_reviews] == sorted(one.at for one in open_reviews)
    assert {one.inspection for one in open_audits} == {one[-1].inspection for one in said if one[-1].audit}


def test_reasons_failures_versions_and_single_parts(filled: Engine) -> None:
    with reading(filled) as connection:
        codes = ask_parts.reason_codes(connection, ALL, "review", "no_verdict")
        failures = ask_parts.failures(connection, ALL)
        (versions,) = ask_parts.versions_used(connection, ALL)
        (mine,) = ask_parts.parts_of_serial(connection, "S20")
        nothing = ask_parts.part(connection, part(7))
    held = [said[-1] for said in known().values() if said[-1].disposition in ("review", "no_verdict")]
    assert codes == Counter(code for one in held for code in {why.code for why in one.reasons})
    assert {one.reason for one in failures} == {"not_an_image"}
    assert (versions.n, versions.first_at, versions.last_at) == (N - 2, START, START + timedelta(seconds=N - 1))
    said = spoken()[part(20)][-1]
    assert (mine.inspection, mine.disposition, mine.label, mine.at) == (part(20), said.disposition, said.label, said.captured_at)
    assert mine.codes == tuple(why.code for why in said.reasons)
    assert nothing is None


def test_messages_come_back_as_they_were_sent(engine: Engine) -> None:
    write(Store(engine), examples())
    everywhere = Scope(purposes=())
    asked = [
        ask_monitors.subgroups, ask_monitors.signals, ask_monitors.limits, ask_monitors.stages, ask_monitors.limit_acts,
        ask_monitors.drift_events, ask_monitors.baseline_states, ask_monitors.challenge_results, ask_monitors.proofs,
        ask_monitors.suspect_windows, ask_monitors.detection_limits,
    ]  # fmt: skip
    sent = {record.value for record in examples()}
    with reading(engine) as connection:
        for ask in asked:
            found = ask(connection, everywhere)
            assert found, ask.__name__
            assert all(message.json_bytes() in sent for message in found), ask.__name__
        assert ask_monitors.policies(connection)
        assert ask_monitors.model_sets(connection)
        assert ask_monitors.acts(connection, everywhere)
        assert ask_monitors.gaps(connection) == ()
        assert ask_monitors.kept_since(connection) is None


def test_what_people_labelled_is_the_truth_unless_taken_back(engine: Engine) -> None:
    write(Store(engine), examples())
    with reading(engine) as connection:
        found = ask_parts.truths(connection, Scope())
    assert found
    assert set(found.values()) <= {"good", "defect"}
