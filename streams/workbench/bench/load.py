"""The two sides of a comparison, each as a process of its own: parts through the gateway, or straight to Triton."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from schemas.model_set import ModelSetV1, ModelV1
from streams.capture.gateway import Capture, View, acquisition_digest
from streams.capture.image import prepare, use_one_thread
from streams.evidence.tensors import ANOMALY_OUTPUTS, IMAGE, PROBABILITIES, Array, names
from streams.evidence.tensors import EMBEDDING as EMBEDDING_TENSOR
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.triton import TritonClient
from streams.wiring.processors.gateway import Gateway

_DEADLINE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """kind `parts`: through the gateway; `flood`: to Triton, prepared beforehand, so many at once; `paced`: to Triton from the
    encoded image, at the rate. rate_per_s 0: as fast as it goes. batch: images in one call of a flood.
    """

    kind: Literal["parts", "flood", "paced"]
    images: str
    product: str
    view: str
    stations: tuple[str, ...]
    seconds: float
    rate_per_s: float = 0.0
    at_once: int = 8
    batch: int = 1

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def read_load(path: Path) -> Load:
    data = json.loads(path.read_text(encoding="utf-8"))
    return Load(**{**data, "stations": tuple(data["stations"])})


def run_load(load: Load, settings: Settings) -> dict[str, Any]:
    """Parts done, seconds they took, and latencies in ms where it was paced."""
    images = [path.read_bytes() for path in sorted(Path(load.images).iterdir())]
    with BaselineRegistry(settings.client()) as registry:
        registry.refresh()
        if load.kind == "parts":
            return _parts(load, images, settings, registry)
        stamp = registry.stamp(load.product, load.stations[0])
        models = None if stamp is None else registry.model_set(stamp.model_set)
    if models is None or settings.triton is None:
        raise ValueError(f"no models in force for {load.product}")
    use_one_thread()
    return asyncio.run(_direct(load, images, models, settings.triton))


# ---------------------------------------------------------------- through the pipeline
def _parts(load: Load, images: list[bytes], settings: Settings, registry: BaselineRegistry) -> dict[str, Any]:
    gateway = Gateway(settings, registry, stations=load.stations)
    try:
        return asyncio.run(_submit(load, images, gateway))
    finally:
        gateway.close()


async def _submit(load: Load, images: list[bytes], gateway: Gateway) -> dict[str, Any]:
    acquisition = acquisition_digest(camera="bench")

    async def one(number: int) -> None:
        view = View(load.view, images[number % len(images)])
        station = load.stations[number % len(load.stations)]
        await gateway.submit(Capture(station=station, product=load.product, views=[view], acquisition=acquisition), wait_s=120)

    done, seconds, _ = await _pace(load, one)
    await gateway.drain(120)
    return {"parts": done, "seconds": seconds}


# ---------------------------------------------------------------- straight to Triton
async def _direct(load: Load, images: list[bytes], models: ModelSetV1, address: str) -> dict[str, Any]:
    anomaly, classify = models.model("anomaly"), models.model("classification")
    assert anomaly is not None
    assert classify is not None
    tensors = [prepare(image, anomaly.preparation) for image in images]
    async with TritonClient(address) as client:

        async def flood(number: int) -> None:
            rows = [tensors[(number * load.batch + k) % len(tensors)] for k in range(load.batch)]
            await _both(client, anomaly, classify, np.stack(rows))

        async def paced(number: int) -> None:
            pixels = prepare(images[number % len(images)], anomaly.preparation)
            await _both(client, anomaly, classify, pixels[None])

        await flood(0)
        calls, seconds, latencies = await _pace(load, flood if load.kind == "flood" else paced)
    return {"parts": calls * (load.batch if load.kind == "flood" else 1), "seconds": seconds, "latencies_ms": latencies}


async def _both(client: TritonClient, anomaly: ModelV1, classify: ModelV1, pixels: Array) -> None:
    """The fewest calls that give both answers: the trunk once, its embedding to the head."""
    answer = await client.infer(anomaly.ref.name, anomaly.ref.version, {IMAGE.name: pixels}, names(ANOMALY_OUTPUTS), _DEADLINE_S)
    embedding = {EMBEDDING_TENSOR.name: answer.outputs[EMBEDDING_TENSOR.name]}
    await client.infer(classify.ref.name, classify.ref.version, embedding, names((PROBABILITIES,)), _DEADLINE_S)


# ---------------------------------------------------------------- pace
async def _pace(load: Load, one: Callable[[int], Awaitable[None]]) -> tuple[int, float, list[float]]:
    """Calls done in time, seconds, latencies in ms. At a rate: each at its moment, however many are under way."""
    begin = time.perf_counter()
    latencies: list[float] = []

    async def timed(number: int, due: float) -> None:
        await one(number)
        latencies.append(1000 * (time.perf_counter() - due))

    if load.rate_per_s <= 0:
        numbers = iter(range(10**9))

        async def worker() -> None:
            while time.perf_counter() - begin < load.seconds:
                await timed(next(numbers), time.perf_counter())

        await asyncio.gather(*(worker() for _ in range(load.at_once)))
        return len(latencies), time.perf_counter() - begin, latencies
    tasks = set()
    for number in range(int(load.rate_per_s * load.seconds)):
        due = begin + number / load.rate_per_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.add(asyncio.create_task(timed(number, due)))
    await asyncio.gather(*tasks)
    return len(latencies), time.perf_counter() - begin, latencies
