"""One engine with small rules of its own, as a process that a test can kill: `python -m tests.helpers.engine_child JSON`.

The rules: records with key k and value n, PER_KEY of each key. `flow` copies each record. `exact` and `tables` answer
`full/<key>` once PER_KEY different n have come; `exact` answers `partial/<key>` 3 s of log time after the first otherwise.
The value `bad` cannot be processed, `bug` raises, `stall` blocks while the file named by `stall` exists.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.envelope import Received, Record
from streams.effects import NOTHING, Effects
from streams.fates import Unprocessable
from streams.wiring.engines.dead import Dead
from streams.wiring.engines.watchdog import Watchdog, turning

PER_KEY = 3
PARTIAL_MS = 3000
TICK = b"tick"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a child is told. The topics are `<name>`, `<name>-out`, `-dead`, `-tick` and the changelog."""

    engine: str
    bootstrap: str
    name: str
    slot: int = 0
    partitions: int = 4
    ready: str = ""
    stall: str = ""
    stall_s: float = 60.0
    session_s: float = 6.0
    forget_ms: int = 60_000
    table: str = "state"

    @property
    def out(self) -> str:
        return f"{self.name}-out"

    @property
    def dead(self) -> str:
        return f"{self.name}-dead"

    @property
    def ticks(self) -> str:
        return f"{self.name}-tick"

    @property
    def changelog(self) -> str:
        return f"{self.name}-{self.table}-changelog"

    @property
    def client(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.bootstrap}

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.helpers.engine_child", json.dumps(asdict(self))]


def tell(job: Job, ready: Callable[[], bool]) -> None:
    """Make the file `job.ready` once the engine is ready."""

    def wait() -> None:
        while not ready():
            time.sleep(0.05)
        Path(job.ready).touch()

    threading.Thread(target=wait, daemon=True).start()


def check(job: Job, record: Received) -> int:
    value = record.value or b""
    if value == b"bad":
        raise Unprocessable("bad", "as told")
    if value == b"bug":
        raise KeyError("as told")
    if value == b"stall":
        while os.path.exists(job.stall):
            time.sleep(0.1)
        return 0
    return int(value)


def answer(job: Job, key: bytes, kind: str) -> Record:
    return Record(topic=job.out, key=key, value=f"{kind}/{key.decode()}".encode())


def failed(job: Job, record: Received, dead: Dead) -> Sequence[Record]:
    return [answer(job, f"{record.partition}-{record.offset}".encode(), f"failed-{dead.reason}")]


class Join:
    """Per key: [first append time, n seen, done]. Time is the highest append time so far."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._states: dict[str, list[Any]] = {}

    def restore(self, key: str, value: bytes | None) -> None:
        self._states[key] = json.loads(value or b"[0, [], true]")

    def step(self, record: Received) -> Effects:
        if record.value == TICK:
            return self._overdue(record.timestamp_ms)
        n, key = check(self._job, record), (record.key or b"").decode()
        first, seen, done = self._states.get(key, [record.timestamp_ms, [], False])
        if done or n in seen:
            return NOTHING
        seen = [*seen, n]
        outputs = [answer(self._job, key.encode(), "full")] if len(seen) == PER_KEY else []
        return self._put({key: [first, seen, bool(outputs)]}, outputs)

    def _overdue(self, now_ms: int) -> Effects:
        late = {k: [f, s, True] for k, (f, s, done) in self._states.items() if not done and f + PARTIAL_MS <= now_ms}
        return self._put(late, [answer(self._job, key.encode(), "partial") for key in late])

    def _put(self, new: dict[str, list[Any]], outputs: list[Record]) -> Effects:
        self._states.update(new)
        return Effects(outputs=outputs, changed={key: json.dumps(state).encode() for key, state in new.items()})


class Collect:
    """The reducer for tables: {"seen": [...], "done_ms": ...}; forgets a finished key after `forget_ms` and says so.

    A key that begins with `odd` cannot be forgotten: that raises.
    """

    def __init__(self, job: Job) -> None:
        self._job = job

    def key(self, record: Received) -> str | None:
        return None if record.key is None else record.key.decode()

    def step(self, state: dict[str, Any] | None, record: Received) -> tuple[dict[str, Any], list[Record]]:
        seen = sorted({*(state or {"seen": []})["seen"], check(self._job, record)})
        done = len(seen) == PER_KEY
        outputs = [answer(self._job, record.key or b"", "full")] if done and (state or {}).get("done_ms") is None else []
        return {"seen": seen, "done_ms": record.timestamp_ms if done else None}, outputs

    def due(self, state: dict[str, Any]) -> float | None:
        done_ms = state["done_ms"]
        return None if done_ms is None else float(done_ms) + self._job.forget_ms

    def expire(self, key: str, state: dict[str, Any], now_ms: float) -> tuple[dict[str, Any] | None, list[Record]]:
        if key.startswith("odd"):
            raise KeyError("as told")
        return None, [answer(self._job, key.encode(), "forgot")]


def run_flow(job: Job) -> None:
    from streams.wiring.engines.flow import Flow, Limits

    async def handle(record: Received) -> Sequence[Record]:
        check(job, record)
        await asyncio.sleep(0.01)
        return [Record(topic=job.out, key=record.key, value=b"%s/%s" % (record.key or b"", record.value or b""))]

    async def main() -> None:
        flow = Flow(
            group=job.name, instance=f"{job.name}-{job.slot}", topics=[job.name], dead_letter_topic=job.dead, handler=handle,
            on_dead=lambda record, dead: failed(job, record, dead), client=job.client,
            limits=Limits(session_timeout_ms=round(job.session_s * 1000), backoff_s=lambda attempt: 0.01),
        )  # fmt: skip
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, flow.stop)
        Watchdog(turning(lambda: flow.turned, job.stall_s), 0.2).start()
        tell(job, flow.ready)
        await flow.run()

    asyncio.run(main())


def run_exact(job: Job) -> None:
    from streams.wiring.engines.exact import Exact, Timing

    exact = Exact(
        group=job.name, instance=f"{job.name}-{job.slot}", sources=[job.name], changelog=job.changelog,
        dead_letter_topic=job.dead, make_shard=lambda _: Join(job), on_dead=lambda record, dead: failed(job, record, dead),
        client=job.client, tick=lambda partition: Record(topic=job.name, key=None, value=TICK, partition=partition),
        timing=Timing(session_timeout_ms=round(job.session_s * 1000)),
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: exact.stop())
    Watchdog(turning(lambda: exact.turned, job.stall_s), 0.2).start()
    tell(job, exact.ready)
    exact.run()


def run_tables(job: Job) -> None:
    from streams.wiring.engines.tables import Tables, TablesConfig

    config = TablesConfig(
        app=job.name, instance=f"{job.name}-{job.slot}", client=job.client, source=job.name, table=job.table,
        tick_topic=job.ticks, dead_letter_topic=job.dead, partitions=job.partitions, session_timeout_s=job.session_s,
        stall_s=job.stall_s,
    )  # fmt: skip
    tables = Tables(config, Collect(job), lambda record, dead: failed(job, record, dead))
    tell(job, tables.ready)
    tables.run()


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    {"flow": run_flow, "exact": run_exact, "tables": run_tables}[job.engine](job)


if __name__ == "__main__":
    main()
