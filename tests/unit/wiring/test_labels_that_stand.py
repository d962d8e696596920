"""What another one takes back stands, in every question that asks what people said; as streams/review/labels.py has it."""

from __future__ import annotations

from sqlalchemy import Engine, select

from streams.review.labels import Shelf, shelve
from streams.wiring.adapters.database import ask_classes, ask_parts, ask_report, ask_reviewers
from streams.wiring.adapters.database.connection import reading
from streams.wiring.adapters.database.scope import Scope
from streams.wiring.adapters.database.standing import standing
from streams.wiring.adapters.database.store import Store
from streams.wiring.adapters.database.tables import LABELS
from tests.helpers.classes import label, labels
from tests.helpers.database import write
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.history import history, part
from tests.helpers.judgement import PRODUCT


def test_only_who_said_it_takes_it_back(engine: Engine) -> None:
    bad = {"answer": "defect", "label": "dent", "taxonomy": "a" * 64}
    first, mine = label(1), label(2, **bad)
    said = [
        first,
        label(1, who="bob", opinion="second", withdraws=first.id, **bad),
        mine,
        label(2, answer=None, withdraws=mine.id),
    ]
    records = [record for record in history(12) if record.topic != "label.v1"]
    write(Store(engine), [*records, *(appended(one, i, T0_MS) for i, one in enumerate(labels(*said)))])
    with reading(engine) as connection:
        found = connection.execute(select(LABELS.c.label_id).where(standing()).order_by(LABELS.c.log_offset)).scalars().all()
        truths = ask_parts.truths(connection, Scope())
        twice = ask_report.looked_twice(connection, Scope())
    assert found == [one.id for one in shelve(Shelf(), said).standing()] == [said[0].id, said[1].id]
    assert truths == {part(1): "defect"}
    assert [(one.first, one.second, one.n) for one in twice] == [("good", "defect", 1)]


def test_what_was_said_of_a_challenge_stands_for_no_part(engine: Engine) -> None:
    bad = {"answer": "defect", "label": "dent", "taxonomy": "a" * 64}
    said = [
        label(1),
        label(2, shown="challenge", **bad),
        label(2, who="bob", shown="challenge"),
        label(3, shown="request", **bad),
    ]
    write(Store(engine), [*history(12), *(appended(one, 9000 + i, T0_MS) for i, one in enumerate(labels(*said)))])
    with reading(engine) as connection:
        truths = ask_parts.truths(connection, Scope())
        counts = {(one.answer, one.label): one.n for one in ask_classes.labelled(connection, PRODUCT)}
        gathered = ask_classes.gathered(connection, PRODUCT, {"dent": [("dent", "a" * 64)]})["dent"]
        opinions = ask_reviewers.known(connection)
    assert truths == {part(1): "good", part(3): "defect"}
    assert counts == {("good", None): 1, ("defect", "dent"): 1}
    assert (gathered.labels, gathered.parts) == (1, 1)
    assert opinions == (), "nor of a person, where the part's answer is not known"
