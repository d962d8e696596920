"""Scenarios of the simulated plant: what happens, what must be reported of it, and what must not."""

from __future__ import annotations

from streams.workbench.scenarios.line import ScenarioPlant
from streams.workbench.scenarios.outcome import Must, Reported, Row, judged
from streams.workbench.scenarios.table import SCENARIOS, Scenario, scenario_named

__all__ = ["SCENARIOS", "Must", "Reported", "Row", "Scenario", "ScenarioPlant", "judged", "scenario_named"]
