"""One scenario on running servers and processors: parts up to the commissioning, the act, the change, then what drift.v1 says.

Knows neither how servers are started nor how a report looks.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.common import Proof, digest
from schemas.drift import DriftEventV1, ScoreStreamV1
from schemas.envelope import to_millis
from schemas.model_set import ModelV1
from streams.capture.gateway import acquisition_digest
from streams.capture.image import use_one_thread
from streams.capture.stamps import Versions
from streams.monitors.dirt import top_ratio
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.processors.gateway import Gateway
from streams.wiring.processors.injector import Injector
from streams.workbench.demo.scenario_acts import commission, refresh
from streams.workbench.demo.scenario_feed import CameraFeed, Feed, RecordedFeed
from streams.workbench.demo.scenario_log import StationLog, events_in, ruled
from streams.workbench.demo.scenario_proofs import Sets, register, sets
from streams.workbench.demo.scenario_proofs import rows as proofs
from streams.workbench.fleet import Fleet
from streams.workbench.plant import Knobs
from streams.workbench.scenarios import Reported, Row, Scenario, ScenarioPlant, judged
from streams.workbench.scenarios.pool import MASTERS, Look, Sizes, record
from streams.workbench.scenarios.recorded import RecordedRun, Stamp
from streams.workbench.scenarios.served import ServedModel
from streams.workbench.scenarios.table import STATION, Refresh

PRODUCT, VIEW = "disc", "face"
_WAIT_S = 180.0


class Late(Exception):
    """Something that must come did not; the text names it."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where scenarios run. fleet: its child `drift` is running, others where pictures are sent. pictures: scored so far, by look.

    sizes: how many pictures a look gets.
    """

    settings: Settings
    registry: BaselineRegistry
    fleet: Fleet
    tell: Callable[[str], None]
    sizes: Sizes = field(default_factory=Sizes)
    pictures: dict[tuple[str, int, Knobs], Look] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """rows: what had to be, and must not have been; events: all of drift.v1, as (part, event)."""

    scenario: Scenario
    seed: int
    rows: tuple[Row, ...]
    events: tuple[tuple[int, DriftEventV1], ...]
    arl0: float
    took_s: float

    @property
    def met(self) -> bool:
        return all(row.met for row in self.rows)


def play(place: Place, scenario: Scenario, seed: int, station: str = STATION, *, kill: bool = False) -> Outcome:
    """kill: SIGKILL to the drift processor in the middle of what follows the commissioning. Raises Late, ValueError."""
    with ExitStack() as stack:
        return _Play(place, scenario, seed, station, kill).run(stack)


class _Play:
    def __init__(self, place: Place, scenario: Scenario, seed: int, station: str, kill: bool) -> None:
        self._place, self._scenario, self._seed, self._station = place, scenario, seed, station
        self._kill, self._begin = kill, time.monotonic()
        self._epoch = to_millis(datetime.now(UTC))
        stamp = place.registry.stamp(PRODUCT, station)
        models = None if stamp is None else place.registry.model_set(stamp.model_set)
        anomaly = None if models is None else models.model("anomaly")
        if stamp is None or anomaly is None:
            raise ValueError(f"no anomaly model of {PRODUCT} is in force")
        self._stamp: Versions = stamp
        self._model: ModelV1 = anomaly
        self._acquisition = acquisition_digest(camera="simulated", station=station, scenario=scenario.name, run=self._epoch)
        self._stream = digest(
            ScoreStreamV1(station=station, view=VIEW, product=PRODUCT, acquisition=self._acquisition, model=anomaly.ref)
        )

    def run(self, stack: ExitStack) -> Outcome:
        scenario, settings = self._scenario, self._place.settings
        self._log = stack.enter_context(StationLog(settings.client(), self._station, self._stream))
        self._feed = stack.enter_context(self._camera()) if scenario.feed == "images" else self._recorded()
        self._send(0, scenario.commissioned, None)
        baseline = self._commissioned()
        rows = self._rest(baseline)
        self._wait(self._all_said, "every event and window on drift.v1")
        events = tuple((self._feed.part_of(event.inspection), event) for event in self._log.events())
        reported = [Reported(n, event.kind, event.cause.name if event.cause else None) for n, event in events]
        if scenario.dirty:
            rows.append(self._dirt())
        return Outcome(
            scenario=scenario,
            seed=self._seed,
            rows=(*judged(reported, scenario.must, scenario.never, scenario.commissioned), *rows, self._same()),
            events=events,
            arl0=self._arl0(),
            took_s=time.monotonic() - self._begin,
        )

    # ---------------------------------------------------------------- parts
    def _recorded(self) -> Feed:
        looks = self._looks()
        known = self._model.calibration[VIEW]
        stamp = Stamp(
            station=self._station,
            view=VIEW,
            product=PRODUCT,
            acquisition=self._acquisition,
            model=self._model.ref,
            model_set=self._stamp.model_set,
            policy=self._stamp.policy,
            trunk_id=self._model.trunk_id or "",
            calibration=tuple(known),
            epoch=self._epoch,
        )
        run = RecordedRun(scenario=self._scenario, pool=looks, stamp=stamp, seed=self._seed)
        return RecordedFeed(self._place.settings.client(), run)

    def _looks(self) -> dict[Knobs, Look]:
        """Of this scenario; scored through Triton where an earlier one did not."""
        kept, model = self._place.pictures, self._model.ref.digest
        wanted = self._scenario.course.looks()
        if any((model, self._seed, look) not in kept for look in wanted):
            self._place.tell(f"{self._scenario.name}: scoring pictures of {len(wanted)} looks of the line")
            use_one_thread()
            with ServedModel(self._place.settings.triton or "", self._model) as served:
                made = record(self._scenario, self._seed, STATION, served.eye(VIEW), self._place.sizes)
            kept.update({(model, self._seed, look): shots for look, shots in made.items()})
        return {look: kept[model, self._seed, look] for look in wanted}

    @contextmanager
    def _camera(self) -> Iterator[Feed]:
        """The gateway of this process; with an injector where the scenario speaks of challenge parts."""
        settings, plant = self._place.settings, ScenarioPlant(seed=self._seed, scenario=self._scenario)
        with ExitStack() as stack:
            gateway = Gateway(settings, self._place.registry, stations=[self._station])
            stack.callback(gateway.close)
            recognise = None
            if self._scenario.fails:
                self._registered(plant)
                injector = Injector(
                    settings, [self._station], capture=gateway.post, acquisition=lambda station, product: self._acquisition
                )
                stack.enter_context(injector)
                self._wait(lambda: injector.wait_ready(0.1), "what is registered at the station")
                recognise = injector.recognise
            yield CameraFeed(plant, self._station, self._acquisition, gateway, self._answered, recognise)

    def _registered(self, plant: ScenarioPlant) -> None:
        masters = [plant.master(self._station, which, 0) for which in range(MASTERS)]
        register(self._place.settings, masters[0], masters, self._scenario.masters_every)

    def _answered(self) -> set[str]:
        self._turn()
        return self._log.answered

    def _send(self, begin: int, end: int, baseline: str | None) -> None:
        self._place.tell(f"{self._scenario.name}: parts {begin:,} to {end:,}")
        self._feed.send(begin, end, baseline)
        self._wait(lambda: self._feed.sent <= self._log.answered, "the anomaly evidence of every part")

    # ---------------------------------------------------------------- acts
    def _commissioned(self) -> str:
        scenario, registry = self._scenario, self._place.registry
        self._wait(lambda: registry.standing(self._stream).baseline is not None, "a baseline of the model's own scores")
        self._wait(self._all_said, "every event before the commissioning")
        commission(self._place.settings, self._stream, scenario.commissioned, scenario.commissioned // scenario.lot)
        registry.refresh()
        found = registry.standing(self._stream)
        if found.stamped is None:
            raise Late("the commissioned baseline on baseline.v1")
        self._place.tell(f"{scenario.name}: baseline {found.stamped[:12]} commissioned")
        return found.stamped

    def _rest(self, baseline: str) -> list[Row]:
        """Up to the last part, with the refreshes; the answers to them."""
        scenario = self._scenario
        stops = {refresh.at: refresh for refresh in scenario.refreshes}
        middle = min(scenario.changes_at + (scenario.parts - scenario.changes_at) // 4, scenario.parts - 1)
        marks = sorted(
            {*stops, scenario.parts, *([middle] if self._kill else []), *([scenario.changes_at] if scenario.fails else [])}
        )
        rows, begin = [], scenario.commissioned
        before: dict[Proof, Sets] = {}
        for mark in marks:
            self._send(begin, mark, baseline)
            begin = mark
            if self._kill and mark == middle:
                self._kill_drift()
            if mark in stops:
                rows.append(self._refresh(stops[mark]))
            if scenario.fails and mark == scenario.changes_at:
                before = self._sets()
        return rows + (proofs(before, self._sets(), scenario.fails) if scenario.fails else [])

    def _sets(self) -> dict[Proof, Sets]:
        return sets(self._place.settings, self._station, PRODUCT)

    def _refresh(self, wanted: Refresh) -> Row:
        answer = refresh(
            self._place.settings,
            self._stream,
            (wanted.at - wanted.since) // 2,
            self._feed.inspection(wanted.since),
        )
        ends = "accepted" if answer.done else "refused"
        return Row(
            what=f"a refresh with the parts since {wanted.since} is {wanted.ends}",
            met=ends == wanted.ends,
            at=wanted.at,
            found=f"{ends}: {answer.said}",
        )

    def _kill_drift(self) -> None:
        pid = self._place.fleet.usage()["drift"].pid
        if pid is None:
            raise Late("a running drift processor")
        os.kill(pid, signal.SIGKILL)
        self._place.tell(f"{self._scenario.name}: drift was killed")

    # ---------------------------------------------------------------- what came
    def _all_said(self) -> bool:
        return self._wanted().keys() <= self._log.said.keys()

    def _wanted(self) -> dict[str, bytes]:
        """Kept until more evidence comes: the rules take a while for 20,000 parts."""
        if getattr(self, "_ruled_at", -1) != len(self._log.evidence):
            every_ms = round(1000 * self._place.settings.summary_every_s)
            self._ruled, self._ruled_at = ruled(self._log, self._place.registry, every_ms), len(self._log.evidence)
        return self._ruled

    def _same(self) -> Row:
        wanted, found = events_in(self._wanted()), events_in(self._log.said)
        odd = self._log.conflicts | {name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)}
        killed = ", drift killed in between" if self._kill else ""
        return Row(
            what=f"drift.v1 is what the rules make of the log, to the byte{killed}",
            met=not odd,
            found=f"{len(found)} events" if not odd else f"{len(odd)} events differ",
        )

    def _dirt(self) -> Row:
        dirt = top_ratio(self._model.calibration[VIEW])
        return Row(
            what="the models' calibration scores are flagged as holding defects",
            met=dirt.flagged,
            found=f"ratio {dirt.ratio:.2f}, clean ones stay below {dirt.cut:.2f}",
        )

    def _arl0(self) -> float:
        policy = self._place.registry.policy(self._stamp.policy)
        return policy.baseline.false_alarm_every_parts if policy else float("nan")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _WAIT_S
        while not condition():
            if time.monotonic() > end:
                raise Late(f"{self._scenario.name}: not within {_WAIT_S:.0f} s: {what}")
            self._turn()

    def _turn(self) -> None:
        for line in self._place.fleet.watch():
            self._place.tell(line)
        self._log.read()
