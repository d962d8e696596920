"""Short scenarios on one shared pipeline: real servers, a fitted model, the drift processor, acts by the commands of people.

The others run by `verdictline demo --scenario all`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from streams.__main__ import application
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.topics import apply_topics
from streams.workbench.demo.models import child_env
from streams.workbench.demo.scenario import Outcome, play
from streams.workbench.demo.scenario_run import start
from streams.workbench.demo.scenario_station import PRODUCT, Place
from streams.workbench.fleet import Fleet
from streams.workbench.kafka import EmbeddedKafka
from streams.workbench.plant import save, training_set
from streams.workbench.scenarios import SCENARIOS, Must, Scenario
from streams.workbench.scenarios.pool import Sizes
from streams.workbench.scenarios.table import Freeze, Refresh
from tests.helpers.servers import SharedTriton

pytestmark = [pytest.mark.faults, pytest.mark.kafka, pytest.mark.triton, pytest.mark.timeout(300)]
SEED, GOOD_PARTS = 7, 120
STATION = "plant-a/line-1/cam-1"
FEW = Sizes(good=60, known=12, strange=6, master=6)
FROZEN = replace(
    SCENARIOS["frozen"],
    parts=180,
    commissioned=120,
    freeze=Freeze(begin=150),
    must=(Must(kinds=frozenset({"stuck"}), within=12, since=150, causes=frozenset({"camera_light"})),),
)
POISONED = replace(SCENARIOS["poisoned-refresh"], parts=4400, refreshes=(Refresh(at=4400, since=3400, ends="refused"),))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """Its own: what other tests leave in a shared one is dead letters in a row for the anomaly processor, until it ends."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture(scope="module")
def place(broker: EmbeddedKafka, triton: SharedTriton, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An anomaly model of the plant's discs in force; the anomaly and the drift processor running."""
    folder = tmp_path_factory.mktemp("scenarios")
    settings = Settings(
        kafka=broker.bootstrap, triton=triton.grpc, state=folder, model_store=triton.store, summary_every_s=1, log_level="warning"
    )
    apply_topics(settings.client())
    save(training_set(SEED, PRODUCT, 0, GOOD_PARTS), folder / "training")
    command = [sys.executable, "-m", "streams", "fit", str(folder / "training"), "--product", PRODUCT, "--replace-policy"]
    subprocess.run(command, env=child_env(settings), check=True, capture_output=True)
    fleet = Fleet(folder / "logs")
    with BaselineRegistry(settings.client()) as registry:
        registry.wait_ready()
        try:
            start(fleet, ["anomaly", "drift"], settings, print)
            yield Place(settings=settings, registry=registry, fleet=fleet, tell=print, sizes=FEW)
        finally:
            fleet.stop()


def missed(outcome: Outcome) -> list[str]:
    return [f"{row.what}: {row.found}" for row in outcome.rows if not row.met]


def test_a_refresh_cannot_hide_new_material_and_a_drift_that_is_killed_meanwhile_says_the_same(place: Place) -> None:
    outcome = play(place, POISONED, SEED, STATION, kill=True)
    assert missed(outcome) == []
    assert {"baseline_up", "stale"} <= {event.kind for _, event in outcome.events}
    assert place.fleet.usage()["drift"].restarts == 1
    assert outcome.rows[-1].what.endswith("drift killed in between")


def test_more_defects_move_no_baseline(place: Place) -> None:
    assert missed(play(place, SCENARIOS["defect-rate"], SEED, STATION)) == []


def test_a_camera_that_repeats_itself_is_found_in_a_few_pictures(place: Place) -> None:
    assert missed(play(place, FROZEN, SEED, STATION)) == []


def test_what_is_not_reported_is_a_miss(place: Place) -> None:
    """The same line with nothing wrong, of which a frozen camera is demanded."""
    quiet: Scenario = replace(FROZEN, freeze=None, feed="recorded", parts=400)
    outcome = play(place, quiet, SEED, STATION)
    assert not outcome.met
    assert missed(outcome) == ["stuck, cause camera_light, within 12 parts: nothing"]


def test_a_scenario_that_there_is_not_gets_one_clear_line() -> None:
    found = CliRunner().invoke(application(["demo"]), ["demo", "--scenario", "earthquake"])
    assert found.exit_code == 1
    assert "there is no scenario 'earthquake'; there are light" in found.stderr
