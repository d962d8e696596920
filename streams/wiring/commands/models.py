"""`verdictline models list|show`: the model sets in force, as the topic says. Asks neither Triton nor the model store."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from schemas.model_set import ModelSetV1, ModelV1
from streams.settings import Settings
from streams.wiring.adapters.kafka import reach
from streams.wiring.adapters.registry import Registry
from streams.wiring.commands.clear import clear_end, end
from streams.wiring.commands.printing import printer

AsJson = Annotated[bool, typer.Option("--json", help="As one line of JSON.")]
Row = tuple[str, str, str, str, ModelSetV1]  # where, digest, who, why


def list_models(as_json: AsJson = False) -> None:
    """List the model sets in force, a line a model."""
    rows = _in_force("models list", None)
    if as_json:
        typer.echo(json.dumps([_data(row) for row in rows]))
    elif not rows:
        typer.echo("no models are in force: `verdictline fit FOLDER --product P` makes some")
    else:
        table = Table("where", "stage", "model", "profile", "input", "classes", "calibration", box=None, pad_edge=False)
        for where, _, _, _, models in rows:
            for model in models.models:
                table.add_row(where, model.stage, *_cells(model))
        printer().print(table)


def show(
    product: Annotated[str, typer.Argument(help="Product.")],
    as_json: AsJson = False,
) -> None:
    """Everything that is known of a product's model sets in force."""
    rows = _in_force("models show", product)
    if not rows:
        end(
            "models show",
            f"no models are in force for product {product!r}: `verdictline fit FOLDER --product {product}` makes some",
        )
    if as_json:
        typer.echo(json.dumps([_data(row) for row in rows]))
        return
    for where, digest, who, why, models in rows:
        typer.echo(f"{where}: {digest}\n  by {who}: {why}\n  data {models.data}")
        for model in models.models:
            name, profile, takes, classes, scores = _cells(model)
            typer.echo(f"  {model.stage}: {name} ({profile}), reads the {takes}, digest {model.ref.digest}")
            typer.echo(f"    trunk {model.trunk_id}, tolerance {model.tolerance:g}, {model.preparation.size_px} px")
            typer.echo(f"    classes: {classes}; good parts learned: {model.ok_parts}; calibration scores: {scores}")


def _cells(model: ModelV1) -> tuple[str, str, str, str, str]:
    scores = ", ".join(f"{view} {len(found)}" for view, found in model.calibration.items())
    return f"{model.ref.name}:{model.ref.version}", model.ref.profile, model.input, ", ".join(model.classes) or "-", scores or "-"


def _in_force(command: str, product: str | None) -> list[Row]:
    with clear_end(command):
        client = Settings().client()
        reach(client)
        with Registry(client) as registry:
            registry.refresh()
            found = [(where, p, registry.model_set(p.digest)) for where, p in sorted(registry.model_set_pointers().items())]
    return [(w, p.digest, p.who, p.why, models) for w, p, models in found if models and product in (None, models.product)]


def _data(row: Row) -> dict[str, Any]:
    where, digest, who, why, models = row
    data = models.model_dump(mode="json", exclude_none=True)
    return {"where": where, "digest": digest, "who": who, "why": why, "model_set": data}
