"""The queue with real processes: an answer becomes a revision by a person, and none is lost by a kill while Kafka is away."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from schemas.common import ImageRef, Message
from schemas.evidence import ReviewedV1
from schemas.label import LabelV1
from schemas.topics import EVIDENCE, LABEL, VERDICT
from schemas.verdict import VerdictV1
from streams.fates import Unavailable
from streams.wiring.adapters.database.ask_console import Questions
from streams.wiring.adapters.database.connection import database_url, open_engine
from streams.wiring.adapters.desk.accounts import Accounts
from streams.wiring.adapters.desk.opening import open_desk
from streams.wiring.adapters.images import FileImages
from streams.wiring.adapters.kafka import Writer, read_all
from streams.wiring.adapters.topics import apply_topics
from streams.workbench.processes import free_ports
from tests.helpers.console import PASSWORD
from tests.helpers.evidence_log import evidence_record
from tests.helpers.history import MODELS, RULES, parts, version
from tests.helpers.known import Rabbit, evidence, told_of
from tests.helpers.reviewing import SCRIPTED, form, said
from tests.helpers.servers import SharedKafka, shared_kafka
from tests.helpers.wait import wait_until
from tests.kafka.test_console import answers, running

pytestmark = pytest.mark.kafka
_WAIT_S = 90.0
WHO = "tom"  # of 60 parts of line 3 the hash exchanges 9 with him: enough wait


@pytest.fixture(scope="module")
def kafka() -> Iterator[SharedKafka]:
    """One of its own: the queue holds whatever waits on it."""
    with shared_kafka() as found:
        apply_topics({"bootstrap.servers": found.bootstrap})
        yield found


def tell(kafka: SharedKafka, count: int, seed: int) -> None:
    """Evidence of so many parts, without what people said of them."""
    writer = Writer({"bootstrap.servers": kafka.bootstrap})
    writer.send(version(RULES))
    writer.send(version(MODELS))
    for _, message in parts(count, seed, station=f"plant/line-{seed}/cam-1"):
        if not isinstance(message, ReviewedV1):
            writer.send(evidence_record(message))
    writer.flush()


def read(kafka: SharedKafka, topic: str, kind: type[Message]) -> list[Any]:
    client = {"bootstrap.servers": kafka.bootstrap}
    return [kind.read(record.value or b"") for record in read_all(client, [topic]) if record.header("ce_type") == kind.TYPE]


def reviewer(folder: Path, name: str) -> None:
    desk = open_desk(folder)
    accounts, now = Accounts(desk), datetime.now(UTC)
    accounts.use_link(accounts.add(name, "reviewer", who="test", why="a test", now=now), name, PASSWORD, now)
    desk.dispose()


class Person:
    """Logged in at a console that runs."""

    def __init__(self, client: httpx2.Client, name: str) -> None:
        self.client = client
        login = self.client.get("/login").text
        assert self.client.post("/login", data={"csrf": _csrf(login), "name": name, "password": PASSWORD}).status_code == 303

    def look(self) -> httpx2.Response:
        return self.client.get("/queue")

    def post(self, path: str, **fields: str) -> httpx2.Response:
        return self.client.post(path, data={"csrf": _csrf(self.look().text), **fields}, headers=SCRIPTED)


def _csrf(text: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', text)
    assert found, text[:1000]
    return found[1]


@contextmanager
def console(kafka: str, folder: Path, name: str, **more: str) -> Iterator[tuple[Person, subprocess.Popen[bytes]]]:
    """It runs, and that person has logged in."""
    port = str(free_ports(1)[0])
    with running("console", kafka, folder, VERDICTLINE_CONSOLE_PORT=port, **more) as process:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(url), _WAIT_S, "the console")
        with httpx2.Client(base_url=url, timeout=30) as client:
            yield Person(client, name), process


def test_an_answer_is_a_revision_by_a_person_and_taking_it_back_another(kafka: SharedKafka, tmp_path: Path) -> None:
    reviewer(tmp_path, "ada")
    with (
        running("triage", kafka.bootstrap, tmp_path),
        running("sink", kafka.bootstrap, tmp_path),
        console(kafka.bootstrap, tmp_path, "ada") as (ada, _),
    ):
        tell(kafka, 30, 1)
        first = wait_until(lambda: form(ada.look().text), _WAIT_S, "a part that waits")
        done = ada.post("/queue/answer", **first, answer="class:dent:scrap", looked_ms="5")
        assert said(done) == "dent: scrap."
        wait_until(lambda: revisions(kafka, first["inspection"]) == ["review", "scrap"], _WAIT_S, "its verdict by a person")
        number = re.findall(r'name="number" value="(\d+)"', done.text)[0]
        assert said(ada.post("/queue/undo", number=number)).startswith("Taken back")
        wait_until(lambda: revisions(kafka, first["inspection"])[2:] == ["review"], _WAIT_S, "review again")
        again = form(ada.look().text)
        assert (again["inspection"], again["revision"]) == (first["inspection"], "3")
        ada.post("/queue/answer", **again, answer="good")
        wait_until(lambda: revisions(kafka, first["inspection"])[3:] == ["pass"], _WAIT_S, "the last word")
        whole = read(kafka, VERDICT, VerdictV1)
        assert [one.who for one in whole if one.inspection == first["inspection"]] == [None, "ada", "ada", "ada"]


def revisions(kafka: SharedKafka, inspection: str) -> list[str]:
    found = {one.revision: one.disposition for one in read(kafka, VERDICT, VerdictV1) if one.inspection == inspection}
    return [found[number] for number in sorted(found)]


def test_answers_of_a_console_that_is_killed_while_kafka_is_away_arrive_once(kafka: SharedKafka, tmp_path: Path) -> None:
    reviewer(tmp_path, "bob")
    with running("triage", kafka.bootstrap, tmp_path), running("sink", kafka.bootstrap, tmp_path):
        tell(kafka, 60, 2)
        with console(kafka.bootstrap, tmp_path, "bob") as (bob, _):
            wait_until(lambda: waiting(bob) >= 10, _WAIT_S, "parts that wait")
    decided: list[str] = []
    with console(f"127.0.0.1:{free_ports(1)[0]}", tmp_path, "bob") as (bob, process):
        wait_until(lambda: form(bob.look().text), _WAIT_S, "a part without Kafka")
        for n in range(6):
            fields = form(bob.look().text)
            page = bob.post("/queue/answer", **fields, answer="good" if n % 2 else "class:dent:scrap")
            decided.append(fields["inspection"])
        held = form(page.text)["inspection"]
        wait_until(lambda: "Kafka does not answer" in bob.look().text, _WAIT_S, "that Kafka is away is said")
        assert "records of what you and others decided wait here" in bob.look().text
        process.kill()
        process.wait()
    assert len(set(decided)) == 6
    with running("triage", kafka.bootstrap, tmp_path), console(kafka.bootstrap, tmp_path, "bob") as (bob, _):
        assert form(bob.look().text)["inspection"] == held
        wait_until(lambda: len(sent(kafka, decided)) >= 6, _WAIT_S, "the answers on Kafka")
        wait_until(lambda: all(len(revisions(kafka, one)) == 2 for one in decided), _WAIT_S, "their verdicts")
    assert sent(kafka, decided) == Counter(decided)
    labels = Counter(one.inspection for one in read(kafka, LABEL, LabelV1) if one.inspection in decided)
    assert labels == Counter(decided)


def test_an_answer_to_a_challenge_is_a_label_and_no_verdict(kafka: SharedKafka, tmp_path: Path) -> None:
    reviewer(tmp_path, WHO)
    station = "plant/line-3/cam-1"
    uri, sha = FileImages(tmp_path / "images").keep(b"a picture")
    picture = ImageRef(uri=uri, sha256=sha, bytes=9, content_type="image/png")
    rabbit = Rabbit(n=60, name="m1", station=station, picture=picture)
    with running("triage", kafka.bootstrap, tmp_path), running("sink", kafka.bootstrap, tmp_path):
        tell(kafka, 60, 3)
        writer = Writer({"bootstrap.servers": kafka.bootstrap})
        for record in (
            *map(evidence_record, evidence(rabbit)),
            *told_of([rabbit], {rabbit.inspection: "scrap"}, datetime.now(UTC)),
        ):
            writer.send(record)
        writer.flush()
        wait_until(lambda: known(tmp_path), _WAIT_S, "a part with a known answer in the database")
        with console(kafka.bootstrap, tmp_path, WHO, VERDICTLINE_CHALLENGE_SHARE="0.1") as (person, _):
            wait_until(lambda: waiting(person) >= 20, _WAIT_S, "parts that wait")
            fields, others = form(person.look().text), []
            while fields and fields["inspection"] != rabbit.inspection:
                others.append(fields["inspection"])
                fields = form(person.post("/queue/answer", **fields, answer="good").text)
            done = person.post("/queue/answer", **fields, answer="class:dent:scrap")
            assert said(done) == "dent: scrap."
            number = re.findall(r'name="number" value="(\d+)"', done.text)[0]
            again = form(person.post("/queue/undo", number=number).text)
            after = form(person.post("/queue/answer", **again, answer="unsure").text)["inspection"]
            person.post("/queue/answer", **form(person.look().text), answer="good")
            wait_until(lambda: revisions(kafka, after)[1:] == ["pass"], _WAIT_S, "the verdict of the part after it")
    labels = [one for one in read(kafka, LABEL, LabelV1) if one.inspection == rabbit.inspection]
    assert [(one.shown, one.answer) for one in labels] == [("challenge", answer) for answer in ("defect", None, "unsure")]
    assert revisions(kafka, rabbit.inspection) == ["scrap"]
    assert sent(kafka, [rabbit.inspection, *others]) == Counter(others)


def known(folder: Path) -> bool:
    """Whether the sink has all that the console asks of challenge parts."""
    engine, now = open_engine(database_url(None, folder)), datetime.now(UTC)
    try:
        return bool(Questions(engine).known_parts(now - timedelta(hours=1), now))
    except Unavailable:
        return False
    finally:
        engine.dispose()


def sent(kafka: SharedKafka, inspections: list[str]) -> Counter[str]:
    return Counter(one.inspection for one in read(kafka, EVIDENCE, ReviewedV1) if one.inspection in inspections)


def waiting(person: Person) -> int:
    """About so many; 0: fewer than 10."""
    found = re.search(r">about (\d+) wait", person.look().text)
    return int(found[1]) if found else 0
