"""Dashboards: fresh, complete, and JSON that Grafana's own types read; their PromQL is PromQL of metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from streams.pipeline import PIPELINE
from tests.helpers.prometheus import needs_prometheus, promtool
from tools.dashboards.__main__ import BOARDS, HOME, files
from tools.dashboards.board import UIDS
from tools.dashboards.panel import SOURCE
from tools.panels import DEPLOY, alerts, names, ours, panels

UNITS = {"none", "percentunit", "ppm", "s", "d", "bytes", "reqps"}  # of Grafana's
FILES = sorted(HOME.glob("*.json"))


def _panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in json.loads(path.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]


def test_committed_files_are_what_the_code_generates() -> None:
    stale = {path.name for path, text in files().items() if not path.exists() or path.read_text(encoding="utf-8") != text}
    orphans = set(FILES) - set(files())
    assert (stale, orphans) == (set(), set()), "run python -m tools.dashboards"


def test_there_is_one_for_each_level() -> None:
    assert {board.title for board in BOARDS} == set(UIDS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_grafanas_types_read_it(path: Path) -> None:
    """And write it back as it was: there is no field that they do not know, and none has a wrong shape."""
    register_default_plugins()
    data = json.loads(path.read_text(encoding="utf-8"))
    read = Dashboard.from_json(data)
    assert json.loads(JSONEncoder().encode(read)) == data
    assert read.uid in UIDS.values()
    ids = [panel["id"] for panel in data["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_panel_says_what_it_shows(path: Path) -> None:
    for panel in _panels(path):
        defaults = panel["fieldConfig"]["defaults"]
        assert len(panel["description"]) > 20, panel["title"]
        assert defaults["unit"] in UNITS, panel["title"]
        charted = panel["fieldConfig"]["overrides"]  # a control chart brings its limits as series
        assert len(defaults["thresholds"]["steps"]) >= 2 or charted, panel["title"]
        assert defaults["thresholds"]["steps"][0]["value"] is None, panel["title"]
        assert defaults["links"], panel["title"]
        assert panel["targets"], panel["title"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_links_lead_to_dashboards_with_variables_that_they_have(path: Path) -> None:
    boards = {UIDS[board.title]: set(board.variables) for board in BOARDS}
    for panel in _panels(path):
        for link in panel["fieldConfig"]["defaults"]["links"]:
            uid = re.match(r"/d/([\w-]+)\?", link["url"])
            assert uid, link["url"]
            given = set(re.findall(r"var-(\w+)=", link["url"]))
            assert given <= boards[uid[1]], (panel["title"], link["url"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_do_not_overlap(path: Path) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = [(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])]
        for cell in cells:
            assert cell not in taken, (panel["title"], taken.get(cell))
            taken[cell] = panel["title"]


def test_queries_name_metrics_that_exist() -> None:
    recorded = {one.what for one in alerts() if one.kind == "recording"}
    for one in (*panels(), *alerts()):
        strange = {name for name in names(one.expr) if name.startswith("verdictline_")} - ours()
        assert not strange, (one.where, one.what, strange)
        assert {name for name in names(one.expr) if ":" in name} <= recorded, (one.where, one.what)


@needs_prometheus
def test_prometheus_parses_every_query_of_every_panel(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": one.expr} for number, one in enumerate(panels())]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


_PLACE = 'site="a",line="l1",product="disc",instance="c"'
_PROOF = 'station="a/l1/{}",proof="{}"'


def _proof(station: str, proof: str, proven: int, passed: int | None) -> list[dict[str, str]]:
    labels = f"{_PLACE},{_PROOF.format(station, proof)}"
    found = [{"series": f"verdictline_challenge_proven{{{labels}}}", "values": f"{proven}x10"}]
    if passed is not None:
        found.append({"series": f"verdictline_challenge_passed_timestamp_seconds{{{labels}}}", "values": f"{passed}x10"})
    return found


@needs_prometheus
@pytest.mark.parametrize(
    ("proofs", "proven", "since"),
    [
        ([("c1", "digital", 1, 100), ("c2", "digital", 1, 40)], 1, 260),
        ([("c1", "digital", 1, 100), ("c2", "digital", 0, 40)], 0, 260),
        ([("c1", "digital", 1, 100), ("c2", "digital", 0, None)], 0, -1),
        ([("c1", "digital", 1, 100), ("c1", "physical", 0, None)], None, -1),
        ([], None, -1),
    ],
)
def test_no_station_hides_one_that_is_not_proven(
    tmp_path: Path, proofs: list[tuple[str, str, int, int | None]], proven: int | None, since: int
) -> None:
    """At 300 s. proven: of digital proofs, where these are all that there are; since: -1 is never."""
    asked = {one.what: one.expr for one in panels() if one.where == "station"}
    cases = [{"expr": asked["Since the last proof"], "eval_time": "5m", "exp_samples": [{"labels": "{}", "value": since}]}]
    if proven is not None:
        sample = {"labels": '{product="disc", proof="digital"}', "value": proven}
        cases.append({"expr": asked["Proof by product and kind"], "eval_time": "5m", "exp_samples": [sample]})
    series = [one for proof in proofs for one in _proof(*proof)]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": cases}]}))
    assert "SUCCESS" in promtool("test", "rules", str(path))


def test_grafana_is_given_what_is_there() -> None:
    layer = yaml.safe_load((DEPLOY / "compose.observability.yaml").read_text(encoding="utf-8"))["services"]
    for name, service in layer.items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), f"{name}: an image is pinned"
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).is_dir(), volume
    (source,) = yaml.safe_load((HOME.parent / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["uid"] == SOURCE.uid
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scrape


def test_every_processor_is_scraped() -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus/targets/processors.yaml").read_text(encoding="utf-8"))
    found = [group["labels"]["process"] for group in groups]
    assert found == ["gateway", *(row.name for row in PIPELINE)], "a group for each row: deploy/prometheus/targets"
