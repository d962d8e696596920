"""The station that a scenario happens to: its score stream, the versions in force there, and how its parts reach the log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.common import digest
from schemas.drift import ScoreStreamV1
from schemas.envelope import to_millis
from schemas.model_set import ModelV1
from streams.capture.gateway import Capture, acquisition_digest
from streams.capture.image import use_one_thread
from streams.capture.stamps import Versions
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.processors.gateway import Gateway
from streams.wiring.processors.injector import Injector
from streams.workbench.demo.scenario_feed import CameraFeed, Feed, RecordedFeed
from streams.workbench.demo.scenario_proofs import register
from streams.workbench.fleet import Fleet
from streams.workbench.plant import Knobs
from streams.workbench.scenarios import Scenario, ScenarioPlant
from streams.workbench.scenarios.pool import MASTERS, Look, Sizes, record
from streams.workbench.scenarios.recorded import RecordedRun, Stamp
from streams.workbench.scenarios.served import ServedModel
from streams.workbench.scenarios.table import STATION

PRODUCT, VIEW = "disc", "face"
_REGISTERED_S = 30.0


class Late(Exception):
    """Something that must come did not; the text names it."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where scenarios run. fleet: its child `drift` is running, others where pictures are sent. pictures: scored so far.

    sizes: how many pictures a look gets.
    """

    settings: Settings
    registry: BaselineRegistry
    fleet: Fleet
    tell: Callable[[str], None]
    sizes: Sizes = field(default_factory=Sizes)
    pictures: dict[tuple[str, int, Knobs], Look] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Station:
    """stream: digest of its score stream, a new one each time; epoch: of recorded parts."""

    name: str
    scenario: Scenario
    seed: int
    versions: Versions
    model: ModelV1
    acquisition: str
    stream: str
    epoch: int


def station_for(place: Place, scenario: Scenario, seed: int, name: str) -> Station:
    """Raises ValueError where no anomaly model is in force."""
    versions = place.registry.stamp(PRODUCT, name)
    models = None if versions is None else place.registry.model_set(versions.model_set)
    model = None if models is None else models.model("anomaly")
    if versions is None or model is None:
        raise ValueError(f"no anomaly model of {PRODUCT} is in force")
    epoch = to_millis(datetime.now(UTC))
    acquisition = acquisition_digest(camera="simulated", station=name, scenario=scenario.name, run=epoch)
    stream = digest(ScoreStreamV1(station=name, view=VIEW, product=PRODUCT, acquisition=acquisition, model=model.ref))
    return Station(
        name=name,
        scenario=scenario,
        seed=seed,
        versions=versions,
        model=model,
        acquisition=acquisition,
        stream=stream,
        epoch=epoch,
    )


@contextmanager
def fed(place: Place, station: Station, answered: Callable[[], Collection[str]]) -> Iterator[Feed]:
    """As the scenario says. answered: the inspections whose evidence has come; called again and again. Raises Late."""
    if station.scenario.feed == "recorded":
        yield _recorded(place, station)
        return
    plant = ScenarioPlant(seed=station.seed, scenario=station.scenario)
    with ExitStack() as stack:
        gateway = Gateway(place.settings, place.registry, stations=[station.name])
        stack.callback(gateway.close)
        recognise = _injecting(place, station, plant, gateway, stack) if station.scenario.fails else None
        yield CameraFeed(plant, station.name, station.acquisition, gateway, answered, recognise)


def _injecting(
    place: Place, station: Station, plant: ScenarioPlant, gateway: Gateway, stack: ExitStack
) -> Callable[[Capture], Capture]:
    """Golden parts and one with a defect are registered, and an injector hands in the images where a set is due."""
    golden = [plant.master(station.name, which, 0) for which in range(MASTERS)]
    defective = plant.defective(station.name, MASTERS, 0)
    register(place.settings, [golden[0], defective], [*golden, defective], station.scenario.masters_every)
    injector = Injector(
        place.settings, [station.name], capture=gateway.post, acquisition=lambda name, product: station.acquisition
    )
    stack.enter_context(injector)
    if not injector.wait_ready(_REGISTERED_S):
        raise Late(f"not within {_REGISTERED_S:.0f} s: what is registered at {station.name}")
    return injector.recognise


def _recorded(place: Place, station: Station) -> Feed:
    stamp = Stamp(
        station=station.name,
        view=VIEW,
        product=PRODUCT,
        acquisition=station.acquisition,
        model=station.model.ref,
        model_set=station.versions.model_set,
        policy=station.versions.policy,
        trunk_id=station.model.trunk_id or "",
        calibration=tuple(station.model.calibration[VIEW]),
        epoch=station.epoch,
    )
    run = RecordedRun(scenario=station.scenario, pool=_looks(place, station), stamp=stamp, seed=station.seed)
    return RecordedFeed(place.settings.client(), run)


def _looks(place: Place, station: Station) -> dict[Knobs, Look]:
    """Of this scenario; scored through Triton where an earlier one did not."""
    kept, model, seed = place.pictures, station.model.ref.digest, station.seed
    wanted = station.scenario.course.looks()
    if any((model, seed, look) not in kept for look in wanted):
        place.tell(f"{station.scenario.name}: scoring pictures of {len(wanted)} looks of the line")
        use_one_thread()
        with ServedModel(place.settings.triton or "", station.model) as served:
            made = record(station.scenario, seed, STATION, served.eye(VIEW), place.sizes)
        kept.update({(model, seed, look): shots for look, shots in made.items()})
    return {look: kept[model, seed, look] for look in wanted}
