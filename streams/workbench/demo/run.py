"""A demonstration from start to end: servers, topics, models, processors, plant; then what the topics say."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from schemas.envelope import to_millis
from schemas.ids import InspectionId
from streams.capture.gateway import StationMemory
from streams.pipeline import PIPELINE
from streams.settings import Settings, cache_folder
from streams.wiring.adapters.desk.accounts import Accounts
from streams.wiring.adapters.desk.opening import open_desk
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable
from streams.wiring.adapters.outbox import Outbox
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.console.users import link_to
from streams.workbench.demo.charts import plan_charts
from streams.workbench.demo.models import child_env, prepare_models
from streams.workbench.demo.plan import Plan, StationPlan, shares
from streams.workbench.demo.screen import screen
from streams.workbench.demo.summary import summary
from streams.workbench.demo.watcher import Watcher
from streams.workbench.fleet import Fleet, Usage
from streams.workbench.observer import Truth
from streams.workbench.plant import FolderPlant, Knobs, Plant, SimulatedPlant
from streams.workbench.plant.naming import number
from streams.workbench.processes import free_ports, is_free
from streams.workbench.prometheus import LocalPrometheus, find_prometheus
from streams.workbench.servers import Kind, Servers

_READY_S, _AFTER_S = 60.0, 60.0
_TURN_S, _HEALTH_S, _PLAIN_S = 0.25, 2.0, 5.0
_GATEWAY = "gateway"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asked for. rate_per_s: parts a second of all stations together. product: only lines that make it.

    keep: servers and processes stay after the last part. observability: a Prometheus looks at all of them.
    """

    parts: int
    seed: int
    rate_per_s: float
    lines: int = 3
    product: str | None = None
    folder: Path | None = None
    knobs: Knobs = field(default_factory=Knobs)
    servers: Kind = "embedded"
    keep: bool = False
    observability: bool = False


class ProcessorsNotReady(Exception):
    """The text names them and their logs."""


