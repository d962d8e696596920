"""`verdictline bench spc`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from streams.wiring.commands.printing import printer


def spc(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    quick: Annotated[bool, typer.Option(help="Fewer stations and parts: two minutes.")] = False,
) -> None:
    """What control charts cost: CPU of a verdict, memory of many stations, recovery after kill -9."""
    from streams.workbench.spc_bench import bench_spc

    console = printer()
    found = bench_spc(quick, lambda line: console.print(line, style="dim", highlight=False))
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    console.print(_pure(found["pure"]))
    console.print(_processor(found["processor"]))


def _pure(rows: list[dict[str, Any]]) -> Table:
    table = Table("pure rules", "CPU us a verdict, least", "median", "state bytes a verdict", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["what"], f"{row['us']:.0f}", f"{row['us_median']:.0f}", f"{row['bytes']:.0f}")
    return table


def _processor(rows: list[dict[str, Any]]) -> Table:
    heads = ("stations", "charts each", "verdicts", "subgroup", "CPU us a verdict", "MB", "ready again s", "MB then")
    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        cells = (row["stations"], row["characteristics"], f"{row['verdicts']:,}", row["subgroup"], f"{row['us']:.0f}")
        table.add_row(*map(str, cells), f"{row['fresh_mb']:.0f}", f"{row['recovery_s']:.1f}", f"{row['after_mb']:.0f}")
    return table
