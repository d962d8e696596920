from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.model_set import ModelSetV1
from schemas.policy import ClassRuleV1, PolicyV1
from streams.__main__ import application
from streams.judgement.rules import check
from streams.wiring import fitting
from streams.wiring.adapters.model_store import ModelStore
from streams.wiring.commands.fit import put_in_force
from streams.wiring.commands.policy_file import load_policy
from streams.wiring.fitting import FitReport, fit_to_store
from tests.helpers.fits import fitted, plates, trunk


@dataclass
class Board:
    """A registry that writes on a list."""

    policy: PolicyV1 | None = None
    written: list[str] = field(default_factory=list)

    def policy_for(self, product: str, station: str | None = None) -> PolicyV1 | None:
        return self.policy

    def publish_model_set(self, message: ModelSetV1, *, who: str, why: str) -> None:
        self.written.append("model set")

    def publish_policy(self, message: PolicyV1, *, who: str, why: str) -> None:
        self.written.append("policy")


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FitReport:
    monkeypatch.setattr(fitting, "fit_product", lambda *_, **__: fitted())
    return fit_to_store(plates(24, 8), "plate", ModelStore(tmp_path / "models"), trunk=trunk())


def test_the_starting_policy_goes_with_its_models(report: FitReport) -> None:
    assert check(report.policy, report.model_set) == []
    assert len(report.model_set.json_bytes()) < 10_000


def test_a_first_fit_puts_models_and_policy_in_force(report: FitReport) -> None:
    board = Board()
    assert "starting policy is in force" in put_in_force(report, board, who="me", why="new")
    assert board.written == ["model set", "policy"], "a version before what is judged by it"


def test_a_policy_in_force_stays_where_it_goes_with_the_new_models(report: FitReport) -> None:
    board = Board(policy=report.policy.model_copy(update={"title": "edited"}))
    assert "stays" in put_in_force(report, board, who="me", why="refit")
    assert board.written == ["model set"]


def test_a_policy_that_does_not_go_with_the_new_models_stops_the_promotion(report: FitReport) -> None:
    classes = {**report.policy.classes, "hole": ClassRuleV1(threshold=0.5, disposition="scrap")}
    board = Board(policy=report.policy.model_copy(update={"classes": classes}))
    with pytest.raises(ValueError, match=r"does not go with the new models.*hole"):
        put_in_force(report, board, who="me", why="refit")
    assert board.written == []
    put_in_force(report, board, who="me", why="refit", replace_policy=True)
    assert board.written == ["model set", "policy"]


def test_without_servers_the_command_writes_and_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VERDICTLINE_KAFKA", "VERDICTLINE_TRITON", "VERDICTLINE_MODEL_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fitting, "fit_product", lambda *_, **__: replace(fitted(), notes=("a note",)))
    monkeypatch.setattr("streams.wiring.commands.fit.read_dataset", lambda _: plates(24, 8))
    command = ["fit", str(tmp_path), "--product", "plate", "--state", str(tmp_path / "state"), "--json"]
    done = CliRunner().invoke(application(command), command)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["in_force"] is False
    assert "VERDICTLINE_TRITON" in told["hint"]
    assert told["notes"] == ["a note"]
    assert load_policy(Path(told["files"]["policy"])).product == "plate"
    assert ModelStore(tmp_path / "state/models").models() == {
        "plate-anomaly": (1,),
        "plate-classify": (1,),
        "plate-segment": (1,),
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nowhere", "--product", "plate"], "no such folder"), (["nowhere", "--product", "Big Plate"], "write it a-z")],
)
def test_bad_arguments_end_with_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    command = ["fit", *arguments, "--state", str(tmp_path / "state")]
    done = CliRunner().invoke(application(command), command)
    assert done.exit_code == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "state/fitted").exists()
