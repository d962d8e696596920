"""Many stations with 20 charts each in one process: memory, CPU, and how soon it goes on after kill -9.

VERDICTLINE_STATIONS=500 measures the size that a cell may have, as `verdictline bench spc` does.
"""

from __future__ import annotations

import logging
import os

import pytest

from streams.workbench.spc_bench import many

LOG = logging.getLogger(__name__)
pytestmark = [pytest.mark.kafka, pytest.mark.faults]
STATIONS = int(os.environ.get("VERDICTLINE_STATIONS", "20"))
LIMIT_MB = 200 + STATIONS * 0.6


def test_many_stations_fit_and_go_on_after_a_kill() -> None:
    found = many(STATIONS, 30, 10, LOG.info)
    LOG.info("%s", found)
    assert max(found.fresh_mb, found.after_mb) < LIMIT_MB
    assert found.recovery_s < 60
