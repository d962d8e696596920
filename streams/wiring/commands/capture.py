"""`verdictline capture FOLDER`: a folder's images as parts of one station. Knows no rule: the gateway admits or refuses."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from pydantic import ValidationError

from schemas.common import Purpose
from schemas.ids import InspectionId, station_path
from streams.capture.gateway import IMAGE_EXTENSIONS, Capture, Limits, Refused, View, acquisition_digest
from streams.fates import Unavailable, Unprocessable
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.health import PortTaken
from streams.wiring.adapters.kafka import KafkaUnreachable, reach
from streams.wiring.adapters.outbox import OutboxError
from streams.wiring.commands.folder import Group, arriving, groups, strangers
from streams.wiring.processors.gateway import Gateway, NothingInForce
from streams.wiring.processors.gateway_watch import watched_gateway
from streams.wiring.processors.injector import Injector
from streams.wiring.processors.limit_set import LimitSets

FAILED, SOME_REFUSED, UNSENT = 1, 3, 4
_LOOK_S = 0.25
_REACH_S = 5.0


@dataclass(kw_only=True)
class _Told:
    """What the command says at its end."""

    announced: list[InspectionId] = field(default_factory=list)
    images: int = 0
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    stopped: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Station:
    """What every part of this run has in common."""

    station: str
    product: str
    views: int
    lot: str | None
    tool: str | None
    purpose: Purpose
    acquisition: str
    stays: bool


def capture(
    folder: Annotated[Path, typer.Argument(help="Folder of PNG, JPEG, BMP or TIFF files; taken in the order of their names.")],
    station: Annotated[str, typer.Option(help="SITE/LINE/STATION.")],
    product: Annotated[str, typer.Option(help="Its policy and models must be in force.")],
    views: Annotated[int, typer.Option(min=1, max=100, help="Files that make one part: views v1, v2, ...")] = 1,
    view: Annotated[
        list[str] | None, typer.Option(help="Name of a view, one for each file of a part; instead of --views.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Parts a second; as fast as they are taken without.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Stay, and take files that arrive, until Ctrl-C.")] = False,
    state: Annotated[Path | None, typer.Option(help="Folder that keeps the outbox.")] = None,
    lot: Annotated[str | None, typer.Option(help="Lot that all these parts belong to.")] = None,
    tool: Annotated[str | None, typer.Option(help="What made them: mould, cavity, cutter.")] = None,
    purpose: Annotated[str, typer.Option(help="production, setup, challenge, study, rework or reinspection.")] = "production",
    acquisition: Annotated[
        str, typer.Option(help="Camera, lens, light and exposure, in any words: a digest of it is kept.")
    ] = "",
    wait_s: Annotated[float, typer.Option(min=0, help="Longest wait for Kafka at the end, and for room in the outbox.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as one line of JSON.")] = False,
) -> None:
    """Hand a folder's images to the gateway: one part for every N files. Models and policy know views by their names."""
    names = tuple(view or (f"v{number}" for number in range(1, views + 1)))
    try:
        settings = Settings() if state is None else Settings(state=state)
        of = _Station(
            station=station_path(station),
            product=product,
            views=len(names),
            lot=lot,
            tool=tool,
            purpose=_purpose(purpose),
            acquisition=acquisition_digest(station=station, description=acquisition),
            stays=follow,
        )
        batches = (
            arriving(folder, names, IMAGE_EXTENSIONS, _stopper(), _LOOK_S)
            if follow
            else iter(groups(folder, names, IMAGE_EXTENSIONS))
        )
        told, left = _run(batches, of, settings, rate, wait_s)
        for path in () if follow else strangers(folder, IMAGE_EXTENSIONS):
            _refuse(told, path, "wrong_extension", f"{path.suffix or 'none'}: {', '.join(sorted(IMAGE_EXTENSIONS))} are read")
    except (ValueError, OSError, PortTaken, KafkaUnreachable, Unavailable, OutboxError, NothingInForce, Unprocessable) as error:
        text = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else str(error)
        typer.echo(f"verdictline capture: {text}", err=True)
        raise typer.Exit(FAILED) from error
    _tell(told, left, settings, as_json)
    raise typer.Exit(FAILED if told.stopped else UNSENT if left else SOME_REFUSED if told.refused else 0)


