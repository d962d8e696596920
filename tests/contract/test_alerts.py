"""Prometheus's configuration, rules and their unit tests, by its own tool; every alert has a runbook that can be followed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.commands import insist_on_command
from tests.helpers.prometheus import needs_prometheus, promtool
from tools.dashboards.__main__ import BOARDS
from tools.dashboards.board import UIDS

ROOT = Path(__file__).parents[2]
HOME = ROOT / "deploy" / "prometheus"
TESTS = HOME / "tests" / "alerts.yaml"
BOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
RULES = sorted((HOME / "rules").glob("*.yaml"))


def _alerts() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


@needs_prometheus
def test_configuration_and_rules_are_valid() -> None:
    assert "FAILED" not in promtool("check", "config", str(HOME / "prometheus.yml"))
    promtool("check", "rules", *map(str, RULES))


@pytest.mark.parametrize("rule", _alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_it_means(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert {"summary", "description", "runbook_url"} <= set(rule["annotations"])


@needs_prometheus
def test_each_alert_fires_when_it_must_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(TESTS))


def test_each_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = [case for test in yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"] for case in test["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fires == silent == {rule["alert"] for rule in _alerts()}


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    named = {rule["annotations"]["runbook_url"] for rule in _alerts()}
    assert named == {path.relative_to(ROOT).as_posix() for path in BOOKS}


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_runbook_says_what_it_means_how_to_tell_and_what_to_do(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^#+ (.+)$", text, re.MULTILINE)[1:] == ["What it means", "How to tell", "What to do"]
    (alert,) = [rule["alert"] for rule in _alerts() if rule["annotations"]["runbook_url"].endswith(f"/{path.name}")]
    assert text.startswith(f"# {alert}\n")
    for line in re.findall(r"^(?:[A-Z_]+=\S+ )?uv run verdictline (.+)$", text, re.MULTILINE):
        insist_on_command(line)
    for board in re.findall(r"[Dd]ashboard \*([^*]+)\*", text):
        assert board in UIDS, board
    panels = {panel.title for board in BOARDS for panels in board.rows.values() for panel in panels}
    rows = {title for board in BOARDS for title in board.rows}
    for title in set(re.findall(r"\*([A-Z][^*\n]+)\*", text)) - set(UIDS):
        assert title in panels | rows, title
