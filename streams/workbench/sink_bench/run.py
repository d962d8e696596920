"""`bench sink`: the sink as a process on a real Kafka, then questions to a database of many parts. Returns what the JSON says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from schemas.codec import keyed
from schemas.common import digest
from schemas.envelope import Received, Record
from streams.wiring.adapters.database.connection import database_url, open_engine, reading
from streams.wiring.adapters.database.migrate import migrate
from streams.wiring.adapters.database.rows import rows_of
from streams.wiring.adapters.database.sizes import sizes
from streams.wiring.adapters.database.store import Store, Write
from streams.wiring.adapters.kafka import Writer
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.commands.policy_file import dump_policy
from streams.workbench.kafka import EmbeddedKafka
from streams.workbench.processes import free_ports
from streams.workbench.sink_bench.parts import EPOCH, Parts, rules

_BLOCK = 5000  # parts in a transaction, parts with one random seed
_READY_S, _DONE_S = 60.0, 600.0
_EVERY_MS = 50  # between two parts


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """parts: through Kafka and the sink's process; retained: in the database that is asked. database: its URL, None is a file."""

    parts: int
    retained: int
    report: int
    database: str | None = None


def bench_sink(wanted: Wanted, tell: Callable[[str], None]) -> dict[str, Any]:
    """ingest: CPU of the whole process a part, its records decoded; questions: seconds of the commands, as a user has them."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        tell(f"{wanted.parts} parts through Kafka")
        found: dict[str, Any] = {"ingest": _ingest(wanted, folder / "ingest", tell)} if wanted.parts else {}
        for what, count in (("policy_try", wanted.retained), ("report", wanted.report)):
            if count:
                tell(f"a database of {count} parts")
                found[what] = _ask(what, count, folder / what, tell)
    return found


# ---------------------------------------------------------------- ingest
def _ingest(wanted: Wanted, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    made = Parts(_start(wanted.parts))
    with EmbeddedKafka() as kafka, _process(kafka.bootstrap, folder, wanted.database) as (process, port):
        client = {"bootstrap.servers": kafka.bootstrap}
        _until(lambda: _ready(port), _READY_S)
        begin, cpu = time.monotonic(), _cpu(process.pid)
        writer = Writer(client)
        for record in _versions(made):
            writer.send(record)
        for n in range(0, wanted.parts, _BLOCK):
            for record in made.records(n, min(_BLOCK, wanted.parts - n)):
                writer.send(record)
        writer.flush()
        sent = time.monotonic()
        engine = open_engine(database_url(wanted.database, folder))
        with closing(engine.raw_connection()):
            pass
        _until(lambda: _held(engine) >= 2 * wanted.parts, _DONE_S)
        done, used = time.monotonic(), _cpu(process.pid) - cpu
        memory = psutil.Process(process.pid).memory_info().rss
        rows = _rows(engine)
        engine.dispose()
    tell(f"{1000 * used / wanted.parts:.3f} ms of CPU a part")
    return {
        "parts": wanted.parts,
        "records": 4 * wanted.parts,
        "cpu_ms_a_part": round(1000 * used / wanted.parts, 4),
        "parts_per_s": round(wanted.parts / (done - begin), 1),
        "behind_s": round(done - sent, 2),
        "resident_mb": round(memory / 1e6, 1),
        "rows": rows,
        "database": "sqlite" if wanted.database is None else "postgresql",
    }


class _process:
    """`verdictline run sink`; its id and its port."""

    def __init__(self, bootstrap: str, folder: Path, database: str | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        apply_topics({"bootstrap.servers": bootstrap})
        (self._port,) = free_ports(1)
        named = {} if database is None else {"VERDICTLINE_DATABASE": database}
        self._env = {**os.environ, **named, "VERDICTLINE_KAFKA": bootstrap, "VERDICTLINE_STATE": str(folder)}
        self._env["VERDICTLINE_HEALTH_PORT"] = str(self._port)
        self._log = folder / "sink.log"

    def __enter__(self) -> tuple[subprocess.Popen[bytes], int]:
        with self._log.open("wb") as out:
            self._running = subprocess.Popen(
                [sys.executable, "-m", "streams", "run", "sink"], env=self._env, stdout=out, stderr=out
            )
        return self._running, self._port

    def __exit__(self, *_: object) -> None:
        self._running.terminate()
        self._running.wait(60)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _held(engine: Any) -> int:
    found = _rows(engine)
    return found["inspections"] + found["announced"]


def _rows(engine: Any) -> dict[str, int]:
    with reading(engine) as connection:
        return {name: rows for name, rows in sizes(connection).items() if rows}


def _until(holds: Callable[[], bool], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout_s:.0f} s")
        time.sleep(0.5)


# ---------------------------------------------------------------- questions
def _ask(what: str, count: int, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    begin = time.monotonic()
    start = _start(count)
    _fill(folder, count, start)
    tell(f"filled in {time.monotonic() - begin:.0f} s")
    file = folder / "policy.yaml"
    file.write_text(dump_policy(rules(alpha=0.02, threshold=0.5)), encoding="utf-8")
    span = f"{start.isoformat()}..{(start + timedelta(milliseconds=_EVERY_MS * count)).isoformat()}"
    argv = ["policy", "try", str(file), "--window", span, "--json"]
    if what == "report":
        begins, ends = (f"{t:%Y-%m-%d %H:%M}" for t in (start, start + timedelta(milliseconds=_EVERY_MS * count, minutes=1)))
        argv = ["report", "--from", begins, "--to", ends, "--json"]
    seconds, cpu, answer = _timed(argv, folder)
    tell(f"{what}: {seconds:.1f} s, {cpu:.1f} s of CPU")
    size = (folder / "verdictline.db").stat().st_size
    common = {"parts": count, "seconds": round(seconds, 2), "cpu_s": round(cpu, 2), "bytes_a_part": round(size / count)}
    return {**common, "changes": len(answer["changes"]), "tried": answer["parts"]} if what == "policy_try" else common


def _timed(argv: list[str], folder: Path) -> tuple[float, float, dict[str, Any]]:
    """(seconds, CPU seconds, its JSON) of one command in a process of its own, from start to end."""
    named = ("VERDICTLINE_KAFKA", "VERDICTLINE_DATABASE")
    env = {name: value for name, value in os.environ.items() if name not in named}
    begin, before = time.monotonic(), os.times()
    done = subprocess.run(
        [sys.executable, "-m", "streams", *argv],
        env={**env, "VERDICTLINE_STATE": str(folder)},
        capture_output=True,
        check=True,
        text=True,
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - begin, cpu, json.loads(done.stdout)


def _fill(folder: Path, count: int, start: datetime) -> None:
    """As rows: through Kafka it would take a hundred times as long."""
    engine = open_engine(database_url(None, folder))
    migrate(engine)
    store, made = Store(engine), Parts(start)
    for offset, record in enumerate(_versions(made)):
        received = Received(
            topic=record.topic,
            partition=0,
            offset=offset,
            timestamp_ms=EPOCH,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )
        store.write([Write(place=(record.topic, 0), offset=offset, rows=rows_of(received))])
    for n in range(0, count, _BLOCK):
        block = made.rows(n, min(_BLOCK, count - n))
        store.write([Write(place=("evidence.v1", 0), offset=3 * (n + i), rows=rows) for i, rows in enumerate(block)])
    engine.dispose()


def _versions(made: Parts) -> list[Record]:
    return [
        keyed(message, id=digest(message), key=digest(message), subject="current/bench", time=None)
        for message in (made.policy, made.models)
    ]


def _start(count: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(milliseconds=_EVERY_MS * count)