def _purpose(text: str) -> Purpose:
    if text not in get_args(Purpose):
        raise ValueError(f"purpose {text!r}: use {', '.join(get_args(Purpose))}")
    return cast(Purpose, text)


def _stopper() -> threading.Event:
    """Set by Ctrl-C and SIGTERM: the last part is still sent."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _run(batches: Iterator[Group], of: _Station, settings: Settings, rate: float | None, wait_s: float) -> tuple[_Told, int]:
    """(what happened, how many parts Kafka has not). Nothing is written before Kafka, policy and model set are there."""
    client = settings.client()
    reach(client, _REACH_S)
    told = _Told()
    with ExitStack() as stack:
        registry = stack.enter_context(BaselineRegistry(client))
        registry.wait_ready()
        if registry.stamp(of.product, of.station) is None:
            raise NothingInForce(
                f"no policy and model set in force for product {of.product!r} at station {of.station!r}: "
                f"`verdictline fit` makes them, `verdictline policy show` lists what is in force"
            )
        gateway = Gateway(settings, registry, stations=[of.station])
        stack.callback(gateway.close)
        if of.stays:  # challenge parts come this way too, as long as the station runs
            stack.enter_context(watched_gateway(gateway, settings))
            ours = Injector(
                settings,
                [of.station],
                capture=gateway.post,
                acquisition=lambda *_: of.acquisition,
                painter=LimitSets(settings, registry),
            )
            stack.enter_context(ours)
        start = time.monotonic()
        try:
            for number, group in enumerate(batches):
                if rate is not None:
                    time.sleep(max(0.0, start + number / rate - time.monotonic()))
                _hand_over(gateway, of, group, told, wait_s)
        except (OutboxError, NothingInForce) as error:  # what was acknowledged before is still sent
            told.stopped = str(error)
        gateway.wait_sent(wait_s)
        return told, gateway.unsent


def _hand_over(gateway: Gateway, of: _Station, group: Group, told: _Told, wait_s: float) -> None:
    """One part. A refused image is told of, and missing evidence of a part that has others."""
    views = []
    for name, path in group:
        size = path.stat().st_size
        if size > Limits().bytes:
            _refuse(told, path, "too_many_bytes", f"{size} bytes, the limit is {Limits().bytes}")
        else:
            views.append(View(name, path.read_bytes(), str(path)))
    while views:
        try:
            part = Capture(
                station=of.station,
                product=of.product,
                views=views,
                views_expected=of.views,
                acquisition=of.acquisition,
                purpose=of.purpose,
                lot=of.lot,
                tool=of.tool,
            )
            told.announced.append(gateway.post(part, wait_s=wait_s).result())
            told.images += len(views)
            return
        except Refused as error:
            bad = next(view for view in views if view.name == error.view)
            _refuse(told, Path(bad.file or ""), error.reason, error.detail)
            views.remove(bad)


def _refuse(told: _Told, path: Path, reason: str, detail: str) -> None:
    told.refused.append((str(path), reason, detail))
    typer.echo(f"refused {path}: {reason}: {detail}", err=True)


def _tell(told: _Told, left: int, settings: Settings, as_json: bool) -> None:
    if told.stopped:
        typer.echo(f"verdictline capture: {told.stopped}", err=True)
    if left:
        typer.echo(
            f"verdictline capture: {left} parts wait in {settings.state / 'outbox'}: Kafka at {settings.kafka} did not take "
            f"them in time; the next capture at this station sends them",
            err=True,
        )
    if as_json:
        refused = [{"file": file, "reason": reason, "detail": detail} for file, reason, detail in told.refused]
        ids = [str(inspection) for inspection in told.announced]
        typer.echo(
            json.dumps({"announced": len(ids), "images": told.images, "unsent": left, "refused": refused, "inspections": ids})
        )
        return
    typer.echo(f"announced {len(told.announced)} parts with {told.images} images, refused {len(told.refused)} images")
