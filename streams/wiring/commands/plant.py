"""`verdictline plant`: the demonstration's own child, plant and gateway in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.settings import Settings
from streams.wiring.logs import configure

LEFT = 75  # exit status: some parts were left in the outbox


def plant(plan: Annotated[Path, typer.Option(help="The plan that the demonstration wrote.")]) -> None:
    """Make the parts of a plan and hand them to a gateway."""
    from streams.workbench.demo.plan import Plan
    from streams.workbench.demo.plant_process import run_plant

    settings = Settings()
    configure(settings.log_level, "gateway")
    raise typer.Exit(0 if run_plant(Plan.read(plan), settings) else LEFT)
