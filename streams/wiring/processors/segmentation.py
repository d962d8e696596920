"""segmentation: triage's requests in, instances with their sizes out. No rules here: policy judges the sizes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from schemas.codec import Reader
from schemas.envelope import ContractError, Received, Record, to_millis
from schemas.model_set import ModelV1
from schemas.segment_request import SegmentRequestV1
from schemas.topics import SEGMENT_REQUEST
from streams.capture.image import decode_rgb
from streams.evidence.geometry import Labels, Pixels, Window, cut_window, windows
from streams.evidence.observation import Seen
from streams.evidence.segmentation import labels_of, segmentation
from streams.evidence.tensors import IMAGE, SEGMENT_OUTPUTS
from streams.fates import Unprocessable
from streams.settings import Settings
from streams.wiring.adapters.images import Images
from streams.wiring.engines.dead import Dead
from streams.wiring.processors.inference import (
    Inference,
    StageFlow,
    expired,
    images_of,
    off_loop_if_large,
    registry_of,
    stage_flow,
)

_AT_ONCE = 4  # windows of one request asked for together: one long part must not fill the queue of the others
_READER = Reader(SegmentRequestV1)


class Segmentation:
    """One record of segment-request.v1 to its evidence. now_ms: the broker's time."""

    def __init__(self, inference: Inference, images: Images, now_ms: Callable[[], float]) -> None:
        self._inference, self._images, self._now_ms = inference, images, now_ms

    def accept(self, received: Received) -> bool:
        return _READER.wants(received)

    async def handle(self, received: Received) -> list[Record]:
        begin = time.perf_counter()
        request = request_in(received)
        model = await self._inference.model(request)
        if model is None or model.cut is None:
            raise Unprocessable("no_model", f"{request.product}: the stamped model set has no segmentation model with a cut")
        if late := expired(to_millis(request.due), self._now_ms()):
            return [self._inference.failed(request, "expired", late)]
        pixels = await off_loop_if_large(await self._images.read(request.image), decode_rgb, model.preparation)
        parts = windows(request.region, pixels.shape[1], pixels.shape[0])
        maps = await self._labels(pixels, parts, model, model.cut)
        seen = Seen(part=request, image=request.image, model=model.ref, latency_ms=1000 * (time.perf_counter() - begin))
        return [self._inference.evidence(segmentation(request, parts, maps, model.classes, seen))]

    async def _labels(self, pixels: Pixels, parts: list[Window], model: ModelV1, cut: float) -> list[Labels]:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(window: Window) -> Labels:
            async with slots:
                image = cut_window(pixels, window, model.preparation.size_px)
                answer = await self._inference.ask(model.ref, {IMAGE.name: image[None]}, SEGMENT_OUTPUTS)
            return labels_of(answer, model.classes, window, cut)

        return await asyncio.gather(*map(one, parts))

    def on_dead(self, received: Received, dead: Dead) -> list[Record]:
        try:
            request = request_in(received)
        except ContractError:
            return self._inference.on_dead(received, dead, None)
        return self._inference.on_dead(received, dead, request)


def request_in(received: Received) -> SegmentRequestV1:
    """Raises ContractError."""
    found = _READER.read(received)
    if found is None or not isinstance(found[1], SegmentRequestV1):
        raise ContractError("unknown_type", str(received.header("ce_type")))
    return found[1]


def build(settings: Settings, slot: int) -> StageFlow:
    """The processor, not yet running. Raises ValueError where Kafka or Triton is not named."""
    registry, images = registry_of(settings), images_of(settings)
    inference = Inference("segmentation", "image", settings, registry)
    stage = Segmentation(inference, images, lambda: flow.broker_now())
    flow = stage_flow(
        inference,
        settings,
        slot,
        group="segmentation",
        topics=[SEGMENT_REQUEST],
        stage=stage,
        closing=[registry.close, images.close],
    )
    return flow
