"""`verdictline challenge add|retire|schedule|run`: what people say about challenge parts. Each act names who and why."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from schemas.challenge import ChallengeDueV1, ChallengePartV1, ChallengeScheduleV1
from schemas.common import ImageRef, Message, fault
from schemas.ids import station_path
from streams.capture.gateway import IMAGE_EXTENSIONS, Limits, View, admit
from streams.fates import Unprocessable
from streams.monitors.challenge.schedule import usable, zone_of
from streams.monitors.detection_limit import graded_parts
from streams.settings import Settings
from streams.wiring.adapters.challenges import Challenges, publish, read_challenges
from streams.wiring.adapters.images import FileImages
from streams.wiring.adapters.kafka import reach
from streams.wiring.commands.clear import INVALID, clear_end, end

M = TypeVar("M", bound=Message)
Station = Annotated[str, typer.Option(help="SITE/LINE/STATION.")]
Product = Annotated[str, typer.Option(help="The product whose rules judge it.")]
Who = Annotated[str, typer.Option(help="Who says so.")]
Why = Annotated[str, typer.Option(help="Why.")]
Physical = Annotated[bool, typer.Option("--physical", help="Masters on the line, instead of images handed in (digital).")]


def add(
    station: Station,
    product: Product,
    who: Who,
    why: Why,
    images: Annotated[Path | None, typer.Argument(help="An image, or a folder of images: digital parts, named by file.")] = None,
    kind: Annotated[str, typer.Option(help="defect: must not pass; golden: must pass.")] = "defect",
    label: Annotated[str | None, typer.Option(help="The defect's class.")] = None,
    view: Annotated[list[str] | None, typer.Option(help="Views of a part, in the order of its files; v1 without.")] = None,
    part: Annotated[str | None, typer.Option(help="Its name; by the file without.")] = None,
    physical: Physical = False,
    serial: Annotated[str | None, typer.Option(help="Of a physical master: it is recognised by it.")] = None,
    custody: Annotated[str | None, typer.Option(help="Of a physical master: who keeps it, where.")] = None,
    expires: Annotated[datetime | None, typer.Option(help="UTC; afterwards it is not used any more.")] = None,
) -> None:
    """Register challenge parts: images with a known answer, or a physical master."""
    with clear_end("challenge add"):
        settings = Settings()
        common: dict[str, Any] = {
            "station": station_path(station),
            "product": product,
            "kind": kind,
            "label": label,
            "who": who,
            "why": why,
        }
        common |= {"at": datetime.now(UTC), "expires_at": expires and expires.replace(tzinfo=UTC)}
        if physical == (images is not None):
            end("challenge add", "give either images or --physical with --serial, --custody and --part", code=INVALID)
        if physical:
            own = {"part": part, "proof": "physical", "serial": serial, "custody": custody}
            made = [_valid("challenge add", ChallengePartV1, {**common, **own})]
        else:
            digital = {**common, "proof": "digital"}
            assert images is not None
            made = _digital(settings, images, view or ["v1"], part, digital)
        client = settings.client()
        reach(client)
        publish(client, *made)
    for one in made:
        typer.echo(f"{one.station}: {one.proof} {one.kind} part {one.part} is registered")


def retire(station: Station, part: Annotated[str, typer.Option(help="Its name.")], who: Who, why: Why) -> None:
    """Stop using a challenge part. A physical master is still kept out of production."""
    with clear_end("challenge retire"):
        client, known = _known()
        found = known.parts.get((station, part))
        if found is None or found.retired:
            end("challenge retire", f"no part {part!r} is registered at {station!r}: see `verdictline challenge list`")
            return
        publish(client, found.model_copy(update={"retired": True, "who": who, "why": why, "at": datetime.now(UTC)}))
    typer.echo(f"{station}: {found.proof} part {part} is retired")


def schedule(
    station: Station,
    product: Product,
    who: Who,
    why: Why,
    physical: Physical = False,
    every_parts: Annotated[int | None, typer.Option(min=1, help="A set after so many production parts.")] = None,
    shift: Annotated[list[str] | None, typer.Option(help="HH:MM local time at which a shift begins.")] = None,
    zone: Annotated[str, typer.Option(help="Time zone of the shifts, IANA name.")] = "UTC",
    changeover: Annotated[bool, typer.Option("--changeover", help="A set when the product changes.")] = False,
    model_set: Annotated[bool, typer.Option("--model-set", help="A set when the models change.")] = False,
    within_s: Annotated[float, typer.Option(min=1, help="A set that is not answered by then is missed.")] = 600,
    limit_size: Annotated[list[float] | None, typer.Option(help="Painted defects once a shift: sizes in pixels.")] = None,
    limit_contrast: Annotated[float | None, typer.Option(help="Of painted defects; negative is darker.")] = None,
    limit_repeats: Annotated[int, typer.Option(help="Painted defects of each size.")] = 12,
    limit_defect: Annotated[str, typer.Option(help="scratch or spot.")] = "scratch",
    limit_reference: Annotated[float | None, typer.Option(help="The limit in pixels that the station must keep.")] = None,
) -> None:
    """Say when a station must prove itself; replaces what was said before for this kind of proof."""
    data = {
        "station": station,
        "product": product,
        "proof": "physical" if physical else "digital",
        "every_parts": every_parts,
        "shifts": tuple(shift or ()),
        "zone": zone,
        "after_changeover": changeover,
        "after_model_set": model_set,
        "within_s": within_s,
        "limit_sizes_px": tuple(limit_size or ()),
        "limit_contrast": limit_contrast,
        "limit_repeats": limit_repeats,
        "limit_defect": limit_defect,
        "limit_reference_px": limit_reference,
        "who": who,
        "why": why,
        "at": datetime.now(UTC),
    }
    with clear_end("challenge schedule"):
        made = _valid("challenge schedule", ChallengeScheduleV1, data)
        try:
            zone_of(zone)
        except Unprocessable as error:
            end("challenge schedule", error.detail, code=INVALID)
        client, known = _known()
        publish(client, made)
        _, trouble = usable(_in_use(known, station), product, made.proof, made.at)
    typer.echo(f"{station}: {made.proof} proof of {product} is scheduled")
    if trouble:
        typer.echo(f"verdictline challenge schedule: NOT PROVEN until there are parts: {trouble}", err=True)


def run(
    station: Station,
    product: Product,
    who: Who,
    why: Why,
    physical: Physical = False,
    part: Annotated[list[str] | None, typer.Option(help="Only these parts; all usable ones without.")] = None,
    limit: Annotated[bool, typer.Option("--limit", help="Painted defects of the schedule's sizes: the detection limit.")] = False,
    within_s: Annotated[float, typer.Option(min=1, help="A set that is not answered by then is missed.")] = 600,
) -> None:
    """Ask for a set now: images are handed in or painted by the station's gateway, masters are to be put on the line."""
    with clear_end("challenge run"):
        client, known = _known()
        now, proof = datetime.now(UTC), "physical" if physical else "digital"
        if limit:
            names, trouble = _painted(known, station, product)
        else:
            names, trouble = usable(_in_use(known, station), product, "physical" if physical else "digital", now)
        if strangers := sorted(set(part or ()) - set(names)):
            trouble = f"{', '.join(strangers)}: not registered for this proof, retired or expired"
        if trouble:
            end("challenge run", trouble)
        times = {"due_at": now, "answer_by": now + timedelta(seconds=within_s)}
        trigger = "limit" if limit else "manual"
        data = {"station": station, "product": product, "proof": proof, "trigger": trigger, "parts": part or names, **times}
        set_id = f"manual/{trigger if limit else proof}/{round(now.timestamp() * 1000)}"
        publish(client, _valid("challenge run", ChallengeDueV1, {**data, "set": set_id, "who": who, "why": why}))
    typer.echo(f"{station}: set {set_id} with {len(part or names)} parts is due; answers count for {within_s:g} s")


