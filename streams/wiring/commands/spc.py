"""`verdictline spc plan|freeze|remove|recompute`: what people say of control charts. Each act names who and why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml
from pydantic import ValidationError

from schemas.common import fault
from schemas.envelope import rfc3339
from schemas.ids import station_path
from schemas.spc import LimitsActV1, PlanV1, SeriesV1
from streams.fates import Unprocessable
from streams.monitors.challenge.schedule import zone_of
from streams.monitors.spc.plans import default_of
from streams.settings import Settings
from streams.wiring.adapters.kafka import reach
from streams.wiring.adapters.spc import Charted, publish, read_spc
from streams.wiring.commands.clear import INVALID, clear_end, end
from streams.wiring.commands.policy_file import PolicyFaults, load_message

Station = Annotated[str, typer.Option(help="SITE/LINE/STATION.")]
Product = Annotated[str, typer.Option(help="What is inspected there.")]
Who = Annotated[str, typer.Option(help="Who says so.")]
Why = Annotated[str, typer.Option(help="Why.")]
Series = Annotated[str | None, typer.Option(help="Which series of subgroups; not needed where there is one.")]
Characteristic = Annotated[str, typer.Option(help="Which chart of it.")]
Act = Literal["freeze", "remove", "recompute"]


def plan(
    station: Station,
    product: Product,
    file: Annotated[Path | None, typer.Argument(help="YAML with `series:`, as --show prints it.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the plan in force, or the default.")] = False,
    who: Annotated[str | None, typer.Option(help="Who says so.")] = None,
    why: Annotated[str | None, typer.Option(help="Why.")] = None,
) -> None:
    """Say what is charted of a product at a station, and of which subgroups; the stage ends with the next part."""
    with clear_end("spc plan"):
        client = Settings().client()
        if show == (file is not None):
            end("spc plan", "give either a file with --who and --why, or --show", code=INVALID)
        if file is None:
            reach(client)
            known = read_spc(client)
            typer.echo(shown(known.plans.get((station, product)), known.series.get((station, product, "default"))), nl=False)
            return
        if who is None or why is None:
            end("spc plan", "a plan needs --who and --why", code=INVALID)
            return
        made = _read(file, station=station_path(station), product=product, who=who, why=why, at=rfc3339(datetime.now(UTC)))
        reach(client)
        publish(client, made)
    names = ", ".join(one.name for series in made.series for one in series.characteristics)
    typer.echo(f"{station}: {product} is charted by {names} from the next part on")


def freeze(station: Station, product: Product, characteristic: Characteristic, who: Who, why: Why, series: Series = None) -> None:
    """End phase I: the limits in force stand until the stage ends, or another act."""
    _say("freeze", station, product, characteristic, who, why, series)


def remove(
    station: Station,
    product: Product,
    characteristic: Characteristic,
    subgroup: Annotated[list[str], typer.Option(help="Id of a subgroup with a known cause, or its number in the stage.")],
    who: Who,
    why: Annotated[str, typer.Option(help="The cause.")],
    series: Series = None,
) -> None:
    """Take subgroups with a known cause out of the trial limits, which are made anew without them."""
    _say("remove", station, product, characteristic, who, why, series, subgroup)


def recompute(
    station: Station, product: Product, characteristic: Characteristic, who: Who, why: Why, series: Series = None
) -> None:
    """Make trial limits anew from the subgroups of this stage; frozen ones end."""
    _say("recompute", station, product, characteristic, who, why, series)


def _say(
    act: Act,
    station: str,
    product: str,
    characteristic: str,
    who: str,
    why: str,
    series: str | None,
    subgroups: list[str] | None = None,
) -> None:
    command = f"spc {act}"
    with clear_end(command):
        client = Settings().client()
        reach(client)
        known = read_spc(client)
        named = {name: found for (where, what, name), found in known.series.items() if (where, what) == (station, product)}
        if series is None and len(named) == 1:
            (series,) = named
        if series is None or series not in named:
            end(command, f"{product} at {station} has series {', '.join(named) or 'none yet'}: name one with --series")
        assert series is not None
        found = named[series]
        if characteristic not in found.characteristics():
            end(command, f"no limits of {characteristic!r} yet; there are {', '.join(found.characteristics()) or 'none'}")
        data = {"station": station, "product": product, "series": series, "characteristic": characteristic, "act": act}
        ids = tuple(_id(command, found, name) for name in subgroups or ())
        made = _valid(command, {**data, "subgroups": ids, "who": who, "why": why, "at": datetime.now(UTC)})
        publish(client, made)
    typer.echo(f"{station}: {act} of {characteristic} is said; `verdictline spc show` tells what became of it")


def _id(command: str, found: Charted, name: str) -> str:
    """Of a subgroup by its id, or by its number in the stage that runs."""
    stage = found.stages[-1].stage_id if found.stages else ""
    wanted = f"{stage}|{int(name):06d}" if name.isdigit() else name
    ids = [one for one in found.subgroups if one.endswith(wanted)]
    if len(ids) != 1:
        end(command, f"{name!r} is no subgroup of this stage: see `verdictline spc show`", code=INVALID)
    return ids[0]


def _valid(command: str, data: dict[str, Any]) -> LimitsActV1:
    try:
        return LimitsActV1.model_validate(data)
    except ValidationError as error:
        end(command, fault(error)[1], code=INVALID)
        raise


def _read(file: Path, **more: str) -> PlanV1:
    try:
        made = load_message(file, PlanV1, "series:", **more)
        for series in made.series:
            zone_of(series.rule.zone)
    except PolicyFaults as faults:
        end("spc plan", *(f"{file}: {line}" for line in faults.faults), code=INVALID)
    except Unprocessable as error:
        end("spc plan", f"{file}: {error.detail}", code=INVALID)
    return made


def shown(found: PlanV1 | None, charted: Charted | None) -> str:
    """As YAML that `spc plan` reads back."""
    if found is not None:
        head, series = f"# {found.who}, {found.at:%Y-%m-%d %H:%M} UTC: {found.why}\n", found.series
    else:
        subgroups = charted.subgroups.values() if charted else ()
        head, series = "# the default: nobody published a plan\n", (default_of(subgroups),)
    return head + yaml.safe_dump({"series": [_data(one) for one in series]}, sort_keys=False, allow_unicode=True, width=120)


def _data(series: SeriesV1) -> dict[str, Any]:
    return series.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
