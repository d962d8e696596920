"""Prometheus beside a demo: found or clearly not, started with the committed rules, targets that can change."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from streams.__main__ import application
from streams.workbench.processes import ServerStartError
from streams.workbench.prometheus import LocalPrometheus, find_prometheus
from tests.helpers.prometheus import needs_prometheus
from tests.helpers.wait import wait_until


def test_without_prometheus_a_demo_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERDICTLINE_PROMETHEUS", str(tmp_path / "nothing"))
    words = ["demo", "--observability", "--state", str(tmp_path / "state")]
    shown = CliRunner().invoke(application(words), words)
    assert shown.exit_code == 1
    assert "nothing is no program: install it (Debian and Ubuntu: apt install prometheus)" in shown.output
    assert not (tmp_path / "state").exists()


def test_nothing_on_path_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerStartError, match=r"no prometheus on PATH.*VERDICTLINE_PROMETHEUS"):
        find_prometheus()


def test_a_program_that_ends_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ServerStartError, match="Prometheus did not start"):
        LocalPrometheus(tmp_path / "p", find_prometheus(Path("false"))).start()


@needs_prometheus
def test_it_scrapes_what_it_is_told_with_the_committed_rules(tmp_path: Path) -> None:
    with LocalPrometheus(tmp_path / "p", find_prometheus(), every_s=1) as prometheus:

        def asked(path: str) -> dict[str, object]:
            with urlopen(f"{prometheus.url}/api/v1/{path}") as answer:
                data: dict[str, object] = json.loads(answer.read())["data"]
                return data

        assert '"VerdictGap"' in json.dumps(asked("rules"))
        prometheus.scrape("processors", {"itself": prometheus.url.removeprefix("http://")})
        wait_until(lambda: asked('query?query=up{process="itself"}==1')["result"], 20)
