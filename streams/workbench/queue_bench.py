"""`bench queue`: ten people at a console with a long queue, over HTTP, against a real Kafka. Returns what the JSON says.

Each person is a thread that does what the page does: it fetches the images ahead, answers, and takes the next part from the
answer. The console is a process of its own, over a database of parts that all wait; images are files.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import psutil
import requests

from schemas.common import ImageRef
from schemas.evidence import ReviewedV1
from schemas.label import LabelV1
from schemas.topics import EVIDENCE, LABEL
from streams.wiring.adapters.database.connection import database_url, open_engine
from streams.wiring.adapters.database.migrate import migrate
from streams.wiring.adapters.database.rows import Row
from streams.wiring.adapters.database.store import Store, Write
from streams.wiring.adapters.desk.accounts import Accounts
from streams.wiring.adapters.desk.opening import open_desk
from streams.wiring.adapters.desk.outgoing import Outgoing
from streams.wiring.adapters.kafka import read_all
from streams.wiring.adapters.topics import apply_topics
from streams.workbench.kafka import EmbeddedKafka
from streams.workbench.processes import free_ports
from streams.workbench.sink_bench.parts import Parts

_BLOCK, _IMAGES, _SIDE = 5000, 20, 640
_READY_S, _DONE_S = 120.0, 120.0
_PASSWORD = "a quiet line at night"
_ANSWERS = ("good", "class:scratch:rework", "class:dent:scrap", "new:scrap", "unsure")
_LIKELY = (0.55, 0.2, 0.15, 0.07, 0.03)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """parts: that wait. people answer a_minute together for so many minutes."""

    parts: int
    people: int
    a_minute: float
    minutes: float


def bench_queue(wanted: Wanted, tell: Callable[[str], None]) -> dict[str, Any]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        tell(f"a database of {wanted.parts} parts that wait")
        _fill(wanted.parts, folder)
        names = _users(wanted.people, folder)
        with EmbeddedKafka() as kafka:
            client = {"bootstrap.servers": kafka.bootstrap}
            apply_topics(client)
            with _console(kafka.bootstrap, folder) as (url, process):
                return _measured(wanted, names, url, process, client, folder, tell)


def _measured(
    wanted: Wanted,
    names: list[str],
    url: str,
    process: subprocess.Popen[bytes],
    client: dict[str, Any],
    folder: Path,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    begin = time.monotonic()
    people = [Person(url, name, n) for n, name in enumerate(names)]
    first_s = time.monotonic() - begin
    _until(lambda: "being read" not in people[0].page, _READY_S, people[0].look)
    whole_s = time.monotonic() - begin
    tell(f"first page after {first_s:.1f} s of logging in, the whole queue after {whole_s:.1f} s")
    stop_at, cpu_s = time.monotonic() + 60 * wanted.minutes, _cpu_s(process.pid)
    pause_s = 60 * wanted.people / wanted.a_minute
    threads = [threading.Thread(target=one.work, args=(stop_at, pause_s)) for one in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cpu_s = _cpu_s(process.pid) - cpu_s
    desk = open_desk(folder)
    _until(lambda: Outgoing(desk).waiting() == 0, _DONE_S)
    desk.dispose()
    memory = psutil.Process(process.pid).memory_full_info()
    return {
        "parts": wanted.parts,
        "people": wanted.people,
        "first_page_s": round(first_s, 2),
        "whole_queue_s": round(whole_s, 2),
        **_latency([ms for one in people for ms in one.took_ms], wanted),
        "cpu_ms_a_decision": round(1000 * cpu_s / sum(len(one.took_ms) for one in people), 1),
        **_told(people, client),
        "resident_mb": round(memory.rss / 1e6, 1),
        "unique_mb": round(memory.uss / 1e6, 1),
    }


def _cpu_s(process: int) -> float:
    """Of the whole console: pages, images, and following the databases."""
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


def _latency(took_ms: list[float], wanted: Wanted) -> dict[str, Any]:
    ordered = sorted(took_ms)
    return {
        "decisions": len(ordered),
        "a_minute": round(len(ordered) / wanted.minutes, 1),
        "next_p50_ms": round(statistics.median(ordered), 1),
        "next_p95_ms": round(ordered[int(0.95 * len(ordered))], 1),
        "next_max_ms": round(ordered[-1], 1),
    }


def _told(people: list[Person], client: dict[str, Any]) -> dict[str, Any]:
    """Every answer as one label, every decision as one review: what is not there, and what is there twice or by nobody."""
    answers = Counter((one.name, inspection) for one in people for inspection in one.answered)
    decided = Counter(inspection for one in people for inspection in one.decided)
    labels = Counter((one.who, one.inspection) for one in _read(client, LABEL, LabelV1))
    reviews = Counter(one.inspection for one in _read(client, EVIDENCE, ReviewedV1))
    return {
        "labels": labels.total(),
        "reviews": reviews.total(),
        "lost": (answers - labels).total() + (decided - reviews).total(),
        "double": (labels - answers).total() + (reviews - decided).total(),
        "decided_twice": sum(n > 1 for n in reviews.values()),
        "refused": sum(one.refused for one in people),
    }


def _read(client: dict[str, Any], topic: str, kind: type[Any]) -> Iterator[Any]:
    return (kind.read(record.value) for record in read_all(client, [topic]) if record.header("ce_type") == kind.TYPE)


@dataclass
class Person:
    """One browser. took_ms: from sending an answer to having the next part; the images ahead were there."""

    url: str
    name: str
    seed: int
    took_ms: list[float] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    decided: list[str] = field(default_factory=list)
    refused: int = 0
    page: str = ""

    def __post_init__(self) -> None:
        self._http, self._rng = requests.Session(), np.random.default_rng(self.seed)
        self._seen: set[str] = set()
        login = self._http.get(f"{self.url}/login", timeout=30).text
        form = {"csrf": _first(r'name="csrf" value="([^"]+)"', login), "name": self.name, "password": _PASSWORD}
        self._http.post(f"{self.url}/login", data=form, timeout=30).raise_for_status()
        self.look()

    def look(self) -> None:
        self.page = self._http.get(f"{self.url}/queue", timeout=30).text
        self._fetch()

    def work(self, stop_at: float, pause_s: float) -> None:
        next_at = time.monotonic() + float(self._rng.random()) * pause_s
        while (now := time.monotonic()) < stop_at:
            if now < next_at:
                time.sleep(min(next_at, stop_at) - now)
                continue
            next_at += pause_s
            self._answer()
            self._fetch()

    def _answer(self) -> None:
        fields = dict(re.findall(r'name="(inspection|revision|opinion|csrf)" value="([^"]*)"', self.page))
        inspection = html.unescape(fields.get("inspection", ""))
        if not inspection:
            return self.look()
        answer = str(self._rng.choice(_ANSWERS, p=_LIKELY))
        begin = time.perf_counter()
        done = self._http.post(
            f"{self.url}/queue/answer",
            data={**fields, "answer": answer, "looked_ms": "900"},
            headers={"x-part": "1"},
            timeout=30,
        )
        self.took_ms.append(1000 * (time.perf_counter() - begin))
        done.raise_for_status()
        self.page = done.text
        self._note(inspection, html.unescape(_first(r'data-said="([^"]*)"', done.text)))

    def _note(self, inspection: str, said: str) -> None:
        if "somebody else looks" in said:
            self.answered.append(inspection)
        elif said.endswith(("passes.", "rework.", "scrap.")):
            self.answered.append(inspection)
            self.decided.append(inspection)
        else:
            self.refused += 1

    def _fetch(self) -> None:
        """As the browser does: what it has not seen yet."""
        wanted = re.findall(r'(?:data-src|<image[^>]* href|<img src)="([^"]+)"', self.page)
        for path in map(html.unescape, wanted):
            if path not in self._seen:
                self._seen.add(path)
                self._http.get(self.url + path, timeout=30)


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"the page is another one than this bench knows: {text[:300]}")
    return found[1]


# ---------------------------------------------------------------- what is there before
def _fill(count: int, folder: Path) -> None:
    made, images = Parts(datetime.now(UTC) - timedelta(milliseconds=50 * count)), _images(folder / "images")
    engine = open_engine(database_url(None, folder))
    migrate(engine)
    store = Store(engine)
    store.write([Write(place=("policy.v1", 0), offset=0, rows=made.versions())])
    for first in range(0, count, _BLOCK):
        rows = made.rows(first, min(_BLOCK, count - first))
        waiting = ([_waits(row, images[n % len(images)]) for row in part] for n, part in enumerate(rows))
        store.write([Write(place=("evidence.v1", 0), offset=first + n, rows=one) for n, one in enumerate(waiting)])
    engine.dispose()


def _waits(row: Row, image: str) -> Row:
    """The same part, but nobody knows what it is."""
    table, values = row
    if table == "evidence":
        return table, {**values, "image": image}
    if table in ("inspections", "revisions"):
        reasons = '[{"code":"unknown_defect","view":"top"}]'
        return table, {**values, "disposition": "review", "label": "unknown", "reasons": reasons}
    return row


def _images(folder: Path) -> list[str]:
    """References to so many JPEG files of a cast surface, as JSON."""
    folder.mkdir(parents=True)
    found = []
    for n in range(_IMAGES):
        noise = np.random.default_rng(n).normal(128, 40, (_SIDE, _SIDE)).astype(np.float32)
        grey = np.clip(cv2.GaussianBlur(noise, (0, 0), 1.5) * 2 - 128, 0, 255).astype(np.uint8)
        data = cv2.imencode(".jpg", grey)[1].tobytes()
        (folder / f"{n}.jpg").write_bytes(data)
        ref = ImageRef(
            uri=f"file://{(folder / f'{n}.jpg').resolve()}",
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            content_type="image/jpeg",
        )
        found.append(ref.model_dump_json())
    return found


def _users(count: int, folder: Path) -> list[str]:
    desk, now = open_desk(folder), datetime.now(UTC)
    accounts, names = Accounts(desk), [f"reviewer-{n}" for n in range(count)]
    for name in names:
        accounts.use_link(accounts.add(name, "reviewer", who="bench", why="bench", now=now), name, _PASSWORD, now)
    desk.dispose()
    return names


@contextmanager
def _console(bootstrap: str, folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    (port,) = free_ports(1)
    env = {**os.environ, "VERDICTLINE_KAFKA": bootstrap, "VERDICTLINE_STATE": str(folder), "VERDICTLINE_CONSOLE_PORT": str(port)}
    with (folder / "console.log").open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "streams", "run", "console"], env=env, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"
    try:
        _until(lambda: _answers(url), _READY_S)
        yield url, process
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/login", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def _until(done: Callable[[], bool], within_s: float, meanwhile: Callable[[], None] = lambda: None) -> None:
    end = time.monotonic() + within_s
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("the console did not get there in time")
        time.sleep(0.1)
        meanwhile()
