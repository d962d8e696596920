"""`verdictline spc plot`: control charts as a picture or a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.settings import Settings
from streams.wiring.adapters.kafka import reach
from streams.wiring.adapters.spc import read_spc
from streams.wiring.commands.clear import INVALID, clear_end, end
from streams.wiring.commands.spc_chart import control, whole


def plot(
    station: Annotated[str, typer.Option(help="SITE/LINE/STATION.")],
    product: Annotated[str, typer.Option(help="What is inspected there.")],
    series: Annotated[str | None, typer.Option(help="Which series of subgroups; not needed where there is one.")] = None,
    characteristic: Annotated[str, typer.Option(help="Which chart an .svg shows.")] = "nonconforming",
    out: Annotated[Path, typer.Option(help="An .html page of all charts, or one .svg.")] = Path("spc.html"),
    last: Annotated[int, typer.Option(min=2, help="The newest subgroups to show.")] = 100,
) -> None:
    """Draw control charts: subgroups with limits, stages and signals."""
    with clear_end("spc plot"):
        if out.suffix not in (".html", ".svg"):
            end("spc plot", f"{out}: give a file that ends in .html or .svg", code=INVALID)
        client = Settings().client()
        reach(client)
        known = read_spc(client)
        named = {key: found for key, found in known.series.items() if key[:2] == (station, product)}
        keys = [key for key in named if series in (None, key[2])]
        if len(keys) != 1:
            names = ", ".join(key[2] for key in named) or "none yet"
            end("spc plot", f"{product} at {station} has series {names}: name one with --series")
        key, plan = keys[0], known.plans.get((station, product))
        found = named[key]
        if not found.characteristics() or (out.suffix == ".svg" and characteristic not in found.characteristics()):
            names = ", ".join(found.characteristics()) or "none"
            end("spc plot", f"limits are made of {len(found.subgroups)} subgroups so far for: {names}")
        svg = out.suffix == ".svg"
        text = control(key, found, characteristic, plan, last).svg() if svg else whole(key, found, plan, last)
        out.write_text(text, encoding="utf-8")
    typer.echo(f"{out}: {len(found.subgroups)} subgroups of {' '.join(key)}")
