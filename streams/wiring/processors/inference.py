"""What the processors that ask models share: the model that the stamp names, the call, its time and version, failures.

Knows Triton and the engine; the three stages know what their answers mean.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

from schemas.codec import record_of
from schemas.common import ModelRef, Stage
from schemas.envelope import Received, Record
from schemas.evidence import Observation
from schemas.ids import evidence_id
from schemas.model_set import ModelSetV1, ModelV1
from schemas.topics import DEAD_LETTER
from streams.capture.image import use_one_thread
from streams.evidence.tensors import Array, Tensor, names
from streams.fates import Unprocessable
from streams.metrics import MODEL_SECONDS
from streams.settings import Settings
from streams.wiring.adapters.images import Images
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.triton import TritonClient
from streams.wiring.engines.dead import Dead
from streams.wiring.engines.flow import Flow, Limits, full_jitter
from streams.wiring.processors.failures import Part, doomed, failed, failed_unread

T = TypeVar("T")
_LARGE_BYTES = 512 << 10  # decoding takes longer than a turn of the loop may last; below it a thread costs more than it gives
_PROBE_S, _PROBE_AGAIN_S = 3.0, 0.5
_BACKOFF_S = 1.0  # Triton restarts in two seconds, and a part is judged in a few: a longer wait would miss its deadline


class ModelSets(Protocol):
    """Where versions are looked up by digest. May read Kafka: called on a thread."""

    def model_set(self, digest: str) -> ModelSetV1 | None: ...


class Handling(Protocol):
    """What the engine asks of a stage."""

    def accept(self, received: Received) -> bool: ...

    async def handle(self, received: Received) -> list[Record]: ...

    def on_dead(self, received: Received, dead: Dead) -> list[Record]: ...


class Inference:
    """One stage's use of Triton, for models that take this input. Versions looked up are kept: as many as fits were made."""

    def __init__(self, stage: Stage, takes: Literal["image", "embedding"], settings: Settings, sets: ModelSets) -> None:
        if settings.triton is None:
            raise ValueError("VERDICTLINE_TRITON is not set: name a Triton (host:port), or use `verdictline demo` or `up`")
        self.stage, self._input = stage, takes
        self._address, self._deadline_s, self._profile = settings.triton, settings.triton_deadline_s, settings.profile
        self._sets = sets
        self._known: dict[str, ModelSetV1] = {}
        self._asked: set[tuple[str, int]] = set()
        self._client: TritonClient | None = None
        self._seconds = MODEL_SECONDS.labels(stage)

    # ---------------------------------------------------------------- models
    def known(self, digest: str | None) -> ModelSetV1 | None:
        """Without looking it up."""
        return self._known.get(digest or "")

    async def look_up(self, digest: str | None) -> ModelSetV1 | None:
        """The model set that a stamp names; None: there is none. Raises Unavailable."""
        models = self.known(digest)
        if models is None and digest:
            models = await asyncio.to_thread(self._sets.model_set, digest)
            if models is not None:
                self._known[digest] = models
        return models

    def may_need(self, digest: str | None) -> bool:
        """False where the stamp names a set that is known to have nothing for this input of this stage."""
        models = self.known(digest)
        return models is None or self._chosen(models) is not None

    async def model(self, part: Part) -> ModelV1 | None:
        """The stamped model, None where the set has none for this input.

        Raises Unprocessable `unknown_model_set`, or `wrong_profile` where its calibration was not made for this machine.
        """
        models = await self.look_up(part.model_set)
        if models is None:
            raise Unprocessable("unknown_model_set", part.model_set)
        model = self._chosen(models)
        if model is not None and model.ref.profile != self._profile:
            raise Unprocessable("wrong_profile", f"{model.ref.name} is calibrated for {model.ref.profile}, not {self._profile}")
        return model

    def _chosen(self, models: ModelSetV1) -> ModelV1 | None:
        model = models.model(self.stage)
        return model if model is not None and model.input == self._input else None

    # ---------------------------------------------------------------- Triton
    async def ask(self, model: ModelRef, inputs: Mapping[str, Array], outputs: Sequence[Tensor]) -> Mapping[str, Array]:
        """Raises Unavailable, Unprocessable `bad_tensor`, and `wrong_model_version` where another version answered."""
        begin = time.perf_counter()
        answer = await self._triton().infer(model.name, model.version, inputs, names(outputs), self._deadline_s)
        self._seconds.observe(time.perf_counter() - begin)
        if answer.model_version != model.version:
            raise Unprocessable("wrong_model_version", f"{model.name}: asked {model.version}, answered {answer.model_version}")
        self._asked.add((model.name, model.version))
        return answer.outputs

    async def ready(self) -> bool:
        """Triton is alive, and serves what this process has asked it for."""
        triton = self._triton()
        return await triton.live() and all([await triton.ready(name, version) for name, version in self._asked])

    def _triton(self) -> TritonClient:
        if self._client is None:  # belongs to the running loop
            self._client = TritonClient(self._address)
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    # ---------------------------------------------------------------- results
    def evidence(self, message: Observation) -> Record:
        """The record of what was observed."""
        identity = evidence_id(message.inspection, self.stage, view=message.view, model_set=message.model_set)
        return record_of(message, id=identity, station=message.station, subject=message.inspection)

    def failed(self, part: Part, reason: str, detail: str) -> Record:
        return failed(part, self.stage, doomed(self.stage, self.known(part.model_set)), reason, detail)

    def on_dead(self, received: Received, dead: Dead, part: Part | None) -> list[Record]:
        """What goes out beside a dead letter."""
        if part is None:
            return failed_unread(received, self.stage, dead.reason, dead.detail)
        return [self.failed(part, dead.reason, dead.detail)]


