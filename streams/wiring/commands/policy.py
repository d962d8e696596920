"""`verdictline policy check|publish|show`: policies from YAML files into force, and what is in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from schemas.policy import PolicyV1
from streams.judgement.rules import check as faults_with
from streams.settings import Settings
from streams.wiring.adapters.kafka import reach
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.shelf import where_of
from streams.wiring.commands.clear import INVALID, clear_end, end
from streams.wiring.commands.policy_file import PolicyFaults, dump_policy, load_policy
from streams.wiring.commands.printing import printer

File = Annotated[Path, typer.Argument(help="A policy as YAML.")]
AsJson = Annotated[bool, typer.Option("--json", help="As one line of JSON.")]


def check(file: File) -> None:
    """Check a policy file; against the models in force too, where VERDICTLINE_KAFKA names a Kafka. Exit code 2 for faults."""
    with clear_end("policy check"):
        policy = load("policy check", file)
        settings = Settings()
        if settings.kafka is None:
            typer.echo(f"{file}: valid; not compared with models, because VERDICTLINE_KAFKA names no Kafka")
            return
        with registry_of(settings) as registry:
            _compare("policy check", file, policy, registry)
    typer.echo(f"{file}: valid")


def publish(
    file: File,
    who: Annotated[str, typer.Option(help="Who puts it in force.")],
    why: Annotated[str, typer.Option(help="Why.")],
    as_json: AsJson = False,
) -> None:
    """Put a policy in force for its product, or for its product at its station. The gateway follows at once."""
    with clear_end("policy publish"):
        policy = load("policy publish", file)
        with registry_of(Settings()) as registry:
            _compare("policy publish", file, policy, registry)
            done = registry.publish_policy(policy, who=who, why=why)
    if as_json:
        typer.echo(json.dumps({"digest": done.digest, "where": done.where, "changed": done.changed}))
    else:
        typer.echo(f"{done.where}: {done.digest} {'is in force' if done.changed else 'was in force already'}")


def show(
    product: Annotated[str | None, typer.Option(help="Its policies in full, as YAML.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the policies in force; one product's in full."""
    with clear_end("policy show"), registry_of(Settings()) as registry:
        rows = _in_force(registry, product)
    if as_json:
        typer.echo(json.dumps(rows))
    elif product is None:
        _table(rows)
    elif not rows:
        end("policy show", f"no policy is in force for product {product!r}: `verdictline policy publish FILE` puts one in force")
    else:
        for row in rows:
            typer.echo(f"# {row['where']}: {row['digest']}\n# by {row['who']}: {row['why']}")
            typer.echo(dump_policy(PolicyV1.model_validate(row["policy"])))


def registry_of(settings: Settings) -> Registry:
    client = settings.client()
    reach(client)
    return Registry(client)


def load(command: str, file: Path) -> PolicyV1:
    try:
        return load_policy(file)
    except PolicyFaults as error:
        end(command, *(f"{file}: {fault}" for fault in error.faults), code=INVALID)
        raise


def _compare(command: str, file: Path, policy: PolicyV1, registry: Registry) -> None:
    """With every model set that this policy would judge."""
    registry.refresh()
    stations = {policy.station}
    if policy.station is None:
        places = set(registry.model_sets_in_force()) - set(registry.policies_in_force())
        start = where_of(policy.product, "")
        stations |= {where.removeprefix(start) for where in places if where.startswith(start)}
    faults, compared = [], False
    for station in sorted(stations, key=str):
        models = registry.model_set_for(policy.product, station)
        compared = compared or models is not None
        where = where_of(policy.product, station)
        faults += [f"{file}: {where}: {fault}" for fault in (faults_with(policy, models) if models else ())]
    if faults:
        end(command, *faults, code=INVALID)
    if not compared:
        typer.echo(f"{file}: no models are in force for product {policy.product!r} yet: not compared with any", err=True)


def _in_force(registry: Registry, product: str | None) -> list[dict[str, Any]]:
    registry.refresh()
    rows = []
    for where, pointer in sorted(registry.policy_pointers().items()):
        policy = registry.policy(pointer.digest)
        if policy is not None and product in (None, policy.product):
            data = policy.model_dump(mode="json", exclude_none=True)
            rows.append({"where": where, "digest": pointer.digest, "who": pointer.who, "why": pointer.why, "policy": data})
    return rows


def _table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        typer.echo("no policy is in force")
        return
    table = Table("where", "version", "title", "decide within", "by", "why", box=None, pad_edge=False)
    for row in rows:
        policy = row["policy"]
        seconds = f"{policy['decide_within_s']:g} s"
        table.add_row(row["where"], row["digest"][:12], policy["title"], seconds, row["who"], row["why"])
    printer().print(table)
