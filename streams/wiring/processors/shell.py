"""What every processor's process does around its engine: logs, /metrics and /health, signals, exit status. No rules here.

Exit status: 0 after SIGTERM or Ctrl-C, 70 a bug or too many dead letters in a row, 71 stalled, 78 a wrong setting.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

import structlog

from streams import pipeline
from streams.metrics import GAPS
from streams.settings import Settings
from streams.wiring.adapters.health import Health
from streams.wiring.engines.lag import LagWatch
from streams.wiring.engines.watchdog import Watchdog, turning
from streams.wiring.logs import configure

BUG, CONFIG = 70, 78
_ALIVE_S = 15.0
_STALL_S = 120.0
log = structlog.get_logger("process")


class Engine(Protocol):
    """What the engines share. run: a coroutine function for asyncio, else it blocks. turned: by `time.monotonic`."""

    turned: float

    def run(self) -> Any: ...

    def positions(self) -> Mapping[tuple[str, int], int | None]: ...

    def ready(self) -> bool: ...


def run_processor(name: str, settings: Settings) -> int:
    """Build and run one processor until it is told to stop. Raises KeyError for an unknown name, ValueError for settings."""
    row = pipeline.row(name)
    configure(settings.log_level, row.name)
    module = import_module(f"streams.wiring.processors.{row.name}")
    engine: Engine = module.build(settings, settings.slot)
    for topic in row.reads:
        GAPS.labels(row.name, topic)  # 0 from the start: an alert sees the first one
    health = Health(
        live=lambda: {"loop": time.monotonic() - engine.turned < _ALIVE_S},
        ready=lambda: {"engine": engine.ready()},
        port=settings.health_port,
        host=settings.health_host,
    )
    gc.freeze()  # what was imported lives for ever: no need to look at it again
    log.info("started", processor=row.name, slot=settings.slot, health=health.port)
    try:
        with LagWatch(settings.client(), row.name, row.reads, engine.positions):
            return _drive(engine)
    finally:
        health.close()


def _drive(engine: Any) -> int:
    try:
        if asyncio.iscoroutinefunction(engine.run):
            _watch(engine)
            asyncio.run(_until_signalled(engine))
        elif hasattr(engine, "stop"):
            _watch(engine)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: engine.stop())
            engine.run()
        else:  # faust handles signals and watches itself
            engine.run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:
        log.critical("ended", error=repr(error), exc_info=error)
        return BUG
    return 0


def _watch(engine: Engine) -> None:
    Watchdog(turning(lambda: engine.turned, _STALL_S)).start()


async def _until_signalled(engine: Any) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, engine.stop)
    await engine.run()