class StageFlow(Flow):
    """The engine with a stage in it: ready only while Triton is. closing: what else is to be closed at the end."""

    def __init__(self, inference: Inference, *, closing: Sequence[Callable[[], None]], **engine: Any) -> None:
        super().__init__(**engine)
        self._inference, self._closing, self._serves = inference, closing, False

    async def run(self) -> None:
        probing = asyncio.create_task(self._probe())
        try:
            await super().run()
        finally:
            probing.cancel()
            await self._inference.close()
            for close in self._closing:
                await asyncio.to_thread(close)

    def ready(self) -> bool:
        return self._serves and super().ready()

    async def _probe(self) -> None:
        while True:
            self._serves = await self._inference.ready()
            await asyncio.sleep(_PROBE_S if self._serves else _PROBE_AGAIN_S)


def images_of(settings: Settings) -> Images:
    """Images by reference: from Kafka, and from the folder that the gateway puts large ones in."""
    return Images(settings.client(), roots=[settings.images])


def registry_of(settings: Settings) -> Registry:
    """Follows the model sets from now on."""
    return Registry(settings.client()).start()


def stage_flow(inference: Inference, settings: Settings, slot: int, *, group: str, stage: Handling, **more: Any) -> StageFlow:
    """The engine as every stage uses it. more: topics, closing."""
    use_one_thread()
    return StageFlow(
        inference,
        group=group,
        instance=f"{group}-{slot}",
        dead_letter_topic=DEAD_LETTER,
        client=settings.client(),
        concurrency=settings.concurrency,
        handler=stage.handle,
        on_dead=stage.on_dead,
        accept=stage.accept,
        limits=Limits(linger_ms=settings.linger_ms, backoff_s=partial(full_jitter, cap_s=_BACKOFF_S)),
        **more,
    )


async def off_loop_if_large(data: bytes, function: Callable[..., T], *arguments: Any) -> T:
    """function(data, *arguments): beside the loop where the image is large (OpenCV lets go of the lock)."""
    if len(data) > _LARGE_BYTES:
        return await asyncio.to_thread(function, data, *arguments)
    return function(data, *arguments)


def expired(due_ms: float, now_ms: float) -> str | None:
    """Why this answer would come too late, None where it would not."""
    return f"due {now_ms - due_ms:.0f} ms ago" if due_ms <= now_ms else None
