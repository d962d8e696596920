"""`verdictline policy try FILE`: what a policy would have said of parts that were judged already, before anybody approves it."""

from __future__ import annotations

import csv
import gc
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import typer
from sqlalchemy import Connection

from schemas.policy import PolicyV1
from streams.judgement.trial import Trial
from streams.settings import Settings
from streams.wiring.adapters.database import ask_monitors
from streams.wiring.adapters.database.ask_evidence import stretches
from streams.wiring.adapters.database.ask_parts import truths
from streams.wiring.adapters.database.scope import NoDatabase, Scope, asking
from streams.wiring.adapters.kafka import reach
from streams.wiring.commands.clear import INVALID, clear_end, end
from streams.wiring.commands.policy import load
from streams.wiring.commands.policy_try_report import as_data, lines
from streams.wiring.from_log import filled_from_log
from streams.wiring.trying import Versions, try_policy

Source = Literal["auto", "database", "log"]
_UNITS = {"m": 60, "h": 3600, "d": 86_400}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs text that begins so


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which parts, and where they are read from."""

    scope: Scope
    source: Source


def try_(
    file: Annotated[Path, typer.Argument(help="A policy as YAML.")],
    window: Annotated[
        str | None, typer.Option(help="The last 30m, 24h, 7d, or FROM..TO in RFC 3339. Default: 24h, all with --lot.")
    ] = None,
    station: Annotated[list[str] | None, typer.Option(help="SITE/LINE/STATION; may be given several times.")] = None,
    lot: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    product: Annotated[str | None, typer.Option(help="Another product's parts than the policy's own are refused.")] = None,
    source: Annotated[
        str, typer.Option(help="database, log (Kafka, small windows), or auto: the database where there is one.")
    ] = "auto",
    most: Annotated[int, typer.Option(min=0, help="So many changed parts are listed; all of them are in --json and --csv.")] = 20,
    to_csv: Annotated[Path | None, typer.Option("--csv", help="Write every changed part into this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one line of JSON.")] = False,
) -> None:
    """Dry-run a policy on parts that were judged: what changes, ppm and review load, and what cannot be known."""
    with clear_end("policy try"):
        policy = _policy(file, product, tuple(station or ()))
        asked = _asked(policy, window, tuple(station or ()), tuple(lot or ()), source)
        trial = _try(policy, asked, Settings())
        if trial.parts == 0:
            end("policy try", f"there are no parts of {policy.product} in {_shown(asked.scope)}")
        if to_csv is not None:
            write_csv(to_csv, trial)
    if as_json:
        typer.echo(json.dumps(as_data(policy, trial)))
    else:
        for line in lines(policy, trial, _shown(asked.scope), most):
            typer.echo(line)


def _policy(file: Path, product: str | None, stations: tuple[str, ...]) -> PolicyV1:
    policy = load("policy try", file)
    if product not in (None, policy.product):
        end("policy try", f"{file} is for product {policy.product!r}, not for {product!r}", code=INVALID)
    if policy.station is not None and any(station != policy.station for station in stations):
        end("policy try", f"{file} is for station {policy.station!r} alone", code=INVALID)
    return policy


def _asked(policy: PolicyV1, window: str | None, stations: tuple[str, ...], lots: tuple[str, ...], source: str) -> Asked:
    if source not in ("auto", "database", "log"):
        raise typer.BadParameter("use auto, database or log", param_hint="--source")
    begin, close = _window(window, datetime.now(UTC)) if window or not lots else (None, None)
    own = stations or ((policy.station,) if policy.station else ())
    scope = Scope(begin=begin, end=close, stations=own, products=(policy.product,), lots=lots)
    found: Source = "database" if source == "database" else "log" if source == "log" else "auto"
    return Asked(scope=scope, source=found)


def _window(text: str | None, now: datetime) -> tuple[datetime, datetime | None]:
    if found := re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text or "24h"):
        return now - timedelta(seconds=int(found[1]) * _UNITS[found[2]]), None
    try:
        begin, close = (datetime.fromisoformat(part) for part in (text or "").split("..", 1))
    except ValueError as error:
        wanted = "write 30m, 24h, 7d, or FROM..TO as 2026-11-28T06:00:00Z..2026-11-28T14:00:00Z"
        raise typer.BadParameter(wanted, param_hint="--window") from error
    if begin.tzinfo is None or close.tzinfo is None:
        raise typer.BadParameter("times need a zone: 2026-11-28T06:00:00Z or +01:00", param_hint="--window")
    if begin >= close:
        raise typer.BadParameter("it ends before it begins", param_hint="--window")
    return begin, close


def _try(policy: PolicyV1, asked: Asked, settings: Settings) -> Trial:
    with _connection(asked, settings) as connection:
        everything = replace(asked.scope, begin=None, end=None, lots=())
        versions = Versions(
            policies=ask_monitors.policies(connection),
            model_sets=ask_monitors.model_sets(connection),
            truths=truths(connection, everything),
        )
        with _uncollected():
            return try_policy(policy, stretches(connection, asked.scope), versions)


@contextmanager
def _uncollected() -> Iterator[None]:
    """The collector would look at millions of rows again and again, none of them in a cycle: a sixth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _connection(asked: Asked, settings: Settings) -> Iterator[Connection]:
    """The sink's database, or one that is filled from the log for this question and thrown away."""
    with ExitStack() as stack:
        if asked.source != "log":
            try:
                yield stack.enter_context(asking(settings.database, settings.state))
                return
            except NoDatabase:
                if asked.source == "database" or settings.kafka is None:
                    raise
        folder = Path(stack.enter_context(TemporaryDirectory()))
        client = settings.client()
        reach(client)
        filled_from_log(client, folder, asked.scope.begin, asked.scope.end)
        yield stack.enter_context(asking(None, folder))


def _shown(scope: Scope) -> str:
    where = ", ".join([*scope.stations, *(f"lot {lot}" for lot in scope.lots)])
    begin, close = (None if t is None else t.strftime("%Y-%m-%d %H:%M:%S %Z") for t in (scope.begin, scope.end))
    when = f"{begin or 'the first'} to {close or 'now'}"
    return f"{when}, {where}" if where else when


def write_csv(path: Path, trial: Trial) -> None:
    """Every changed part. Text that a spreadsheet would take for a formula gets a ' before it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["inspection", "station", "serial", "lot", "was", "would_be", "truth"])
        for one in trial.changes:
            told = (one.inspection, one.station, one.serial, one.lot, one.was, one.would_be, one.truth)
            writer.writerow([f"'{text}" if text and text.startswith(_FORMULA) else text or "" for text in told])
