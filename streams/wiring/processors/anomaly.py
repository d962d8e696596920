"""anomaly: images in, a score, a heat map and the trunk's embedding out. No rules here: policy judges the score."""

from __future__ import annotations

import time
from collections.abc import Callable

from schemas.capture import IMAGE_TYPE, TICKET_TYPE, Context, embedding_envelope
from schemas.codec import enveloped
from schemas.envelope import Received, Record
from schemas.model_set import ModelV1
from schemas.topics import CAPTURE
from streams.capture.image import prepare
from streams.evidence.anomaly import anomaly, embedding_bytes, raw_score
from streams.evidence.image_stats import image_stats
from streams.evidence.observation import Seen
from streams.evidence.tensors import ANOMALY_OUTPUTS, IMAGE
from streams.fates import Unprocessable
from streams.judgement.conformal import p_value
from streams.settings import Settings
from streams.wiring.adapters.images import Images
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

_TYPES = (IMAGE_TYPE, TICKET_TYPE)


class Anomaly:
    """One record of capture.v1 to its evidence and its embedding. now_ms: the broker's time."""

    def __init__(self, inference: Inference, images: Images, now_ms: Callable[[], float]) -> None:
        self._inference, self._images, self._now_ms = inference, images, now_ms

    def accept(self, received: Received) -> bool:
        return received.header("ce_type") in _TYPES and self._inference.may_need(received.header("ce_modelset"))

    async def handle(self, received: Received) -> list[Record]:
        begin = time.perf_counter()
        stamp = received.header("ce_modelset")
        if await self._inference.look_up(stamp) and not self._inference.may_need(stamp):
            return []
        context, image, data = await self._images.resolve(received)
        model = await self._inference.model(context)
        if model is None:
            return []
        if late := expired(received.timestamp_ms + context.decide_within_s * 1000, self._now_ms()):
            return [self._inference.failed(context, "expired", late)]
        pixels = await off_loop_if_large(data, prepare, model.preparation)
        stats = image_stats(pixels, thumbnail(model, context))
        answer = await self._inference.ask(model.ref, {IMAGE.name: pixels[None]}, ANOMALY_OUTPUTS)
        score = raw_score(answer)
        known = calibration(model, context)
        seen = Seen(part=context, image=image, model=model.ref, latency_ms=1000 * (time.perf_counter() - begin))
        message = anomaly(
            answer,
            seen,
            p_value=p_value(score, known),
            calibration_n=len(known),
            trunk_id=model.trunk_id,
            image_stats=stats,
        )
        embedding = enveloped(embedding_envelope(context, model.trunk_id, image), embedding_bytes(answer))
        return [self._inference.evidence(message), embedding]

    def on_dead(self, received: Received, dead: Dead) -> list[Record]:
        return self._inference.on_dead(received, dead, context_in(received))


def calibration(model: ModelV1, context: Context) -> tuple[float, ...]:
    """The view's scores of good parts. Raises Unprocessable `no_calibration`: without any, every part would look normal."""
    known = model.calibration.get(context.view, ())
    if not known:
        have = ", ".join(sorted(model.calibration)) or "none"
        raise Unprocessable("no_calibration", f"{model.ref.name} has no calibration scores of view {context.view}; it has {have}")
    return known


def thumbnail(model: ModelV1, context: Context) -> str | None:
    """The view's mean picture of good parts, where it can be registered by one."""
    reference = model.image.get(context.view)
    return None if reference is None else reference.thumbnail


def build(settings: Settings, slot: int) -> StageFlow:
    """The processor, not yet running. Raises ValueError where Kafka or Triton is not named."""
    registry, images = registry_of(settings), images_of(settings)
    inference = Inference("anomaly", "image", settings, registry)
    stage = Anomaly(inference, images, lambda: flow.broker_now())
    flow = stage_flow(
        inference,
        settings,
        slot,
        group="anomaly",
        topics=[CAPTURE],
        stage=stage,
        closing=[registry.close, images.close],
    )
    return flow
