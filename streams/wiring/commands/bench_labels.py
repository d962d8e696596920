"""`verdictline bench labels`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from streams.wiring.commands.printing import printer


def labels(
    data: Annotated[Path, typer.Option(help="The folder that holds neu_steel and x_sdd.")],
    seeds: Annotated[int, typer.Option(min=2, help="Splits into pool and test, and orders of chance.")] = 10,
    only: Annotated[list[str] | None, typer.Option(help="This set; may be given again. Default: all.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """How many labels the queue's order needs for what chance reaches with 40 a class, on five sets. No server."""
    from streams.training.dataset import DataError
    from streams.workbench.label_bench.run import bench_labels
    from streams.workbench.label_bench.sets import names

    console = printer()
    if unknown := sorted(set(only or ()) - set(names())):
        typer.echo(f"verdictline bench labels: no set {unknown[0]!r}; there are {', '.join(names())}", err=True)
        raise typer.Exit(2)
    try:
        rows = bench_labels(data, seeds, lambda line: console.print(line, style="dim", highlight=False), only or ())
    except DataError as error:
        typer.echo(f"verdictline bench labels: {error}", err=True)
        raise typer.Exit(1) from error
    if json_file is not None:
        data_rows = [{key: None if value == math.inf else value for key, value in asdict(row).items()} for row in rows]
        json_file.write_text(json.dumps(data_rows, indent=2) + "\n", encoding="utf-8")
    for row in rows:
        found = "not reached" if row.needed is None or row.ratio is None else f"{row.needed:.0f} labels, {row.ratio:.2f}"
        console.print(
            f"{row.name}: macro-F1 {row.target:.3f} takes chance {row.chance_labels} labels, the queue {found} "
            f"({row.low:.2f} to {row.high:.2f}); {row.seeds} seeds",
            highlight=False,
        )
