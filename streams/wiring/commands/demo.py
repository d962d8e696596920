"""`verdictline demo`: a simulated plant, or a folder of images, through everything, on this machine."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from streams.settings import Settings
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable
from streams.workbench.demo.models import FitFailed
from streams.workbench.demo.run import ProcessorsNotReady, Wanted, run_demo
from streams.workbench.demo.summary import rendered
from streams.workbench.plant import Knobs
from streams.workbench.processes import ServerStartError

_PLAIN_WIDTH = 110
_SIMULATED = "A simulated plant: its figures prove the plumbing, not the quality of any model."
_FOLDER = "Parts of groups that no model was fitted on; pictures repeat where there are fewer than parts."


def demo(
    parts: Annotated[int, typer.Option(min=1, help="How many parts all lines make together.")] = 300,
    seed: Annotated[int, typer.Option(help="Another seed is another plant.")] = 7,
    rate: Annotated[float, typer.Option(min=0.1, help="Parts a second, all lines together.")] = 12.0,
    lines: Annotated[int, typer.Option(min=1, max=50, help="How many lines; products take turns.")] = 3,
    data: Annotated[
        Path | None,
        typer.Option(help="Parts from this folder (good/, defect/CLASS/, masks/CLASS/, groups.csv) instead of simulated ones."),
    ] = None,
    defect_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of defective parts, simulated plant.")] = 0.2,
    servers: Annotated[Literal["embedded", "docker"], typer.Option(help="How Kafka and Triton are started.")] = "embedded",
    state: Annotated[Path | None, typer.Option(help="Where servers, models and outboxes keep their data.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary there.")] = None,
) -> None:
    """Start Kafka and Triton, fit the models, run a plant of three lines through every processor, and count what came out."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = Settings()
        if state is not None:
            settings = settings.model_copy(update={"state": state})
        wanted = Wanted(
            parts=parts,
            seed=seed,
            rate_per_s=rate,
            lines=lines,
            folder=data,
            knobs=Knobs(defect_rate=defect_rate),
            servers=servers,
        )
        found = run_demo(wanted, settings, console)
    except KeyboardInterrupt:
        console.print("stopped: every process has ended; started again, it goes on with the next part")
        raise typer.Exit(130) from None
    except (ServerStartError, FitFailed, ProcessorsNotReady, KafkaUnreachable, KafkaRefused, ValueError) as error:
        typer.echo(f"verdictline demo: {error}", err=True)
        raise typer.Exit(1) from error
    console.print(rendered(found, _SIMULATED if data is None else _FOLDER))
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    exact = found["announced"] == found["judged"] == parts and not found["missing"] and not found["conflicts"]
    raise typer.Exit(0 if exact else 1)
