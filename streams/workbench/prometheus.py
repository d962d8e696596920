"""A real Prometheus on this machine, with the configuration and rules of `deploy/prometheus` and targets of its own.

with LocalPrometheus(Path(".verdictline/prometheus"), find_prometheus()) as prometheus:
    prometheus.scrape("processors", {"triage": "127.0.0.1:9464"})
    prometheus.url
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

import yaml

import streams
from streams.workbench.processes import ServerStartError, clear_errors, die_with_parent, first_line, free_ports, log_tail

INSTALL = "install it (Debian and Ubuntu: apt install prometheus), or name it with VERDICTLINE_PROMETHEUS"
EVERY_S = 2
_START_S, _STOP_S = 30.0, 15.0


def find_prometheus(named: Path | None = None) -> Path:
    """The program. Raises ServerStartError with one line that says how to get it."""
    found = shutil.which(str(named) if named is not None else "prometheus")
    if found is None:
        where = f"{named} is no program" if named is not None else "there is no prometheus on PATH"
        raise ServerStartError(f"{where}: {INSTALL}")
    return Path(found)


def configuration() -> Path:
    """The folder deploy/prometheus of a checkout, or its copy in an installed package."""
    package = Path(streams.__path__[0])
    for place in (package / "data" / "prometheus", package.parent / "deploy" / "prometheus"):
        if (place / "prometheus.yml").is_file():
            return place
    raise ServerStartError("the configuration of Prometheus is missing: deploy/prometheus/prometheus.yml")


class LocalPrometheus:
    """folder: its configuration, data and log. every_s: between two scrapes; the committed configuration's is a plant's.

    The thread that starts it must live as long as it should.
    """

    def __init__(self, folder: Path, program: Path, *, every_s: int = EVERY_S) -> None:
        self.folder, self._program, self._every_s = folder.resolve(), program, every_s
        self.log = self.folder / "prometheus.log"
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def scrape(self, group: str, targets: Mapping[str, str]) -> None:
        """These addresses (host:port by name) and no others of the group, from now on: Prometheus watches the file."""
        place = self.folder / "targets" / f"{group}.json"
        rows = [{"targets": [address], "labels": {"process": name}} for name, address in targets.items()]
        fresh = place.with_suffix(".new")
        fresh.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        os.replace(fresh, place)

    def start(self) -> Self:
        """Return when it answers. Raises ServerStartError with the reason of its log."""
        with clear_errors("Prometheus cannot use its folder", self.folder):
            self._lay_out()
            output = self.log.open("wb")
        command = [
            str(self._program),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self._wait_ready()
        return self

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _lay_out(self) -> None:
        """Rules as they are committed, shorter intervals, targets of this machine alone. What an earlier one saw is gone:

        its targets had other ports.
        """
        source = configuration()
        for part in ("rules", "targets", "data"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
        (self.folder / "targets").mkdir(parents=True)
        shutil.copytree(source / "rules", self.folder / "rules")
        config = yaml.safe_load((source / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] |= dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), f"{self._every_s}s")
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")

    def _wait_ready(self) -> None:
        assert self._process is not None
        end = time.monotonic() + _START_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise ServerStartError(f"Prometheus did not start: {self._reason()}")
            if _answers(f"{self.url}/-/ready"):
                return
            time.sleep(0.05)
        self.stop()
        raise ServerStartError(f"Prometheus did not answer within {_START_S:.0f} s ({self._reason()}); log: {self.log}")

    def _reason(self) -> str:
        return first_line(log_tail(self.log), lambda line: "level=error" in line or "level=ERROR" in line)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
