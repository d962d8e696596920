"""Scenarios from start to end: servers, models, processors, then one scenario after another, each on a new score stream."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from rich.console import Console

from schemas.topics import EVIDENCE
from streams.pipeline import PIPELINE
from streams.settings import Settings, cache_folder
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.kafka import ends
from streams.wiring.adapters.topics import apply_topics
from streams.workbench.demo.models import child_env, prepare_models
from streams.workbench.demo.plan import Plan, StationPlan
from streams.workbench.demo.run import ProcessorsNotReady
from streams.workbench.demo.scenario import Outcome, play
from streams.workbench.demo.scenario_station import PRODUCT, VIEW, Place
from streams.workbench.fleet import Fleet
from streams.workbench.plant import PRODUCTS, Knobs
from streams.workbench.plant.naming import station_name
from streams.workbench.processes import free_ports
from streams.workbench.scenarios import SCENARIOS, Scenario, scenario_named
from streams.workbench.scenarios.table import STATION
from streams.workbench.servers import Kind, Servers

ALL = "all"
_READY_S, _FORGET_S, _TURN_S = 60.0, 30.0, 0.1
_QUIET = {"log_level": 2}
_OF_IMAGES = [row.name for row in PIPELINE if row.engine != "web"]  # nobody looks at pages
_WINDOW_S = 2.0  # a scenario's parts come faster than a line's: its windows are shorter, too


@dataclass(frozen=True, kw_only=True)
class Asked:
    """name: of a scenario, or `all`. kill: the drift processor dies in the middle. arl0: parts between two false alarms."""

    name: str
    seed: int
    arl0: float
    kill: bool = False
    servers: Kind = "embedded"


def wanted(name: str) -> list[Scenario]:
    """In the order in which they run. Raises ValueError for a scenario that there is not.

    Pictures come first, so that the processors change once. A scenario that needs models of its own comes last.
    """
    chosen = list(SCENARIOS.values()) if name == ALL else [scenario_named(name)]
    return sorted(chosen, key=lambda one: (one.training.dirty_normals, one.feed == "recorded"))


def run_scenarios(asked: Asked, settings: Settings, console: Console) -> Iterator[Outcome]:
    """One after the other; everything is stopped when the last one has been taken, or it raises."""
    own = settings.model_copy(update={"state": settings.state / "scenarios"})
    yield from _Run(asked, own, console).run(wanted(asked.name))


class _Run:
    """On one pair of servers: every processor where pictures come, else drift alone."""

    def __init__(self, asked: Asked, settings: Settings, console: Console) -> None:
        self._asked, self._console = asked, console
        self._settings = settings.model_copy(update={"summary_every_s": _WINDOW_S})
        self._begin = time.monotonic()

    def run(self, group: Sequence[Scenario]) -> Iterator[Outcome]:
        with ExitStack() as stack:
            self._tell("starting Kafka and Triton")
            self._serve(stack)
            registry = stack.enter_context(BaselineRegistry(self._settings.client()))
            registry.wait_ready()
            fleet = Fleet(self._settings.state / "logs")
            stack.callback(fleet.stop)
            place = Place(settings=self._settings, registry=registry, fleet=fleet, tell=self._tell)
            for scenario in group:
                prepare(place, scenario, self._asked)
                self._insist(fleet, _OF_IMAGES if scenario.feed == "images" else ["drift"])
                yield play(place, scenario, self._asked.seed, station_of(scenario), kill=self._asked.kill)
                if scenario.feed == "recorded":
                    forget(self._settings.client())

    def _serve(self, stack: ExitStack) -> None:
        settings = self._settings
        state = settings.state.resolve()
        servers = stack.enter_context(
            Servers(
                state,
                kind=self._asked.servers,
                kafka=settings.kafka,
                triton=settings.triton,
                kafka_client=settings.kafka_client,
                model_store=settings.model_store,
                cache=cache_folder(settings),
                on_event=self._tell,
            )
        )
        known = {"kafka": servers.kafka, "triton": servers.triton, "state": state, "model_store": servers.store}
        self._settings = settings.model_copy(update=known)
        apply_topics(self._settings.client())

    def _insist(self, fleet: Fleet, names: Sequence[str]) -> None:
        """These processors run, and no others."""
        if fleet.children.keys() == set(names):
            return
        fleet.stop()
        fleet.children.clear()
        self._tell(f"starting {', '.join(names)}")
        start(fleet, names, self._settings, self._tell)

    def _tell(self, line: str) -> None:
        elapsed_s = time.monotonic() - self._begin
        self._console.print(f"[dim]{elapsed_s:6.1f} s[/dim]  {line}", highlight=False, soft_wrap=True)


def station_of(scenario: Scenario) -> str:
    """Of its own: what one scenario registers at its station must not meet the next one."""
    return station_name(1 + len(PRODUCTS) * list(SCENARIOS).index(scenario.name))


def start(fleet: Fleet, names: Sequence[str], settings: Settings, tell: Callable[[str], None]) -> None:
    """Returns when they are ready. Raises ProcessorsNotReady."""
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    for name, port in ports.items():
        fleet.start(name, ["run", name], {**child_env(settings), "VERDICTLINE_HEALTH_PORT": str(port)})
    end = time.monotonic() + _READY_S
    while waiting := [name for name, port in ports.items() if not _ready(port)]:
        if time.monotonic() > end:
            raise ProcessorsNotReady(f"not ready after {_READY_S:.0f} s: {', '.join(waiting)}; see {fleet.logs}")
        for line in fleet.watch():
            tell(line)
        time.sleep(_TURN_S)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1):
            return True
    except (urllib.error.URLError, OSError):
        return False


def prepare(place: Place, scenario: Scenario, asked: Asked) -> None:
    """Models fitted on the scenario's training set, where they are not yet, and a policy with the wanted false-alarm rate."""
    place.registry.refresh()
    station = StationPlan(name=STATION, product=PRODUCT, views=(VIEW,), first=0, end=0, rate_per_s=1)
    knobs = Knobs(dirty_normals=scenario.training.dirty_normals)
    prepare_models(Plan(seed=asked.seed, stations=(station,), knobs=knobs), place.settings, place.registry, place.tell)
    policy = place.registry.policy_for(PRODUCT, STATION)
    if policy is None:
        raise ValueError(f"no policy of {PRODUCT} is in force")
    rule = policy.baseline.model_copy(update={"false_alarm_every_parts": asked.arl0})
    place.registry.publish_policy(policy.model_copy(update={"baseline": rule}), who="demo", why="scenario of the simulated plant")


def forget(client: Mapping[str, Any]) -> None:
    """Take recorded evidence off the log: its parts were never announced, and triage, started later, would look for them."""
    places = [TopicPartition(*place, offset) for place, offset in ends(client, [EVIDENCE]).items()]
    admin = AdminClient({**_QUIET, **client})  # kept: its futures die with it
    for future in admin.delete_records(places).values():
        future.result(_FORGET_S)