def run_demo(wanted: Wanted, settings: Settings, console: Console, done: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Run it; returns the summary, which `done` has got before. Everything is stopped when it returns or raises.

    With `keep` it returns after Ctrl-C or SIGTERM, unless they come before the last verdict: then KeyboardInterrupt.
    """
    return _Demo(wanted, settings, console).run(done)


class _Demo:
    def __init__(self, wanted: Wanted, settings: Settings, console: Console) -> None:
        self._wanted, self._settings, self._console = wanted, settings, console
        self._state = settings.state.resolve()
        self._events: list[str] = []
        self._begin = time.monotonic()
        self._health: dict[str, str] = {}
        self._ports: dict[str, int] = {}
        self._shown_at = -1
        self._plant: Plant = _plant(wanted)

    def run(self, done: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        wanted, settings = self._wanted, self._settings
        program = find_prometheus(settings.prometheus) if wanted.observability else None
        with ExitStack() as stack:
            self._say("starting Kafka and Triton")
            self._servers = servers = stack.enter_context(
                Servers(
                    self._state,
                    kind=wanted.servers,
                    kafka=settings.kafka,
                    triton=settings.triton,
                    kafka_client=settings.kafka_client,
                    model_store=settings.model_store,
                    cache=cache_folder(settings),
                    on_event=self._tell,
                )
            )
            known = {"kafka": servers.kafka, "triton": servers.triton, "state": self._state, "model_store": servers.store}
            known["console_port"] = _console_port(settings)
            self._settings = settings = settings.model_copy(update=known)
            apply_topics(settings.client())
            if wanted.keep:
                self._say(f"Kafka: {servers.kafka}; Triton: {servers.triton}")
            plan = self._plan()
            plan.write(self._state / "plan.json")
            plan_charts(settings.client(), plan)
            registry = stack.enter_context(Registry(settings.client()))
            registry.refresh()
            self._say("models: fitting what is not there yet")
            prepare_models(plan, settings, registry, self._say)
            self._fleet = fleet = Fleet(self._state / "logs")
            stack.callback(fleet.stop)
            self._start_processors()
            self._say(f"console: {_console(settings)}")
            if program is not None:
                self._observe(stack, program)
            watcher = stack.enter_context(Watcher(settings.client(), _since(plan)))
            self._start(_GATEWAY, ["plant", "--plan", str(self._state / "plan.json")])
            with self._shown() as show:
                self._watch(plan, watcher, show)
            with watcher.lock:
                found = summary(watcher.observer, self._truth(watcher.observer.serials), self._usage())
            done(found)
            if wanted.keep:
                self._stay()
            return found

    # ---------------------------------------------------------------- before
    def _plan(self) -> Plan:
        wanted = self._wanted
        stations = self._plant.stations(wanted.lines)
        dealt = shares(wanted.parts, [station.name for station in stations])
        rate = wanted.rate_per_s / len(stations)
        rows = []
        for station in stations:
            first = self._next_n(station.name)
            rows.append(
                StationPlan(
                    name=station.name,
                    product=station.product,
                    views=tuple(station.views),
                    first=first,
                    end=first + dealt[station.name],
                    rate_per_s=rate,
                )
            )
        return Plan(seed=wanted.seed, stations=tuple(rows), knobs=wanted.knobs, folder=wanted.folder, stays=wanted.keep)

    def _next_n(self, station: str) -> int:
        """Where the station's outbox goes on; a new one is minted."""
        outbox = Outbox(
            self._state / "outbox" / station,
            memory=StationMemory(),
            limit_bytes=self._settings.outbox_limit_bytes,
            now_ms=to_millis(datetime.now(UTC)),
        )
        try:
            return outbox.next_n
        finally:
            outbox.close()

    def _start(self, name: str, argv: list[str]) -> None:
        port = self._ports.setdefault(name, free_ports(1)[0])
        self._fleet.start(name, argv, {**child_env(self._settings), "VERDICTLINE_HEALTH_PORT": str(port)})

    def _start_processors(self) -> None:
        self._say("starting the processors")
        for row in PIPELINE:
            self._start(row.name, ["run", row.name])
        end = time.monotonic() + _READY_S
        while (waiting := [row.name for row in PIPELINE if not self._ready(row.name)]) and time.monotonic() < end:
            for line in self._fleet.watch():
                self._tell(line)
            time.sleep(_TURN_S)
        if waiting:
            raise ProcessorsNotReady(f"not ready after {_READY_S:.0f} s: {', '.join(waiting)}; see {self._state / 'logs'}")

    def _observe(self, stack: ExitStack, program: Path) -> None:
        """A Prometheus beside it all."""
        self._prometheus = prometheus = stack.enter_context(LocalPrometheus(self._state / "prometheus", program))
        self._ports[_GATEWAY] = free_ports(1)[0]
        prometheus.scrape("processors", {name: f"127.0.0.1:{port}" for name, port in self._ports.items()})
        if (address := self._servers.triton_metrics) is not None:
            prometheus.scrape("triton", {"triton": address})
        self._say(f"Prometheus: {prometheus.url}")

    def _ready(self, name: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[name]}/health/ready", timeout=1):
                self._health[name] = "ready"
                return True
        except (urllib.error.URLError, OSError):
            self._health[name] = "not ready"
            return False

    # ---------------------------------------------------------------- meanwhile
    def _watch(self, plan: Plan, watcher: Watcher, show: Callable[[Watcher, int], None]) -> None:
        looked, made_at = 0.0, None
        while True:
            for line in self._fleet.watch():
                self._tell(line)
            now = time.monotonic()
            if now - looked > _HEALTH_S:
                looked = now
                for row in PIPELINE:
                    self._ready(row.name)
            show(watcher, plan.parts)
            if self._fleet.children[_GATEWAY].done or self._wanted.keep:
                self._health[_GATEWAY] = "done" if self._fleet.children[_GATEWAY].done else "ready"
                made_at = made_at or now
                if self._finished(plan, watcher) or (not self._wanted.keep and now - made_at > _AFTER_S):
                    return
            time.sleep(_TURN_S)

    def _stay(self) -> None:
        """Until Ctrl-C or SIGTERM; what dies meanwhile is started again."""
        self._say("all of it stays until Ctrl-C")
        with suppress(KeyboardInterrupt):
            while True:
                for line in self._fleet.watch():
                    self._tell(line)
                time.sleep(_TURN_S)

    def _finished(self, plan: Plan, watcher: Watcher) -> bool:
        with watcher.lock:
            observer = watcher.observer
            if len(observer.announced) < plan.parts or observer.missing:
                return False
        try:
            return watcher.caught_up()
        except (KafkaUnreachable, KafkaRefused):
            return False

    @contextmanager
    def _shown(self) -> Iterator[Callable[[Watcher, int], None]]:
        """A live table on a terminal, else a line every few seconds."""
        if not self._console.is_terminal:
            yield self._plain
            return
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:

            def show(watcher: Watcher, parts: int) -> None:
                elapsed_s, usage = time.monotonic() - self._begin, self._usage()
                with watcher.lock:
                    live.update(
                        screen(watcher.observer, usage, self._health, wanted=parts, elapsed_s=elapsed_s, events=self._events[-5:])
                    )

            yield show

    def _plain(self, watcher: Watcher, parts: int) -> None:
        elapsed_s = time.monotonic() - self._begin
        if int(elapsed_s / _PLAIN_S) == self._shown_at:
            return
        self._shown_at = int(elapsed_s / _PLAIN_S)
        with watcher.lock:
            observer = watcher.observer
            counts = ", ".join(f"{name} {count}" for name, count in observer.by_disposition().items())
            self._say(f"{len(observer.announced)} of {parts} announced, {len(observer.verdicts)} judged: {counts}")

    def _say(self, line: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._begin:6.1f} s[/dim]  {line}", highlight=False, soft_wrap=True)

    def _tell(self, line: str) -> None:
        self._events.append(line)
        if not self._console.is_terminal:
            self._say(line)

    # ---------------------------------------------------------------- after
    def _usage(self) -> dict[str, Usage]:
        return {**self._servers.usage(), **self._fleet.usage()}

    def _truth(self, serials: Mapping[str, str]) -> Callable[[InspectionId], Truth]:
        """A part's number is in its serial: challenge parts take numbers of the station too."""

        def truth(inspection: InspectionId) -> Truth:
            part = self._plant.part(inspection.station, number(serials[str(inspection)]))
            return "good" if part.good else ("unknown_defect" if part.unknown else "defect")

        return truth


def _plant(wanted: Wanted) -> Plant:
    if wanted.folder is not None:
        return FolderPlant(wanted.folder, wanted.seed)
    return SimulatedPlant(seed=wanted.seed, knobs=wanted.knobs, product=wanted.product)


def _console_port(settings: Settings) -> int:
    wanted = settings.console_port
    return wanted if wanted and is_free(wanted) else free_ports(1)[0]


def _console(settings: Settings) -> str:
    """Its address; while it has no user, the one-time link that makes the first admin."""
    desk = open_desk(settings.state)
    try:
        token = Accounts(desk).first_link(datetime.now(UTC))
    finally:
        desk.dispose()
    url = settings.console_address
    return url if token is None else f"{link_to(url, token)} (works once: choose the admin's name and password)"


def _since(plan: Plan) -> Callable[[InspectionId], bool]:
    first = {station.name: station.first for station in plan.stations}
    return lambda inspection: inspection.n >= first.get(inspection.station, 0)
