"""`verdictline bench queue`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

NEXT_MS, MEMORY_MB = 150.0, 250.0


def queue(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    parts: Annotated[int, typer.Option(min=1000, help="That wait for a person.")] = 100_000,
    people: Annotated[int, typer.Option(min=1, max=100)] = 10,
    a_minute: Annotated[float, typer.Option(min=1, help="Decisions of all of them together.")] = 200.0,
    minutes: Annotated[float, typer.Option(min=0.1)] = 3.0,
) -> None:
    """Ten people at a console with a long queue: how long until the next part, what is lost or double on Kafka, memory."""
    from streams.workbench.queue_bench import Wanted, bench_queue

    wanted = Wanted(parts=parts, people=people, a_minute=a_minute, minutes=minutes)
    found = bench_queue(wanted, lambda line: typer.echo(line, err=True))
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for name, figure in found.items():
        typer.echo(f"{name}: {figure}")
    met = found["next_p95_ms"] <= NEXT_MS and found["resident_mb"] <= MEMORY_MB and not found["lost"] and not found["double"]
    typer.echo(f"goal p95 {NEXT_MS:g} ms, {MEMORY_MB:g} MB, none lost, none double: {'met' if met else 'NOT met'}")
