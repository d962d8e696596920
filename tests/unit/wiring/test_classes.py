"""The classes of defects: put in force at the desk, stored by the sink, asked for; on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from schemas.act import ActV1
from schemas.codec import CONSOLE, keyed, record_of
from schemas.common import digest
from schemas.envelope import Received, Record
from schemas.taxonomy import ClassProposalV1, ClassV1, TaxonomyActV1, TaxonomyPointerV1, TaxonomyV1
from streams.fates import Unavailable
from streams.review.taxonomy import evolve, follow, lineage_of
from streams.wiring.adapters.database.ask_console import Questions
from streams.wiring.adapters.database.connection import writing
from streams.wiring.adapters.database.migrate import VERSIONS, migrate, schema
from streams.wiring.adapters.database.store import Store
from streams.wiring.adapters.desk.opening import open_desk
from streams.wiring.adapters.desk.outgoing import Outgoing
from streams.wiring.adapters.desk.taxonomies import Stale, Taxonomies
from tests.helpers.database import fresh_engine, write
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.labels import NOW, label, part, taxonomy

WHO: dict[str, Any] = {"who": "m.weber", "why": "two kinds", "now": NOW}
FIRST = taxonomy("scratch", "dent")
CHIP = evolve(FIRST, [TaxonomyActV1(act="add", into=("chip",))], {"chip": ClassV1(id="chip", name="Chip")})
PROPOSAL = ClassProposalV1(
    product="disc",
    taxonomy=digest(FIRST),
    name="Chip",
    members=(part(1), part(2)),
    borderline=(part(2),),
    who="ada",
    why="all at the edge",
    proposed_at=NOW,
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Engine]:
    engine = open_desk(tmp_path / "desk")
    yield engine
    engine.dispose()


def received(records: Sequence[Record], begin: int = 0) -> list[Received]:
    return [appended(record, begin + i, T0_MS) for i, record in enumerate(records)]


def sent(desk: Engine) -> list[Received]:
    """What waits for Kafka, as the broker would give it."""
    return received([record for _, record in Outgoing(desk).take(1000)])


def proposed(said: ClassProposalV1) -> Record:
    return keyed(said, id=said.id, key=f"proposal/{said.id}", subject="current/disc", time=NOW, source=CONSOLE)


def test_what_is_put_in_force_is_what_is_asked_for(engine: Engine, desk: Engine) -> None:
    questions, at_desk = Questions(engine), Taxonomies(desk)
    assert questions.taxonomy("disc") is None
    at_desk.publish([FIRST], **WHO)
    first_part = sent(desk)
    at_desk.publish([CHIP], **WHO)
    assert at_desk.ahead("disc", None) == (FIRST, CHIP)
    assert at_desk.ahead("disc", digest(FIRST)) == (CHIP,)
    write(Store(engine), first_part)
    found = questions.taxonomy("disc")
    assert found
    assert (found.digest, found.taxonomy) == (digest(FIRST), FIRST)
    write(Store(engine), sent(desk))
    found = questions.taxonomy("disc")
    assert found
    assert (found.digest, found.who, found.why) == (digest(CHIP), "m.weber", "two kinds")
    assert dict(found.versions) == {digest(FIRST): FIRST, digest(CHIP): CHIP}
    assert at_desk.ahead("disc", found.digest) == ()
    old = label(answer="defect", label="dent", taxonomy=digest(FIRST))
    assert follow(old, lineage_of(found.versions, found.digest)).label == "dent"
    assert questions.taxonomy("board") is None


def test_every_change_is_an_act_and_a_version_comes_before_its_pointer(desk: Engine) -> None:
    Taxonomies(desk).publish([FIRST, CHIP], **WHO)
    records = sent(desk)
    kinds = [record.header("ce_type") for record in records]
    assert kinds == [TaxonomyV1.TYPE, TaxonomyPointerV1.TYPE, ActV1.TYPE] * 2
    assert [record.key for record in records[:3]] == [digest(FIRST).encode(), b"current/disc", b"current/disc"]
    acts = [ActV1.read(record.value or b"") for record in records if record.topic == "act.v1"]
    assert [(act.act, act.digest, act.who) for act in acts] == [
        ("taxonomy_in_force", digest(FIRST), "m.weber"),
        ("taxonomy_in_force", digest(CHIP), "m.weber"),
    ]
    assert len({record.header("ce_id") for record in records}) == len(records)


def test_of_two_who_change_one_version_the_second_is_told(desk: Engine) -> None:
    at_desk = Taxonomies(desk)
    at_desk.publish([FIRST], **WHO)
    at_desk.publish([CHIP], **WHO)
    other = evolve(FIRST, [TaxonomyActV1(act="retire", of=("dent",))], {})
    before = len(sent(desk))
    for versions in ([other], [taxonomy("crack")], [CHIP]):
        with pytest.raises(Stale, match="Nothing was changed"):
            at_desk.publish(versions, **WHO)
    assert len(sent(desk)) == before
    assert at_desk.ahead("disc", None)[-1] == CHIP


def test_a_pointer_without_its_version_is_not_taken_for_no_classes(engine: Engine, desk: Engine) -> None:
    Taxonomies(desk).publish([FIRST], **WHO)
    write(Store(engine), [record for record in sent(desk) if record.header("ce_type") != TaxonomyV1.TYPE])
    with pytest.raises(Unavailable, match="db rebuild"):
        Questions(engine).taxonomy("disc")


def test_a_proposal_is_open_until_somebody_decides(engine: Engine, desk: Engine) -> None:
    questions, at_desk = Questions(engine), Taxonomies(desk)
    later = PROPOSAL.model_copy(update={"name": "Rim", "proposed_at": NOW + timedelta(hours=1)})
    write(Store(engine), received([proposed(PROPOSAL), proposed(later)]))
    assert [(one.id, one.fate) for one in questions.proposals("disc")] == [(later.id, "open"), (PROPOSAL.id, "open")]
    at_desk.publish([FIRST], **WHO)
    at_desk.publish([CHIP], **WHO, accepts=PROPOSAL.id)
    at_desk.reject("disc", later.id, digest(CHIP), **WHO)
    assert at_desk.decided("disc") == {PROPOSAL.id, later.id}
    write(Store(engine), sent(desk))
    rejected, accepted = questions.proposals("disc")
    assert (rejected.fate, rejected.version, rejected.who, rejected.why) == ("rejected", None, "m.weber", "two kinds")
    assert (accepted.fate, accepted.version, accepted.proposal) == ("accepted", digest(CHIP), PROPOSAL)
    with pytest.raises(Stale):
        at_desk.reject("disc", PROPOSAL.id, digest(CHIP), **WHO)
    assert questions.proposals("dis_") == ()


def test_a_proposal_that_is_accepted_and_changed_at_once_does_neither(desk: Engine) -> None:
    """The class and the decision are one: where the version is stale the proposal stays open."""
    at_desk = Taxonomies(desk)
    at_desk.publish([FIRST, CHIP], **WHO)
    with pytest.raises(Stale):
        at_desk.publish([evolve(FIRST, [TaxonomyActV1(act="retire", of=("dent",))], {})], **WHO, accepts=PROPOSAL.id)
    assert at_desk.decided("disc") == frozenset()
    at_desk.reject("disc", PROPOSAL.id, digest(CHIP), **WHO)
    last = evolve(CHIP, [TaxonomyActV1(act="retire", of=("dent",))], {})
    with pytest.raises(Stale):
        at_desk.publish([last], **WHO, accepts=PROPOSAL.id)
    assert at_desk.ahead("disc", digest(CHIP)) == ()


def test_a_withdrawn_proposal_says_so_whatever_was_decided(engine: Engine) -> None:
    gone = PROPOSAL.model_copy(update={"withdrawn": True})
    assert gone.id == PROPOSAL.id
    write(Store(engine), received([proposed(PROPOSAL), proposed(gone)]), size=1)
    (found,) = Questions(engine).proposals("disc")
    assert found.fate == "withdrawn"
    write(Store(engine), received([proposed(PROPOSAL)]))
    assert Questions(engine).proposals("disc")[0].fate == "withdrawn", "the later word of the log stays"


@pytest.mark.parametrize("named", ["sqlite", "postgresql"])
def test_labels_of_a_database_of_before_know_their_part(named: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    engine = fresh_engine(None if named == "sqlite" else request.getfixturevalue("postgres").fresh(), tmp_path)
    with writing(engine) as connection:
        for table in sa.inspect(connection).get_table_names():
            connection.execute(text(f"DROP TABLE {table}"))
    _upgrade(engine, "0002")
    said = [
        label(1, serial="S1", lot="L"),
        label(2, lot="L"),
        label(3),
        label(4, answer="defect", label="dent", taxonomy="a" * 64),
    ]
    with writing(engine) as connection:
        for n, one in enumerate(said):
            names = ("inspection", "station", "product", "answer", "label", "who", "opinion", "shown", "withdraws")
            row = {"label_id": one.id, "view": one.view, "log_offset": n, "at_us": n, "data": one.json_bytes().decode()}
            row |= {name: getattr(one, name) for name in names}
            columns = ", ".join(row)
            connection.execute(text(f"INSERT INTO labels ({columns}) VALUES ({', '.join(f':{name}' for name in row)})"), row)
    assert migrate(engine).up_to_date
    with writing(engine) as connection:
        found = connection.execute(text("SELECT physical, taxonomy FROM labels ORDER BY log_offset")).all()
    engine.dispose()
    assert [tuple(row) for row in found] == [
        ("serial/S1", None),
        ("lot/L", None),
        (f"image/{part(3)}", None),
        (f"image/{part(4)}", "a" * 64),
    ]


def _upgrade(engine: Engine, revision: str) -> None:
    assert schema(engine).current is None
    config = Config()
    config.set_main_option("script_location", str(VERSIONS))
    config.set_main_option("path_separator", "os")
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_labels_are_gathered_by_what_their_class_has_become(engine: Engine) -> None:
    """The same on both databases: counts, physical parts, and one example of each inspection, the newest first."""
    old, new = digest(FIRST), digest(CHIP)
    bad = {"answer": "defect", "taxonomy": old}
    said = [
        label(1, serial="S", label="dent", **bad),
        label(2, serial="S", label="dent", **bad),
        label(2, serial="S", label="dent", who="bob", opinion="second", **bad),
        label(3, label="scratch", **(bad | {"taxonomy": new})),
        label(4),
        label(5, label="chip", **(bad | {"taxonomy": new})),
    ]
    gone = label(5, answer=None, withdraws=said[-1].id)
    anothers = label(3, who="bob", opinion="second", answer=None, withdraws=said[3].id)
    records = [record_of(one, id=one.id, station=one.station, subject=one.inspection) for one in [*said, gone, anothers]]
    write(Store(engine), [appended(record, i, T0_MS + i) for i, record in enumerate(records)])
    questions = Questions(engine)
    groups = {"mark": [("dent", old), ("scratch", new)], "chip": [("chip", new)], "empty": []}
    found = questions.gathered("disc", groups)
    assert set(found) == {"mark"}
    assert (found["mark"].labels, found["mark"].parts) == (4, 2)
    assert [one.inspection for one in found["mark"].examples] == [part(3), part(2), part(1)]
    assert questions.gathered("board", groups) == {}
    counted = {(one.answer, one.label): one.n for one in questions.labelled("disc")}
    assert counted == {("defect", "dent"): 3, ("defect", "scratch"): 1, ("good", None): 1}
