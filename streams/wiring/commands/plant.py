"""`verdictline plant`: the demonstration's own child, plant and gateway in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.settings import Settings
from streams.wiring.adapters.health import Health
from streams.wiring.logs import configure


def plant(plan: Annotated[Path, typer.Option(help="The plan that the demonstration wrote.")]) -> None:
    """Make the parts of a plan and hand them to a gateway."""
    from streams.workbench.demo.plan import Plan
    from streams.workbench.demo.plant_process import run_plant

    settings = Settings()
    configure(settings.log_level, "gateway")
    health = Health(live=lambda: {"gateway": True}, ready=lambda: {"gateway": True}, port=settings.health_port)
    try:
        sent = run_plant(Plan.read(plan), settings)
    finally:
        health.close()
    raise typer.Exit(0 if sent else 75)
