"""`verdictline fit DATA --product P`: models from labelled images into the model store, and into force. Knows no algorithm."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from schemas.common import digest
from schemas.ids import NAME_PATTERN, station_path
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from streams.judgement.rules import check
from streams.settings import Settings
from streams.training.dataset import DataError, read_dataset
from streams.training.stages import ParityError
from streams.wiring.adapters.kafka import reach
from streams.wiring.adapters.model_store import ModelStore, StoreError
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.triton import ModelRefused
from streams.wiring.commands.clear import clear_end, end
from streams.wiring.commands.policy_file import dump_policy
from streams.wiring.fitting import FitOptions, FitReport, fit_to_store

_COMMAND = "fit"


class Publisher(Protocol):
    """What a fit needs of the registry."""

    def policy_for(self, product: str, station: str | None = None) -> PolicyV1 | None: ...
    def publish_model_set(self, message: ModelSetV1, *, who: str, why: str) -> object: ...
    def publish_policy(self, message: PolicyV1, *, who: str, why: str) -> object: ...


def fit(
    data: Annotated[Path, typer.Argument(help="Folder with good/, defect/CLASS/, masks/CLASS/STEM.png, groups.csv.")],
    product: Annotated[str, typer.Option(help="Name of the product: a-z, 0-9, '_' and '-'.")],
    station: Annotated[str | None, typer.Option(help="SITE/LINE/STATION: in force at this station only.")] = None,
    seed: Annotated[int, typer.Option(help="The same data and seed give the same models.")] = 0,
    who: Annotated[str, typer.Option(help="Who puts the models in force.")] = "verdictline fit",
    why: Annotated[str, typer.Option(help="Why.")] = "fitted",
    replace_policy: Annotated[
        bool, typer.Option("--replace-policy", help="Put the starting policy in force over another.")
    ] = False,
    state: Annotated[Path | None, typer.Option(help="Folder that keeps the model store.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one line of JSON.")] = False,
) -> None:
    """Fit what the data allow, serve it, compare served with offline scores, and put it in force with a starting policy."""
    with clear_end(_COMMAND):
        if not re.fullmatch(NAME_PATTERN, product):
            raise ValueError(f"product {product!r}: write it a-z, 0-9, '_' and '-', at most 63 of them")
        settings = Settings() if state is None else Settings(state=state)
        options = FitOptions(station=None if station is None else station_path(station), seed=seed, profile=settings.profile)
        if settings.kafka is not None:
            reach(settings.client())
        report = _fitted(data, product, settings, options)
        files = _keep(report, settings.state / "fitted")
        published, hint = _publish(report, settings, who, why, replace_policy=replace_policy)
    _tell(_facts(report, files, published, hint), as_json=as_json)


def _fitted(data: Path, product: str, settings: Settings, options: FitOptions) -> FitReport:
    try:
        return fit_to_store(
            read_dataset(data),
            product,
            ModelStore(settings.store),
            triton=settings.triton,
            options=options,
            tell=lambda line: typer.echo(line, err=True),
        )
    except (DataError, StoreError, ModelRefused, ParityError) as error:
        end(_COMMAND, str(error))
        raise


def _keep(report: FitReport, folder: Path) -> dict[str, str]:
    """The starting policy as a file to edit, and the message that names the models."""
    folder.mkdir(parents=True, exist_ok=True)
    product = report.model_set.product
    files = {"policy": folder / f"{product}.policy.yaml", "model_set": folder / f"{product}.model-set.json"}
    files["policy"].write_text(dump_policy(report.policy), encoding="utf-8")
    files["model_set"].write_bytes(report.model_set.json_bytes())
    return {name: str(path) for name, path in files.items()}


def _publish(report: FitReport, settings: Settings, who: str, why: str, *, replace_policy: bool) -> tuple[bool, str]:
    """(whether it is in force now, what to know)."""
    if settings.triton is None:
        return False, "not in force: VERDICTLINE_TRITON names no Triton, so nothing was compared with offline scores"
    if settings.kafka is None:
        return False, "not in force: VERDICTLINE_KAFKA names no Kafka"
    with Registry(settings.client()) as registry:
        registry.wait_ready()
        return True, put_in_force(report, registry, who=who, why=why, replace_policy=replace_policy)


def put_in_force(report: FitReport, registry: Publisher, *, who: str, why: str, replace_policy: bool = False) -> str:
    """Publish the models, and the starting policy where no policy is in force. Says which policy holds.

    Raises ValueError, with nothing published, where the policy in force does not go with the models.
    """
    models = report.model_set
    before = registry.policy_for(models.product, models.station)
    if before is not None and not replace_policy:
        if faults := check(before, models):
            raise ValueError(
                f"the policy in force does not go with the new models: {'; '.join(faults)}; publish another one for them, "
                "or give --replace-policy (the starting policy)"
            )
        registry.publish_model_set(models, who=who, why=why)
        return "the policy that was in force stays"
    registry.publish_model_set(models, who=who, why=why)
    registry.publish_policy(report.policy, who=who, why=why)
    return "the starting policy is in force: edit its file and publish it"


def _facts(report: FitReport, files: Mapping[str, str], published: bool, hint: str) -> dict[str, Any]:
    return {
        "product": report.model_set.product,
        "model_set": digest(report.model_set),
        "policy": digest(report.policy),
        "in_force": published,
        "hint": hint,
        "models": {m.stage: f"{m.ref.name}/{m.ref.version}" for m in report.model_set.models},
        "metrics": {stage: dict(values) for stage, values in report.metrics.items()},
        "calibration": {view: len(s) for m in report.model_set.models for view, s in m.calibration.items()},
        "parity": dict(report.parity),
        "notes": list(report.notes),
        "timings_s": dict(report.timings_s),
        "files": dict(files),
    }


def _tell(facts: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for stage, model in facts["models"].items():
        numbers = ", ".join(f"{name} {value:.3f}" for name, value in facts["metrics"][stage].items())
        typer.echo(f"{stage}: {model}{f' ({numbers}, on groups left out)' if numbers else ''}")
    for note in facts["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(f"policy: {facts['files']['policy']}")
    typer.echo(f"model set {facts['model_set'][:12]}: {facts['hint']}")
