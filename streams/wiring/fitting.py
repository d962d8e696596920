"""From a data set to models that are served: fit, write new versions, load them, compare served with offline scores.

Gives the model-set message and a starting policy; publishing them is somebody else's step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas.common import ModelRef
from schemas.ids import Station
from schemas.model_set import ModelSetV1, ModelV1, PreparationV1
from schemas.policy import PolicyV1
from streams.capture.image import recipe_digest
from streams.evidence.tensors import model_name
from streams.fates import Unavailable, Unprocessable
from streams.training.dataset import Dataset
from streams.training.fit import Limits, fit_product
from streams.training.fitted import Fitted, FittedModel
from streams.training.policy import starting_policy
from streams.training.stages import ParityError
from streams.training.trunk import Trunk, load_trunk
from streams.wiring.adapters.model_store import ModelStore, StoredModel
from streams.wiring.adapters.triton import ModelRefused, TritonClient, ask

_DEADLINE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """parity: model name -> largest difference of a served from an offline score; empty where no Triton was asked."""

    model_set: ModelSetV1
    policy: PolicyV1
    notes: tuple[str, ...]
    timings_s: Mapping[str, float]
    metrics: Mapping[str, Mapping[str, float]]
    parity: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """profile: how the versions are executed (cpu-fp32, ...); tolerance and calibration belong to it."""

    station: Station | None = None
    seed: int = 0
    recipe: PreparationV1 = field(default_factory=PreparationV1)
    limits: Limits = field(default_factory=Limits)
    profile: str = "cpu-fp32"
    threads: int = 2


def fit_to_store(
    dataset: Dataset,
    product: str,
    store: ModelStore,
    *,
    triton: str | None = None,
    options: FitOptions | None = None,
    trunk: Trunk | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> FitReport:
    """triton: address of the server on this store; None: written only, it finds them when it starts.

    Raises DataError, StoreError, OSError (no space), Unavailable (Triton), ModelRefused or ParityError: then every version
    that this call wrote is gone again.
    """
    options = options or FitOptions()
    if triton is not None and not ask(triton, TritonClient.live):
        raise Unavailable(f"Triton at {triton} does not answer: is it running, and is VERDICTLINE_TRITON its gRPC address?")
    since = time.monotonic()
    trunk = trunk or load_trunk(threads=options.threads)
    built_s = round(time.monotonic() - since, 2)
    tell(f"fitting {product} on {len(dataset.items)} images")
    fitted = fit_product(
        dataset,
        product,
        trunk,
        seed=options.seed,
        recipe=options.recipe,
        limits=options.limits,
        clock=time.monotonic,
    )
    since = time.monotonic()
    written: list[StoredModel] = []
    try:
        for model in fitted.models:
            written.append(_write(store, fitted, model, options))
        parity = {} if triton is None else served_parity(triton, store, written)
    except BaseException:
        take_back(store, written, triton)
        raise
    timings = {"build trunk": built_s, **fitted.timings_s, "store and serve": round(time.monotonic() - since, 2)}
    return FitReport(
        model_set=_model_set(fitted, written, options),
        policy=starting_policy(fitted, options.station),
        notes=fitted.notes,
        timings_s=timings,
        metrics={model.stage: dict(model.metrics) for model in fitted.models},
        parity=parity,
    )


def served_parity(triton: str, store: ModelStore, models: Sequence[StoredModel]) -> dict[str, float]:
    """Load the versions and ask for the stored inputs. Raises ParityError beyond the card's tolerance."""

    async def check(client: TritonClient) -> dict[str, float]:
        return {f"{model.name}/{model.version}": await _difference(client, store, model) for model in models}

    return ask(triton, check)


async def _difference(client: TritonClient, store: ModelStore, model: StoredModel) -> float:
    await client.load(model.name)
    card, probes = store.card(model.name, model.version), store.probes(model.name, model.version)
    worst = 0.0
    for one, expected in zip(probes["inputs"], probes["expected"], strict=True):
        try:
            answer = await client.infer(model.name, model.version, {card["input"]: one[None]}, [card["judged_by"]], _DEADLINE_S)
        except Unprocessable as error:
            raise ModelRefused(f"{model.name}/{model.version}: {error.detail}") from error
        worst = max(worst, float(np.abs(answer.outputs[card["judged_by"]][0] - expected).max()))
    if not worst <= card["tolerance"]:
        raise ParityError(
            f"{model.name}/{model.version}: served and offline {card['judged_by']} differ by {worst:.3g}, "
            f"the card allows {card['tolerance']:g}: refused"
        )
    return worst


def _write(store: ModelStore, fitted: Fitted, model: FittedModel, options: FitOptions) -> StoredModel:
    probes = {"inputs": model.probes.images, "expected": model.probes.expected}
    taught = None if model.taught is None else model.taught.arrays()
    name = model_name(fitted.product, model.stage)
    return store.write(name, model.kind, model.onnx, _card(fitted, model, options), probes, taught)


def _card(fitted: Fitted, model: FittedModel, options: FitOptions) -> dict[str, Any]:
    return {
        "product": fitted.product,
        "stage": model.stage,
        "kind": model.kind,
        "profile": options.profile,
        "input": model.input,
        "judged_by": model.probes.output,
        "tolerance": model.tolerance,
        "classes": list(model.classes),
        "ok_parts": model.ok_parts,
        "cut": model.cut,
        "calibration": {view: list(scores) for view, scores in model.calibration.items()},
        "metrics": dict(model.metrics),
        "data": fitted.data,
        "images": dict(fitted.images),
        "trunk_id": fitted.trunk_id,
        "preparation": fitted.preparation.model_dump(mode="json"),
        "preparation_digest": recipe_digest(fitted.preparation),
        "seed": options.seed,
        "notes": list(fitted.notes),
    }


def _model_set(fitted: Fitted, written: Sequence[StoredModel], options: FitOptions) -> ModelSetV1:
    models = tuple(_message(fitted, model, stored, options) for model, stored in zip(fitted.models, written, strict=True))
    return ModelSetV1(product=fitted.product, station=options.station, models=models, data=fitted.data)


def _message(fitted: Fitted, model: FittedModel, stored: StoredModel, options: FitOptions) -> ModelV1:
    return ModelV1(
        stage=model.stage,
        ref=ModelRef(name=stored.name, version=stored.version, digest=stored.digest, profile=options.profile),
        input=model.input,
        classes=model.classes,
        ok_parts=model.ok_parts,
        trunk_id=fitted.trunk_id,
        preparation=fitted.preparation,
        calibration=dict(model.calibration),
        image=dict(model.image),
        tolerance=model.tolerance,
        cut=model.cut,
    )


def take_back(store: ModelStore, written: Sequence[StoredModel], triton: str | None) -> None:
    """Refused versions leave the store: a server that starts would stumble over them."""
    for model in written:
        store.retire(model.name, model.version)
    if triton is None:
        return

    async def forget(client: TritonClient) -> None:
        for model in written:
            await (client.load(model.name) if store.versions(model.name) else client.unload(model.name))

    try:
        ask(triton, forget)
    except (Unavailable, ModelRefused):
        return  # the server is away: it finds the store as it was
