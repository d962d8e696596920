"""`verdictline challenge limit`: the smallest defect that stations still find, in words, and drawn. Judges nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from schemas.challenge import DetectionLimitV1
from schemas.drift import RangeV1
from streams.settings import Settings
from streams.wiring.adapters.challenges import read_challenges
from streams.wiring.adapters.kafka import reach
from streams.wiring.commands.clear import clear_end, end
from streams.wiring.commands.limit_chart import curve, whole

Station = Annotated[str | None, typer.Option(help="SITE/LINE/STATION; all without.")]
AsJson = Annotated[bool, typer.Option("--json", help="As one line of JSON.")]


def limit(
    station: Station = None,
    product: Annotated[str | None, typer.Option(help="All without.")] = None,
    view: Annotated[str | None, typer.Option(help="All without.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the newest curve into this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page: newest curves, and the limits over time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how small a defect is still found 90 % of the time: the newest set of each station, product and view."""
    with clear_end("challenge limit"):
        client = Settings().client()
        reach(client)
        known = read_challenges(client)
        found = [
            sorted(of_one, key=lambda one: one.at)
            for (where, what), limits in sorted(known.limits.items())
            if station in (None, where) and product in (None, what)
            for of_one in courses(limits)
            if view in (None, of_one[0].view)
        ]
        if svg is not None and len(found) != 1:
            end("challenge limit", f"{len(found)} curves: --svg draws one; name it with --station, --product, --view")
        if svg is not None:
            svg.write_text(curve(found[0][-1]).svg(), encoding="utf-8")
        if html is not None:
            html.write_text(whole(found), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps([of_one[-1].model_dump(mode="json", exclude_none=True) for of_one in found]))
    elif not found:
        typer.echo(
            "no detection limit yet: see `verdictline challenge schedule --limit-size`, `verdictline challenge run --limit`"
        )
    for of_one in () if as_json else found:
        typer.echo("\n".join(_lines(of_one)))


def courses(limits: Sequence[DetectionLimitV1]) -> list[list[DetectionLimitV1]]:
    """Those of one view and kind of mark, each in a list of its own."""
    found: dict[tuple[str, str, float], list[DetectionLimitV1]] = {}
    for one in limits:
        found.setdefault((one.view, one.defect, one.contrast), []).append(one)
    return [found[key] for key in sorted(found)]


def sentence(said: DetectionLimitV1) -> str:
    """`smallest scratch found 90 % of the time: 0.42 mm (95 %: 0.35 to 0.55)`."""
    start = f"smallest {said.defect} found 90 % of the time: "
    if said.pod90_mm is not None:
        return start + _in_words(said.pod90_mm, "mm")
    return start + (_in_words(said.pod90_px, "px") if said.pod90_px is not None else "not known")


def _in_words(found: RangeV1, unit: str) -> str:
    low, high = (None if one is None else f"{one:.2g}" if one < 10 else f"{one:.3g}" for one in (found.low, found.high))
    if low is not None and high is not None:
        interval = f"95 %: {low} to {high}"
    else:
        interval = f"95 %: {low} or more" if low else f"95 %: {high} or less" if high else "no interval"
    return f"{found.value:.2g} {unit} ({interval})" if found.value < 10 else f"{found.value:.3g} {unit} ({interval})"


def _lines(of_one: Sequence[DetectionLimitV1]) -> Iterator[str]:
    said = of_one[-1]
    worse = "WORSE: " if said.worse else ""
    yield f"{said.station}  {said.product}  {said.view}: {worse}{sentence(said)}"
    yield f"  {said.at:%Y-%m-%d %H:%M} UTC, contrast {said.contrast:+.0%}, set {said.set}, {len(of_one)} in all"
    yield "  found: " + ", ".join(f"{g.found}/{g.tried} of {g.size_px:g} px" for g in said.grades)
    if said.false_alarms is not None:
        yield f"  of the unpainted images {said.false_alarms:.0%} did not pass"
    if said.reference_px is not None:
        yield f"  reference {said.reference_px:.3g} px"
    if said.why is not None:
        yield f"  {said.why}"
