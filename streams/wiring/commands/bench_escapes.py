"""`verdictline bench escapes`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streams.wiring.commands.printing import printer


def escapes(
    lives: Annotated[int, typer.Option(min=100, help="Simulated lives a row, of 50,000 passes each.")] = 2000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """How often the live bound on escapes is ever wrong, and how far it is from a bound for one look. No server; minutes."""
    from streams.workbench.escape_bench import once_looked_at_always, table

    console = printer()
    rows = list(table(lives))
    often = once_looked_at_always(10_000, max(100, lives // 4))
    if json_file is not None:
        found = {"rows": [asdict(row) for row in rows], "once_looked_at_always": often}
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    shown = Table(box=None, pad_edge=False)
    for name in ("audit", "bad parts come", "ppm", "ever wrong", "audits", "true ppm", "bound ppm", "one look ppm"):
        shown.add_column(name, justify="left" if name in ("audit", "bad parts come") else "right")
    for row in rows:
        once = "–" if row.once_ppm is None else f"{row.once_ppm:.0f}"
        told = (f"{row.ppm:.0f}", f"{row.wrong}/{row.lives}", f"{row.audits:.0f}", f"{row.truth_ppm:.0f}", f"{row.bound_ppm:.0f}")
        shown.add_row(row.law, row.when, *told, once)
    console.print(shown)
    console.print(f"Clopper and Pearson's bound, asked after every audit: ever wrong in {100 * often:.1f} % of lives (10000 ppm)")