def _known() -> tuple[dict[str, Any], Challenges]:
    client = Settings().client()
    reach(client)
    return client, read_challenges(client)


def _in_use(known: Challenges, station: str) -> list[ChallengePartV1]:
    return [part for (where, _), part in known.parts.items() if where == station and not part.retired]


def _painted(known: Challenges, station: str, product: str) -> tuple[tuple[str, ...], str]:
    """(names of the parts of a limit set, why there are none)."""
    found = known.schedules.get((station, product, "digital"))
    if found is None or not found.limit_sizes_px:
        return (), f"no sizes are scheduled for {product} at {station}: see `verdictline challenge schedule --limit-size`"
    return graded_parts(found.limit_sizes_px, found.limit_repeats), ""


def _digital(
    settings: Settings, path: Path, views: Sequence[str], name: str | None, data: dict[str, Any]
) -> list[ChallengePartV1]:
    """One part for every len(views) files; their images are checked as the gateway does and copied to the image store."""
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_EXTENSIONS)
    if not files or len(files) % len(views):
        end("challenge add", f"{path}: {len(files)} images do not make parts of {len(views)} views", code=INVALID)
    if name is not None and len(files) > len(views):
        end("challenge add", f"{path} holds several parts: they are named by their files, without --part", code=INVALID)
    store, made = FileImages(settings.images), []
    for first in range(0, len(files), len(views)):
        chosen = dict(zip(views, files[first : first + len(views)], strict=True))
        images = {view: _kept(store, view, file) for view, file in chosen.items()}
        named = name or "".join(c if c.isalnum() or c in "_-" else "-" for c in files[first].stem.lower())
        made.append(_valid("challenge add", ChallengePartV1, {**data, "part": named, "images": images}))
    return made


def _kept(store: FileImages, view: str, file: Path) -> ImageRef:
    """Raises ValueError with the reason for which the gateway would refuse it."""
    data = file.read_bytes()
    try:
        said = admit(View(view, data, str(file)), Limits())
    except Unprocessable as error:
        raise ValueError(f"{file}: {error}") from error
    uri = store.put(data, hashlib.sha256(data).hexdigest())
    return ImageRef(uri=uri, sha256=said.sha256, bytes=said.bytes, content_type=said.content_type)


def _valid(command: str, kind: type[M], data: dict[str, Any]) -> M:
    try:
        return kind.model_validate({name: value for name, value in data.items() if value is not None})
    except ValidationError as error:
        end(command, fault(error)[1], code=INVALID)
        raise
