"""A bus and a Triton with hand-written models, the processors on them, and captures to send: for tests of the stages."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from schemas.capture import Context, capture_envelope
from schemas.codec import Reader, enveloped
from schemas.common import ImageRef, Message
from schemas.envelope import Received, Record
from schemas.evidence import AnomalyV1, ClassificationV1, FailedV1, SegmentationV1
from schemas.ids import inspection_id
from schemas.topics import EVIDENCE
from streams.settings import Settings
from streams.wiring.adapters.kafka import Writer, follow
from tests.helpers.wait import wait_until

STATION = "plant/one/cam"
DIGEST = "0" * 64
_READER = Reader(AnomalyV1, ClassificationV1, SegmentationV1, FailedV1)


class Processor(Protocol):
    async def run(self) -> None: ...
    def stop(self) -> None: ...
    def ready(self) -> bool: ...


@contextmanager
def running(*processors: Processor) -> Iterator[None]:
    """Each on a loop of its own in a thread; all ready at the start, stopped in order at the end. What failed is raised."""
    errors: list[BaseException] = []

    def work(processor: Processor, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_until_complete(processor.run())
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    loops = [asyncio.new_event_loop() for _ in processors]
    threads = [threading.Thread(target=work, args=pair) for pair in zip(processors, loops, strict=True)]
    for thread in threads:
        thread.start()
    try:
        for processor in processors:
            wait_until(lambda p=processor: p.ready() or errors, 20, "a processor is ready")  # type: ignore[misc]
        yield
    finally:
        for processor, loop, thread in zip(processors, loops, threads, strict=True):
            if thread.is_alive():
                loop.call_soon_threadsafe(processor.stop)
            thread.join(20)
    if errors:
        raise errors[0]


def picture(brightness: int = 100, bar: int | None = 240) -> npt.NDArray[np.uint8]:
    """512 x 512 grey with a horizontal bar of 160 x 32 px at (176, 240)."""
    pixels = np.full((512, 512), brightness, np.uint8)
    if bar is not None:
        pixels[240:272, 176:336] = bar
    return pixels


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1].tobytes())


class Watch:
    """Reads topics as they grow, from their beginning, in a thread of its own."""

    def __init__(self, settings: Settings, *topics: str) -> None:
        self.records: list[Received] = []
        self._stopping = threading.Event()
        self._follow = follow(settings.client(), topics, start="first", stopped=self._stopping.is_set, idle_s=0.1)
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def of(self, topic: str, prefix: str = "") -> list[Received]:
        """Those about an inspection, or about several that begin alike."""
        return [r for r in list(self.records) if r.topic == topic and (r.header("ce_subject") or "").startswith(prefix)]

    def _read(self) -> None:
        self.records.extend(record for record in self._follow if record is not None)


@dataclass(kw_only=True)
class Bench:
    """One test's own numbers on a shared bus. model_set: the digest that captures are stamped with."""

    settings: Settings
    watch: Watch
    product: str
    model_set: str
    epoch: int
    n: int = -1
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        self.writer = Writer(self.settings.client())

    def context(self, data: bytes, **changes: Any) -> Context:
        self.n += 1
        facts = {
            "inspection": str(inspection_id(STATION, self.epoch, self.n)),
            "station": STATION,
            "view": "v1",
            "views": 1,
            "product": self.product,
            "acquisition": DIGEST,
            "purpose": "production",
            "model_set": self.model_set,
            "policy": DIGEST,
            "decide_within_s": 60.0,
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        return Context.model_validate({**facts, **changes})

    def send(self, *records: Record) -> None:
        for record in records:
            self.writer.send(record)
        self.writer.flush()

    def capture(self, data: bytes, **changes: Any) -> str:
        """Send one image; its inspection."""
        return self.captures(data, 1, **changes)[0]

    def captures(self, data: bytes, count: int, **changes: Any) -> list[str]:
        """Send one image as several parts; their inspections."""
        contexts = [self.context(data, **changes) for _ in range(count)]
        self.send(*(image_record(context, data) for context in contexts))
        return [context.inspection for context in contexts]

    def evidence(self, inspection: str | None = None) -> list[Message]:
        """What stages said of this bench's parts, or of one."""
        records = self.watch.of(EVIDENCE, inspection or f"{STATION}:{self.epoch}-")
        return [pair[1] for pair in map(_READER.read, records) if pair]

    def wait(self, inspection: str, kinds: Sequence[type[Message]], timeout_s: float = 20) -> list[Any]:
        """One message of each kind, in that order."""

        def look() -> list[Message] | None:
            found = self.evidence(inspection)
            chosen = [next((m for m in found if isinstance(m, kind)), None) for kind in kinds]
            return None if None in chosen else [m for m in chosen if m is not None]

        return wait_until(look, timeout_s, f"{[kind.__name__ for kind in kinds]} of {inspection}") or []


def image_record(context: Context, data: bytes, content_type: str = "image/png") -> Record:
    return enveloped(capture_envelope(context, ticket=False, content_type=content_type), data)


def image_ref(uri: str, data: bytes) -> ImageRef:
    return ImageRef(uri=uri, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), content_type="image/png")
