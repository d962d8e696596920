"""`verdictline bench pipeline`, and `verdictline feed`, its own child."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streams.settings import Settings
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable
from streams.wiring.commands.printing import printer
from streams.wiring.logs import configure
from streams.workbench.processes import ServerStartError


def pipeline(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    seconds: Annotated[float, typer.Option(min=15, help="How long each load lasts.")] = 30.0,
    state: Annotated[Path | None, typer.Option(help="Where servers and models keep their data.")] = None,
) -> None:
    """Parts a second beside what Triton alone reaches, CPU a part of every process, latency, memory. Takes a few minutes."""
    from streams.workbench.bench.readiness import NotReady
    from streams.workbench.bench.run import NeedsTwoCores, bench_pipeline
    from streams.workbench.demo.models import FitFailed

    console = printer()
    settings = Settings() if state is None else Settings(state=state)
    try:
        found = bench_pipeline(settings, seconds, lambda line: console.print(line, style="dim", highlight=False))
    except (ServerStartError, NeedsTwoCores, NotReady, FitFailed, KafkaUnreachable, KafkaRefused, TimeoutError) as error:
        typer.echo(f"verdictline bench pipeline: {error}", err=True)
        raise typer.Exit(1) from error
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    console.print(
        f"{found['parts_per_s']} parts/s; Triton alone {found['ceiling_parts_per_s']}: ratio {found['ratio']}", highlight=False
    )
    table = Table(box=None, pad_edge=False)
    for name in ("process", "CPU ms a part", "at half load", "models cost nothing", "MB"):
        table.add_column(name, justify="left" if name == "process" else "right")
    free = found["free_models"]
    for name, cpu in found["cpu_ms_per_part"].items():
        others = (found["half_load_cpu_ms_per_part"], free["cpu_ms_per_part"], found["rss_mb"])
        table.add_row(name, f"{cpu:.2f}", *(f"{other.get(name, 0):.2f}" for other in others))
    console.print(table)
    console.print(
        f"broker and our processes: {found['cpu_ms_per_part_without_triton']} ms a part; with models that cost nothing "
        f"{free['cpu_ms_per_part_without_triton']} ms at {free['parts_per_s']} parts/s",
        highlight=False,
    )
    added = found["added_latency_ms"]
    console.print(f"added latency at half load: p50 {added['p50']} ms, p99 {added['p99']} ms", highlight=False)


def feed(load: Annotated[Path, typer.Option(help="The load that the bench wrote.")]) -> None:
    """Send a load, through the gateway or straight to Triton; print what came of it as JSON."""
    from streams.workbench.bench.load import read_load, run_load

    settings = Settings()
    configure(settings.log_level, "feed")
    typer.echo(json.dumps(run_load(read_load(load), settings)))
