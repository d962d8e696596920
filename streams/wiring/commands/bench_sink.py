"""`verdictline bench sink`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

GOALS = {"ingest": ("cpu_ms_a_part", 0.5), "policy_try": ("seconds", 30.0), "report": ("seconds", 20.0)}


def sink(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    parts: Annotated[int, typer.Option(min=0, help="Through Kafka and the sink's process; 0 leaves it out.")] = 20_000,
    retained: Annotated[int, typer.Option(min=0, help="In the database that `policy try` asks; 0 leaves it out.")] = 1_000_000,
    report: Annotated[int, typer.Option(min=0, help="In the database that `report` asks; 0 leaves it out.")] = 100_000,
    database: Annotated[str | None, typer.Option(help="URL of an empty PostgreSQL for the sink; else a file.")] = None,
) -> None:
    """What the sink costs a part, and how long `policy try` and `report` take on many."""
    from streams.workbench.sink_bench.run import Wanted, bench_sink

    wanted = Wanted(parts=parts, retained=retained, report=report, database=database)
    found = bench_sink(wanted, lambda line: typer.echo(line, err=True))
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for name, figures in found.items():
        figure, goal = GOALS[name]
        met = "met" if figures[figure] <= goal else "NOT met"
        typer.echo(f"{name}: {json.dumps(figures)}; goal {figure} <= {goal:g}: {met}")
