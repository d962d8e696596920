"""`verdictline baseline` on a real Kafka with the real drift processor: from the first part to a new generation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from streams.__main__ import application
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.topics import apply_topics
from tests.helpers.drift import drift, evidence_record, feed
from tests.helpers.scores import score_evidence
from tests.helpers.servers import SharedKafka
from tests.helpers.streams import models, normal
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
SIGNED = ("--who", "m.weber", "--why", "test")
SMALL = ("--min-parts", "500", "--min-lots", "5", "--reviewed-by", "m.weber")


def verdictline(*words: str) -> Result:
    return CliRunner().invoke(application(["baseline"]), ["baseline", *words])


class Line:
    """One station whose parts are fed from where the last feeding ended; lots of fifty."""

    def __init__(self, client: dict[str, Any], station: str, model_set: str) -> None:
        self._client, self.station, self._model_set, self._n = client, station, model_set, 0

    def feed(self, scores: Sequence[float], baseline: str | None) -> None:
        made = []
        for score in scores:
            where: dict[str, Any] = {"station": self.station, "model_set": self._model_set, "baseline": baseline}
            made.append(evidence_record(score_evidence(self._n, score, 0.5, lot=f"L-{self._n // 50}", **where)))
            self._n += 1
        feed(self._client, made, 600)

    def row(self) -> dict[str, Any]:
        rows: list[dict[str, Any]] = json.loads(verdictline("list", "--station", self.station, "--json").stdout)
        return rows[0] if rows else {"state": None}

    def wait(self, state: str) -> dict[str, Any]:
        wait_until(lambda: self.row()["state"] == state, 60, state)
        return self.row()


@pytest.fixture
def client(kafka: SharedKafka, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("VERDICTLINE_KAFKA", kafka.bootstrap)
    found = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(found)
    return found


def test_the_life_of_a_baseline(kafka: SharedKafka, client: dict[str, Any], tmp_path: Path) -> None:
    """Provisional, commissioned, active, suspect, stale; a refresh is refused until a person accepts what moved; retired."""
    with BaselineRegistry(client) as registry:
        known = registry.publish_model_set(models(normal(600, seed=21)), who="test", why="test").digest
    line = Line(client, f"{kafka.fresh('site')}/line/cam", known)
    with drift(kafka.bootstrap, tmp_path / "drift.log"):
        line.feed(normal(700, seed=22), None)
        assert line.wait("PROVISIONAL")["origin"] == "calibration"

        refused = verdictline("commission", line.station, *SIGNED)
        assert refused.exit_code == 1
        for reason in ("10,000 are wanted", "100 are wanted", "nobody looked"):
            assert reason in refused.stderr
        assert len(verdictline("top", line.station).stdout.splitlines()) == 1 + 7

        signed = verdictline("commission", line.station, *SIGNED, *SMALL)
        assert signed.exit_code == 0, signed.output
        row = line.row()
        assert (row["state"], row["origin"], row["n"], row["false_reject_rate_valid"]) == ("ACTIVE", "commissioned", 700, True)

        line.feed([*normal(200, seed=23), *normal(500, seed=24, shift=1.5)], row["baseline"])
        assert line.wait("STALE")["false_reject_rate_valid"] is False
        assert "baseline_up" in verdictline("show", line.station).stdout

        drawn = verdictline("plot", line.station, "--out", str(tmp_path / "b.html"))
        assert drawn.exit_code == 0, drawn.output
        whole = (tmp_path / "b.html").read_text()
        assert whole.count("<svg") == 3
        assert "baseline_up" in whole
        assert "began here" in whole
        assert verdictline("plot", line.station, "--out", str(tmp_path / "b.svg")).exit_code == 0
        ElementTree.parse(tmp_path / "b.svg")
        assert "ends in .html or .svg" in verdictline("plot", line.station, "--out", "b.png").stderr

        line.feed(normal(600, seed=25, shift=1.5), row["baseline"])
        refused = verdictline("refresh", line.station, *SIGNED, *SMALL)
        assert refused.exit_code == 1
        assert "from the anchor" in refused.stderr
        assert line.row()["state"] == "STALE"

        accepted = verdictline("refresh", line.station, *SIGNED, *SMALL, "--accept-shift", "new lamp, masters passed")
        assert accepted.exit_code == 0, accepted.output
        row = line.row()
        assert (row["state"], row["generation"], row["anchor"]) == ("ACTIVE", 2, None)
        shown = json.loads(verdictline("show", line.station, "--json").stdout)
        assert [one["silent"] for one in shown["ledger"]] == [False]
        assert sorted(old["state"] for old in shown["baselines"]) == ["ACTIVE", "REFRESHED", "REFRESHED"]

    assert "is retired" in verdictline("retire", line.station, *SIGNED).stdout
    assert line.row()["state"] == "RETIRED"
    assert "was retired already" in verdictline("retire", line.station, *SIGNED).stdout

    line.feed(normal(600, seed=26, shift=1.5), None)
    again = verdictline("commission", line.station, *SIGNED, *SMALL)
    assert again.exit_code == 0, again.output
    row = line.row()
    assert (row["state"], row["generation"], row["n"]) == ("ACTIVE", 2, 600)


def test_a_wrong_question_gets_one_clear_line(client: dict[str, Any]) -> None:
    for words in (("show", "no/such/station"), ("commission", "no/such/station", *SIGNED), ("top", "no/such/station")):
        found = verdictline(*words)
        assert found.exit_code == 1
        assert "no score stream begins with 'no/such/station'" in found.stderr
