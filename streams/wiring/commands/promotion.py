"""`verdictline models candidates|promote|roll-back`: the recorded acts by which a candidate goes into force, and out again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.common import digest
from schemas.ids import station_path
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from streams.judgement.rules import check, mismatch, unruled
from streams.settings import Settings
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.shelf import where_of
from streams.wiring.adapters.triton import TritonClient, ask
from streams.wiring.commands.clear import INVALID, clear_end, end
from streams.wiring.commands.policy import load, registry_of

Product = Annotated[str, typer.Argument(help="Product.")]
Place = Annotated[str | None, typer.Option(help="SITE/LINE/STATION with a model set of its own.")]
Who = Annotated[str, typer.Option(help="Who decides it.")]
Why = Annotated[str, typer.Option(help="Why.")]


def candidates(
    product: Annotated[str | None, typer.Argument(help="Of this product only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one line of JSON.")] = False,
) -> None:
    """List what was learned and is in force nowhere."""
    with clear_end("models candidates"), registry_of(Settings()) as registry:
        registry.refresh()
        used = set(registry.model_sets_in_force().values())
        rows = [
            (found, one)
            for found, one in registry.model_sets().items()
            if one.learned is not None and found not in used and product in (None, one.product)
        ]
    if as_json:
        typer.echo(json.dumps([_data(found, one) for found, one in rows]))
        return
    for found, one in rows:
        assert one.learned is not None
        new = f", new: {', '.join(one.learned.new_classes)}" if one.learned.new_classes else ""
        typer.echo(f"{found[:12]} {where_of(one.product, one.station)}: {one.learned.labels} labels{new}")
        counts = f"{one.learned.gained} gained, {one.learned.lost} lost (p {one.learned.chance:.2g})"
        typer.echo(f"  of {one.learned.parts} parts {counts}")
    if not rows:
        typer.echo("there are no candidates: `verdictline learn PRODUCT` makes one")


def promote(
    product: Product,
    who: Who,
    why: Why,
    station: Place = None,
    candidate: Annotated[str | None, typer.Option(help="The first digits of its digest; default: the newest.")] = None,
    policy: Annotated[Path | None, typer.Option(help="A policy to put in force with it, for its new classes.")] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also if it was compared with another set.")] = False,
) -> None:
    """Put a candidate in force: the gateways stamp it from the next part on. Recorded with who and why."""
    command = "models promote"
    with clear_end(command):
        settings = Settings()
        rules = None if policy is None else load(command, policy)
        with registry_of(settings) as registry:
            registry.refresh()
            place = None if station is None else station_path(station)
            chosen = _chosen(command, registry, product, place, candidate)
            _insist_on_base(command, registry, chosen, anyway=anyway)
            notes = _fits(command, registry, chosen, rules)
            _insist_on_served(command, settings, chosen)
            done = registry.publish_model_set(chosen, who=who, why=why)
            if rules is not None:
                registry.publish_policy(rules, who=who, why=why)
    typer.echo(f"{done.where}: {done.digest} {'is in force' if done.changed else 'was in force already'}")
    for note in notes:
        typer.echo(f"note: {note}")


def roll_back(product: Product, who: Who, why: Why, station: Place = None) -> None:
    """Put the model set that was in force before this one back in force. Recorded with who and why."""
    command = "models roll-back"
    with clear_end(command):
        settings = Settings()
        with registry_of(settings) as registry:
            registry.refresh()
            where = where_of(product, None if station is None else station_path(station))
            now = registry.model_sets_in_force().get(where)
            before = [act.digest for act in registry.model_set_acts(where) if act.digest != now]
            models = registry.model_set(before[-1]) if before else None
            if models is None:
                end(command, f"{where}: no other model set was in force there before")
                return
            policy = registry.policy_for(product, models.station)
            notes = [] if policy is None else unruled(policy, models)
            _insist_on_served(command, settings, models)
            done = registry.publish_model_set(models, who=who, why=why)
    typer.echo(f"{done.where}: {done.digest} is in force again")
    for note in notes:
        typer.echo(f"note: {note}")


def _chosen(command: str, registry: Registry, product: str, station: str | None, digits: str | None) -> ModelSetV1:
    """Any version of that place by its digits; without any the newest candidate."""
    own = [one for one in registry.model_sets().values() if (one.product, one.station) == (product, station)]
    found = [one for one in own if one.learned is not None] if digits is None else [
        one for one in own if digest(one).startswith(digits)
    ]  # fmt: skip
    where = where_of(product, station)
    if not found:
        end(command, f"{where}: no candidate{f' {digits}' if digits else ''}: `verdictline learn {product}` makes one")
    if digits is not None and len(found) > 1:
        end(command, f"{where}: {digits} is the beginning of {len(found)} digests: give more of it")
    return max(found, key=lambda one: max(model.ref.version for model in one.models if model.stage == "classification"))


def _insist_on_base(command: str, registry: Registry, chosen: ModelSetV1, *, anyway: bool) -> None:
    now = registry.model_sets_in_force().get(where_of(chosen.product, chosen.station))
    if chosen.learned is not None and now not in (chosen.learned.base, digest(chosen)) and not anyway:
        end(
            command,
            f"it was compared with {chosen.learned.base[:12]}, and {now[:12] if now else 'nothing'} is in force: "
            "`verdictline learn` again, or give --anyway",
        )


def _fits(command: str, registry: Registry, chosen: ModelSetV1, rules: PolicyV1 | None) -> list[str]:
    """What is to be known of the policy beside it; ends where that could judge nothing."""
    if rules is not None:
        if faults := check(rules, chosen):
            end(command, *faults, code=INVALID)
        return []
    policy = registry.policy_for(chosen.product, chosen.station)
    if policy is None:
        return ["no policy is in force"]
    if faults := mismatch(policy, chosen):
        end(command, *faults, code=INVALID)
    return [f"{one}: what looks like it goes to review" if "has no rule" in one else one for one in unruled(policy, chosen)]


def _insist_on_served(command: str, settings: Settings, models: ModelSetV1) -> None:
    """Nothing goes into force that Triton does not serve. Without a Triton named, that is the caller's care."""
    if settings.triton is None:
        return

    async def missing(client: TritonClient) -> list[str]:
        refs = [model.ref for model in models.models]
        return [f"{ref.name}/{ref.version}" for ref in refs if not await client.ready(ref.name, ref.version)]

    if absent := ask(settings.triton, missing):
        end(command, f"Triton at {settings.triton} does not serve {', '.join(absent)}")


def _data(found: str, one: ModelSetV1) -> dict[str, Any]:
    assert one.learned is not None
    return {"digest": found, "product": one.product, "station": one.station, **one.learned.model_dump(mode="json")}
