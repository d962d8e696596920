"""`verdictline bench report`."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer


def report(
    inspections: Annotated[int, typer.Option(min=300, help="In the shift that is reported; as many lie before it.")] = 100_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Seconds for the report of a shift, on SQLite with simulated data. Filling the database takes minutes."""
    from streams.workbench.report_bench import bench_report

    with TemporaryDirectory(prefix="verdictline-report-") as folder:
        found = bench_report(inspections, Path(folder), lambda line: typer.echo(line, err=True))
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    typer.echo(
        f"{found['inspections']:,} inspections: {found['report_s']} s (questions {found['questions_s']} s, composing "
        f"{found['composing_s']} s, page and JSON {found['drawing_s']} s), {found['cpu_s']} s of CPU; "
        f"database {found['database_mb']} MB"
    )
