"""classification: embeddings in (or images, where a model wants them), class probabilities out. No rules here.

Images are read in a group of its own, and only from the moment that a model set in force needs it: each image read costs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from schemas.capture import EMBEDDING_TYPE, IMAGE_TYPE, TICKET_TYPE, Context, context_of, embedded_image
from schemas.common import ImageRef
from schemas.envelope import Received, Record, envelope_of
from schemas.model_set import ModelV1
from schemas.topics import CAPTURE, EMBEDDING
from streams.capture.image import prepare
from streams.evidence.classification import classification, embedding_of, same_trunk
from streams.evidence.observation import Seen
from streams.evidence.tensors import EMBEDDING as EMBEDDING_TENSOR
from streams.evidence.tensors import IMAGE, PROBABILITIES, Array
from streams.settings import Settings
from streams.wiring.adapters.images import Images
from streams.wiring.adapters.registry import Registry
from streams.wiring.engines.dead import Dead
from streams.wiring.processors.failures import context_in
from streams.wiring.processors.inference import (
    Inference,
    StageFlow,
    expired,
    images_of,
    off_loop_if_large,
    registry_of,
    stage_flow,
)

IMAGE_GROUP = "classification-image"
_LOOK_S = 2.0


class _Classifier:
    """What both inputs share. now_ms: the broker's time."""

    types: tuple[str, ...]

    def __init__(self, inference: Inference, now_ms: Callable[[], float]) -> None:
        self._inference, self._now_ms = inference, now_ms

    def accept(self, received: Received) -> bool:
        return received.header("ce_type") in self.types and self._inference.may_need(received.header("ce_modelset"))

    def on_dead(self, received: Received, dead: Dead) -> list[Record]:
        return self._inference.on_dead(received, dead, context_in(received))

    def _late(self, received: Received, context: Context) -> list[Record]:
        late = expired(received.timestamp_ms + context.decide_within_s * 1000, self._now_ms())
        return [self._inference.failed(context, "expired", late)] if late else []

    async def _ask(
        self, model: ModelV1, context: Context, image: ImageRef, inputs: dict[str, Array], begin: float
    ) -> list[Record]:
        answer = await self._inference.ask(model.ref, inputs, (PROBABILITIES,))
        seen = Seen(part=context, image=image, model=model.ref, latency_ms=1000 * (time.perf_counter() - begin))
        return [self._inference.evidence(classification(answer, model.classes, seen))]


class OfEmbeddings(_Classifier):
    """One record of embedding.v1 to its evidence."""

    types = (EMBEDDING_TYPE,)

    async def handle(self, received: Received) -> list[Record]:
        begin = time.perf_counter()
        envelope = envelope_of(received.headers)
        context = context_of(envelope)
        model = await self._inference.model(context)
        if model is None:
            return []
        if late := self._late(received, context):
            return late
        same_trunk(envelope.extensions.get("trunkid"), model.trunk_id)
        inputs = {EMBEDDING_TENSOR.name: embedding_of(received.value or b"")}
        return await self._ask(model, context, embedded_image(envelope), inputs, begin)


class OfImages(_Classifier):
    """One record of capture.v1 to its evidence. A record whose stamp tells nothing is answered by the anomaly processor."""

    types = (IMAGE_TYPE, TICKET_TYPE)

    def __init__(self, inference: Inference, images: Images, now_ms: Callable[[], float]) -> None:
        super().__init__(inference, now_ms)
        self._images = images

    async def handle(self, received: Received) -> list[Record]:
        begin = time.perf_counter()
        stamp = received.header("ce_modelset")
        if await self._inference.look_up(stamp) is None or not self._inference.may_need(stamp):
            return []
        context, image, data = await self._images.resolve(received)
        model = await self._inference.model(context)
        if model is None:
            return []
        if late := self._late(received, context):
            return late
        pixels = await off_loop_if_large(data, prepare, model.preparation)
        return await self._ask(model, context, image, {IMAGE.name: pixels[None]}, begin)


class Classification:
    """Both inputs as one processor, with the engine's face. wanted: whether a model set in force classifies images."""

    def __init__(self, embeddings: StageFlow, images: StageFlow, wanted: Callable[[], bool], close: Callable[[], None]) -> None:
        self._embeddings, self._images, self._wanted, self._close = embeddings, images, wanted, close
        self._running = [embeddings]
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop()`; raise what made one of them fail."""
        tasks = {asyncio.create_task(self._embeddings.run()), asyncio.create_task(self._run_images())}
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        if others:
            self.stop()
            await asyncio.wait(others)
        await asyncio.to_thread(self._close)
        for task in done | others:
            task.result()

    async def _run_images(self) -> None:
        while not self._stopping.is_set():
            if await asyncio.to_thread(self._wanted):
                self._running.append(self._images)
                return await self._images.run()
            try:
                await asyncio.wait_for(self._stopping.wait(), _LOOK_S)
            except TimeoutError:
                continue

    def stop(self) -> None:
        self._stopping.set()
        for flow in self._running:
            flow.stop()

    def ready(self) -> bool:
        return all(flow.ready() for flow in self._running)

    def positions(self) -> dict[tuple[str, int], int | None]:
        return {key: offset for flow in self._running for key, offset in flow.positions().items()}

    @property
    def turned(self) -> float:
        return min(flow.turned for flow in self._running)


def wants_images(registry: Registry) -> bool:
    """Whether a model set in force classifies images."""
    sets = [registry.model_set(digest) for digest in set(registry.model_sets_in_force().values())]
    found = [models.model("classification") for models in sets if models is not None]
    return any(model is not None and model.input == "image" for model in found)


def build(settings: Settings, slot: int) -> Classification:
    """The processor, not yet running. Raises ValueError where Kafka or Triton is not named."""
    registry = registry_of(settings)
    embeddings = _embeddings(settings, slot, registry)
    return Classification(embeddings, _images(settings, slot, registry), lambda: wants_images(registry), registry.close)


def _embeddings(settings: Settings, slot: int, registry: Registry) -> StageFlow:
    inference = Inference("classification", "embedding", settings, registry)
    stage = OfEmbeddings(inference, lambda: flow.broker_now())
    flow = stage_flow(
        inference,
        settings,
        slot,
        group="classification",
        topics=[EMBEDDING],
        stage=stage,
        closing=[],
    )
    return flow


def _images(settings: Settings, slot: int, registry: Registry) -> StageFlow:
    inference, images = Inference("classification", "image", settings, registry), images_of(settings)
    stage = OfImages(inference, images, lambda: flow.broker_now())
    flow = stage_flow(
        inference,
        settings,
        slot,
        group=IMAGE_GROUP,
        topics=[CAPTURE],
        stage=stage,
        closing=[images.close],
    )
    return flow
