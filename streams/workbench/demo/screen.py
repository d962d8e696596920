"""The live table of a demonstration. Pure: state in, something that rich can draw out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streams.workbench.fleet import Usage
from streams.workbench.observer import DISPOSITIONS, Observer, quantile

_COLOURS = {"pass": "green", "rework": "yellow", "scrap": "red", "review": "cyan", "no_verdict": "magenta"}


def screen(
    observer: Observer, usage: Mapping[str, Usage], health: Mapping[str, str], *, wanted: int, elapsed_s: float, events: list[str]
) -> RenderableType:
    """wanted: parts that the plant will make; events: the latest lines, oldest first."""
    latencies = observer.latencies_ms()
    p50, p99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
    head = Text.assemble(
        (f"{len(observer.announced)} of {wanted} parts announced, {len(observer.verdicts)} judged", "bold"),
        f"   {elapsed_s:.0f} s   {observer.parts_per_s():.1f} parts/s",
        "" if p50 is None or p99 is None else f"   p50 {p50:.0f} ms  p99 {p99:.0f} ms",
        ("" if not observer.conflicts else f"   {len(observer.conflicts)} CONFLICTS", "bold red"),
    )
    return Group(
        head, Text(), _verdicts(observer), Text(), _processes(usage, health), *[Text(line, style="dim") for line in events]
    )


def _verdicts(observer: Observer) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("line", "product", "parts", *DISPOSITIONS):
        table.add_column(name.replace("_", " "), justify="left" if name in ("line", "product") else "right")
    announced = Counter((inspection.split(":")[0], product) for inspection, product in observer.announced.items())
    judged = Counter((i.split(":")[0], v.disposition) for i, v in observer.verdicts.items())
    for (station, product), parts in sorted(announced.items()):
        cells = [Text(str(judged[station, d]), style=_COLOURS[d] if judged[station, d] else "dim") for d in DISPOSITIONS]
        table.add_row(station, product, str(parts), *cells)
    return table


def _processes(usage: Mapping[str, Usage], health: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("process", "health", "CPU s", "MB", "restarts"):
        table.add_column(name, justify="left" if name in ("process", "health") else "right")
    for name, used in usage.items():
        state = health.get(name, "up" if used.alive else "ended")
        style = "green" if state in ("ready", "up", "done") else "yellow"
        table.add_row(name, Text(state, style=style), f"{used.cpu_s:.1f}", f"{used.rss_mb:.0f}", str(used.restarts))
    return table
