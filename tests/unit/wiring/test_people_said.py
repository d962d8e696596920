"""What the report makes of people's labels and verdicts: who looked, at what, and what an audited pass turned out to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from schemas.codec import record_of
from schemas.common import Disposition
from schemas.label import LabelledViewV1, LabelV1
from schemas.verdict import VerdictV1
from streams.judgement.verdicts import verdict_record
from streams.wiring.adapters.database import ask_parts, ask_report
from streams.wiring.adapters.database.connection import reading
from streams.wiring.adapters.database.scope import Scope
from streams.wiring.adapters.database.store import Store
from streams.wiring.report.truth import escapes, truths
from tests.helpers.challenges import verdict
from tests.helpers.database import write
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.labels import IMAGE, label

ALL = Scope()


def store(engine: Engine, verdicts: Sequence[VerdictV1], labels: Sequence[LabelV1] = ()) -> None:
    records = [verdict_record(one) for one in verdicts]
    records += [record_of(one, id=one.id, station=one.station, subject=one.inspection) for one in labels]
    write(Store(engine), [appended(record, i, T0_MS) for i, record in enumerate(records)])


def of(part: VerdictV1, **changes: Any) -> LabelV1:
    return label(**{"inspection": part.inspection, "station": part.station, "product": part.product, **changes})


def decided(first: VerdictV1, disposition: Disposition) -> VerdictV1:
    changes = {"revision": 2, "disposition": disposition, "decided_by": "person", "who": "ada", "audit": False}
    return first.model_copy(update={**changes, "audit_probability": None})


def test_whoever_names_a_cluster_has_not_looked_at_its_parts(engine: Engine) -> None:
    """Two of four rejects are named with their cluster; at one of its parts somebody looked."""
    rejects = [verdict(n, "scrap") for n in range(4)]
    named = {"shown": "cluster", "proposal": "d" * 64, "answer": "defect"}
    said = [of(rejects[0], looked_ms=0, **named), of(rejects[1], looked_ms=0, **named), of(rejects[2], looked_ms=700, **named)]
    store(engine, rejects, said)
    with reading(engine) as connection:
        assert ask_parts.truths(connection, ALL) == {rejects[2].inspection: "defect"}
        (found,) = truths(ask_report.firsts(connection, ALL), ask_report.known_truths(connection, ALL), [])
    assert (found.rejects, found.all_looked) == (4, False)
    assert (found.true_rejects.events, found.true_rejects.n) == (1, 1)


def test_of_several_people_the_one_who_says_defect_counts_unless_it_is_taken_back(engine: Engine) -> None:
    parts = [verdict(n, "review") for n in range(3)]
    wrong = of(parts[1], answer="defect")
    said = [
        of(parts[0], answer="good"),
        of(parts[0], answer="defect", who="bob", opinion="second"),
        wrong,
        of(parts[1], answer="good", withdraws=wrong.id),
        of(parts[2], answer="unsure"),
    ]
    store(engine, parts, said)
    wanted = {parts[0].inspection: "defect", parts[1].inspection: "good"}
    with reading(engine) as connection:
        assert ask_parts.truths(connection, ALL) == wanted
        known = {(one.truth, one.n) for one in ask_report.known_truths(connection, ALL)}
    assert known == {("defect", 1), ("good", 1)}


def test_opinions_of_different_views_do_not_disagree(engine: Engine) -> None:
    one, other = verdict(1, "review"), verdict(2, "review")
    second: dict[str, Any] = {"who": "bob", "opinion": "second"}
    face, back = (LabelledViewV1(view="v1", image=IMAGE),), (LabelledViewV1(view="v2", image=IMAGE),)
    said = [
        of(one, views=face, answer="good"),
        of(one, views=back, answer="defect", **second),
        of(other, views=face, answer="good"),
        of(other, views=face, answer="defect", **second),
        of(other, views=back, answer="good"),
        of(other, views=back, answer="good", **second),
    ]
    store(engine, [one, other], said)
    with reading(engine) as connection:
        twice = ask_report.looked_twice(connection, ALL)
    assert [(one.first, one.second, one.n) for one in twice] == [("good", "defect", 1), ("good", "good", 1)]


def test_an_audited_pass_is_bad_only_where_somebody_says_so(engine: Engine) -> None:
    """What a person holds for another look, or cannot answer, is no escape: it waits."""
    drawn: dict[str, Any] = {"audit": True, "audit_probability": 0.5}
    passes = [verdict(n, **drawn) for n in range(6)] + [verdict(n, audit_probability=0.5) for n in range(6, 10)]
    fates: list[Disposition] = ["scrap", "rework", "review", "no_verdict", "pass"]
    later = [decided(one, fate) for one, fate in zip(passes, fates, strict=False)]
    later.append(decided(passes[6], "scrap"))  # not drawn: a pass like all the others that were not
    store(engine, [*passes, *later])
    with reading(engine) as connection:
        (found,) = escapes(ask_report.audited_passes(connection, ALL))
        (audit,) = ask_parts.audits(connection, ALL)
    assert (found.passes, found.drawn, found.answered, found.bad, found.waiting) == (10, 6, 3, 2, 3)
    assert found.method == "clopper_pearson"
    assert (audit.drawn, audit.reviewed, audit.bad) == (6, 3, 2)


def test_what_came_late_stays_late_when_a_person_decides(engine: Engine) -> None:
    first = verdict(1, "no_verdict")
    late = first.model_copy(update={"revision": 2, "disposition": "review", "late": True})
    person = decided(first, "pass").model_copy(update={"revision": 3})
    store(engine, [first, late, person, verdict(2)])
    with reading(engine) as connection:
        assert ask_report.late(connection, ALL) == 1
