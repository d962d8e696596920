"""Where a recorded scenario meets the servers: the served model scores its pictures, Kafka takes its evidence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

from schemas.codec import record_of
from schemas.envelope import Record
from schemas.evidence import AnomalyV1, TickV1
from schemas.ids import evidence_id
from schemas.model_set import ModelV1
from schemas.topics import EVIDENCE
from streams.capture.image import prepare
from streams.evidence.anomaly import raw_score
from streams.evidence.image_stats import RgbImage
from streams.evidence.tensors import ANOMALY_OUTPUTS, IMAGE, names
from streams.wiring.adapters.kafka import Writer, partitions
from streams.wiring.adapters.triton import TritonClient
from streams.workbench.scenarios.pool import Eye

_DEADLINE_S = 30.0
_AHEAD_S = 0.005
_TICK_S = 1.0


class ServedModel:
    """`with ServedModel(triton, model) as served: record(…, served.eye("face"))`: the version that the model set names."""

    def __init__(self, triton: str, model: ModelV1) -> None:
        self._address, self._model = triton, model
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Self:
        self._client = self._loop.run_until_complete(self._open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    def eye(self, view: str) -> Eye:
        looks = self._model.image.get(view)
        recipe = partial(prepare, recipe=self._model.preparation)
        return Eye(view=view, prepare=recipe, score=self.score, thumbnail=None if looks is None else looks.thumbnail)

    def score(self, pixels: RgbImage) -> float:
        """Raises Unavailable, Unprocessable."""
        ref = self._model.ref
        question = self._client.infer(ref.name, ref.version, {IMAGE.name: pixels[None]}, names(ANOMALY_OUTPUTS), _DEADLINE_S)
        return raw_score(self._loop.run_until_complete(question).outputs)

    async def _open(self) -> TritonClient:
        return TritonClient(self._address)  # belongs to the running loop


def feed(client: Mapping[str, Any], evidence: Iterable[AnomalyV1], rate_per_s: float) -> int:
    """Write it to evidence.v1 as fast as that, with a tick a second in every partition, as triage gives; how many there were.

    All acknowledged when it returns. Raises KafkaUnreachable, KafkaRefused.
    """
    writer, begin, ticked, count = Writer(client), time.monotonic(), 0.0, 0
    for count, message in enumerate(evidence, 1):
        wait_s = begin + count / rate_per_s - time.monotonic()
        if wait_s > _AHEAD_S:
            time.sleep(wait_s)
        if time.monotonic() > ticked + _TICK_S:
            tick(client, writer)
            ticked = time.monotonic()
        writer.send(evidence_record(message))
    tick(client, writer)
    writer.flush()
    return count


def evidence_record(message: AnomalyV1) -> Record:
    """As the anomaly processor writes it."""
    identity = evidence_id(message.inspection, "anomaly", view=message.view, model_set=message.model_set)
    return record_of(message, id=identity, station=message.station, subject=message.inspection)


def tick(client: Mapping[str, Any], writer: Writer) -> None:
    """Time goes on in every partition."""
    one = record_of(TickV1(owner="scenario"), id="tick", station="-", subject="tick")
    for n in range(partitions(client, [EVIDENCE])[EVIDENCE]):
        writer.send(Record(topic=EVIDENCE, key=None, value=one.value, headers=one.headers, partition=n))
