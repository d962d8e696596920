"""`verdictline bench review`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from streams.wiring.commands.printing import printer


def review(
    data: Annotated[Path | None, typer.Option(help="A folder of classed images: real ones too.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """The queue of 100,000 reviews, similar parts among 100,000, clusters: how fast, and what they find. No server."""
    from streams.training.dataset import DataError
    from streams.workbench.review_bench import bench_review

    console = printer()
    try:
        rows = bench_review(data, lambda line: console.print(line, style="dim", highlight=False))
    except DataError as error:
        typer.echo(f"verdictline bench review: {error}", err=True)
        raise typer.Exit(1) from error
    if json_file is not None:
        json_file.write_text(json.dumps(dict(rows), indent=2) + "\n", encoding="utf-8")
    for what, figure in rows:
        console.print(f"{what}: {figure}", highlight=False)
