"""`verdictline bench drift`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from streams.wiring.commands.printing import printer


def drift(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    quick: Annotated[bool, typer.Option(help="Few runs a cell: at most five minutes, wide errors.")] = False,
    calibrate: Annotated[bool, typer.Option(help="Only find the peers' sensitivities anew, and keep them.")] = False,
) -> None:
    """What the drift monitor detects, how soon and how often in error, on simulated streams, beside other detectors."""
    console = printer()

    def tell(line: str) -> None:
        console.print(line, style="dim", highlight=False)

    if calibrate:
        from streams.workbench.drift_bench.calibrate import write_table
        from streams.workbench.drift_bench.peers import RiverMissing

        try:
            write_table(tell)
        except RiverMissing as error:
            typer.echo(f"verdictline bench drift: {error}", err=True)
            raise typer.Exit(1) from error
        return
    from streams.workbench.drift_bench.run import bench_drift

    found = bench_drift(quick, tell)
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    _show(console, found)


def _show(console: Console, found: dict[str, Any]) -> None:
    from streams.workbench.drift_bench.rows import shown

    targets = Table(box=None, pad_edge=False)
    for name in ("", "target", "goal", "found", "± se", "met", "stretch"):
        targets.add_column(name, justify="left" if name in ("", "target", "met", "stretch") else "right")
    for row in found["targets"]:
        stretch = "" if row["stretch"] is None else f"{shown(row, 'stretch')}: {_met(row['stretch_met'])}"
        goal = f"{row['sense']} {shown(row, 'goal')}"
        targets.add_row(row["id"], row["name"], goal, shown(row, "value"), shown(row, "se"), _met(row["met"]), stretch)
    console.print(targets)
    console.print()
    console.print(_peers(found["peers"]))
    for note in found["notes"]:
        console.print(note, highlight=False)
    met = sum(row["met"] for row in found["targets"])
    console.print(f"{met} of {len(found['targets'])} rows met; {found['runs']} runs, {found['seconds']} s", highlight=False)


def _met(value: bool) -> str:
    return "yes" if value else "[bold]no[/bold]"


def _peers(peers: list[dict[str, Any]]) -> Table:
    table = Table(
        box=None, pad_edge=False, title="equal ARL0: median delay in parts; defects: share called drift", title_justify="left"
    )
    delays, jumps = peers[0]["median_delay"], peers[0]["called_drift"]
    table.add_column("detector")
    for name in ("ARL0", *delays, *(f"{name} %" for name in jumps)):
        table.add_column(name, justify="right")
    for peer in peers:
        late = ("never" if value is None else f"{value:.0f}" for value in peer["median_delay"].values())
        wrong = (f"{100 * value:.0f} %" for value in peer["called_drift"].values())
        table.add_row(peer["name"], "–" if peer["arl0"] is None else f"{peer['arl0']:.1e}", *late, *wrong)
    return table
