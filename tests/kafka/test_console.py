"""Sink and console as processes on a real Kafka: what the topics say is on the pages, what people do is on act.v1."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from schemas.act import ActV1
from schemas.envelope import Record
from schemas.topics import ACT
from streams.wiring.adapters.desk.accounts import Accounts
from streams.wiring.adapters.desk.acts import user_act
from streams.wiring.adapters.desk.courier import Courier
from streams.wiring.adapters.desk.opening import open_desk
from streams.wiring.adapters.desk.outgoing import Outgoing
from streams.wiring.adapters.kafka import Writer, read_all
from streams.wiring.adapters.topics import apply_topics
from streams.workbench.processes import free_ports
from tests.helpers.console import PASSWORD, token_of, utc
from tests.helpers.history import history, part
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
_WAIT_S = 90.0


@contextmanager
def running(name: str, kafka: str, folder: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`verdictline run NAME`, its log in the folder."""
    env = {"VERDICTLINE_KAFKA": kafka, "VERDICTLINE_STATE": str(folder), "VERDICTLINE_DATABASE_DAYS": "3650", **more}
    with (folder / f"{name}.log").open("ab") as out:
        command = [sys.executable, "-m", "streams", "run", name]
        process = subprocess.Popen(command, env={**os.environ, **env}, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/login", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


def first_link(log: Path) -> str:
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if '"link"' in line]
    return str(lines[0]["link"])


def acts(client: dict[str, Any]) -> list[ActV1]:
    return [ActV1.read(record.value or b"") for record in read_all(client, [ACT])]


def form(page: httpx2.Response, **fields: str) -> dict[str, str]:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text[:2000]
    return {"csrf": found[1], **fields}


def test_topics_to_pages_and_people_to_act(kafka: SharedKafka, tmp_path: Path) -> None:
    client = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    writer = Writer(client)
    for record in history(40):
        writer.send(Record(topic=record.topic, key=record.key, value=record.value, headers=record.headers))
    writer.flush()
    port = str(free_ports(1)[0])
    url, name = f"http://127.0.0.1:{port}", kafka.fresh("chief")
    with ExitStack() as stack:
        stack.enter_context(running("sink", kafka.bootstrap, tmp_path))
        console = stack.enter_context(running("console", kafka.bootstrap, tmp_path, VERDICTLINE_CONSOLE_PORT=port))
        wait_until(lambda: answers(url), _WAIT_S, "the console")
        link = wait_until(lambda: first_link(tmp_path / "console.log"), _WAIT_S, "the one-time link")
        assert urlsplit(link).netloc == f"127.0.0.1:{port}"
        browser = stack.enter_context(httpx2.Client(base_url=url, timeout=30))
        fields = {"link": token_of(link), "name": name, "password": PASSWORD, "again": PASSWORD}
        assert browser.post("/welcome", data=form(browser.get(link), **fields)).status_code == 303
        wait_until(lambda: browser.get("/inspection", params={"id": part(7)}).status_code == 200, _WAIT_S, "a part on its page")
        wait_until(lambda: _says(browser, "revision 1"), _WAIT_S, "its verdict")
        wait_until(lambda: _says(browser, "disc-anomaly 1"), _WAIT_S, "the evidence, which comes from another topic")
        wait_until(lambda: any(act.where == f"current/users/{name}" for act in acts(client)), _WAIT_S, "the act on act.v1")
        assert browser.get("/inspection/image", params={"id": part(7), "view": "v1"}).status_code == 404
        console.terminate()
        assert console.wait(30) == 0


def _says(browser: httpx2.Client, text: str) -> bool:
    return text in browser.get("/inspection", params={"id": part(7)}).text


def test_what_people_did_while_kafka_was_away_arrives_once_after_a_kill(kafka: SharedKafka, tmp_path: Path) -> None:
    client = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    port, nowhere = str(free_ports(1)[0]), f"127.0.0.1:{free_ports(1)[0]}"
    url, name = f"http://127.0.0.1:{port}", kafka.fresh("m.weber")
    with running("console", nowhere, tmp_path, VERDICTLINE_CONSOLE_PORT=port):
        wait_until(lambda: answers(url), _WAIT_S, "the console without Kafka")
        add = [sys.executable, "-m", "streams", "user", "add", name, "--role", "reviewer", "--why", "line 3"]
        done = subprocess.run(add, env={**os.environ, "VERDICTLINE_STATE": str(tmp_path)}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    desk = open_desk(tmp_path)
    assert Outgoing(desk).waiting() == 1
    assert [user.name for user in Accounts(desk).users()] == [name]
    with running("console", kafka.bootstrap, tmp_path, VERDICTLINE_CONSOLE_PORT=port):
        wait_until(lambda: Outgoing(desk).waiting() == 0, _WAIT_S, "the act carried to Kafka")
    desk.dispose()
    (act,) = [act for act in acts(client) if act.where == f"current/users/{name}"]
    assert (act.act, act.why) == ("user_added", "line 3")


def test_what_comes_after_everything_was_carried_is_carried_too(kafka: SharedKafka, tmp_path: Path) -> None:
    """The database gives the numbers of what was deleted again: the second record has that of the first."""
    client = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    desk, names = open_desk(tmp_path), [kafka.fresh(f"user-{n}") for n in range(3)]
    outgoing = Outgoing(desk)
    with Courier(client, outgoing):
        for name in names:
            outgoing.add([user_act("user_added", name, "operator", False, who="chief", why="x", at=utc("2026-01-05"))], 1)
            wait_until(lambda: outgoing.waiting() == 0, 60, f"{name} carried")
    desk.dispose()
    told = [act.where.rpartition("/")[2] for act in acts(client)]
    assert [name for name in told if name in names] == names
