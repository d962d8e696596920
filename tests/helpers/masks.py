"""Scratched plates with their images, as the sink has them, and a person who paints: PNGs good and bad."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from httpx2 import Response

from schemas.common import ImageRef
from schemas.envelope import Received
from schemas.evidence import AnnouncedV1, ViewV1
from schemas.ids import inspection_id
from schemas.policy import PolicyV1
from streams.capture.image import encode_png
from streams.wiring.adapters.images import FileImages, Images
from tests.helpers.console import Browser, Desk, console, sha256
from tests.helpers.evidence_log import T0_MS, Published, appended, log_of, play
from tests.helpers.history import EPOCH, MODELS, RULES, version
from tests.helpers.judgement import STATION, announced, anomaly, classification, instance, segmentation

WIDTH, HEIGHT = 640, 480
SCRATCH = ((200, 200), (300, 260))  # its ends, in px
BOX = {"x0": 192, "y0": 192, "x1": 309, "y1": 269}
Grey = npt.NDArray[np.uint8]


def part(n: int) -> str:
    return str(inspection_id(STATION, EPOCH, n))


def plate(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Grey:
    """Brushed metal with one dark scratch, 7 px wide."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(150, 6, (height, 1)) + rng.normal(0, 4, (height, width))
    picture = np.clip(rows, 0, 255).astype(np.uint8)
    cv2.line(picture, *SCRATCH, 55, 7)
    return picture


def truth(width: int = WIDTH, height: int = HEIGHT) -> npt.NDArray[np.bool_]:
    mask = np.zeros((height, width), np.uint8)
    cv2.line(mask, *SCRATCH, 1, 7)
    return mask.astype(bool)


def heat(width: int = WIDTH, height: int = HEIGHT) -> npt.NDArray[np.float64]:
    """32 x 32, as blurred as a heat map is: above 1 on the scratch."""
    share = cv2.resize(truth(width, height).astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(share, (3, 3), 0)
    return np.asarray(4 * blurred / blurred.max(), np.float64)


def reference(store: Path, picture: Grey) -> ImageRef:
    data = encode_png(picture)
    uri = FileImages(store).put(data, sha256(data))
    return ImageRef(uri=uri, sha256=sha256(data), bytes=len(data), content_type="image/png")


def view(name: str, ref: ImageRef, picture: Grey) -> ViewV1:
    height, width = picture.shape
    return ViewV1(view=name, sha256=ref.sha256, bytes=ref.bytes, content_type="image/png", width_px=width, height_px=height)


def plates(
    store: Path,
    count: int = 6,
    *,
    rules: PolicyV1 = RULES,
    views: Sequence[str] = ("v1",),
    boxes: bool = True,
    label: str = "scratch",
    length_mm: float | None = 2.0,
) -> tuple[Received, ...]:
    """Parts with a scratch, near the limit of 2 mm: they wait for a person. boxes: segmentation has found it."""
    events: list[tuple[float, Any]] = []
    for n in range(count):
        pictures = [plate(10 * n + i) for i in range(len(views))]
        refs = [reference(store, picture) for picture in pictures]
        hello = announced(part(n), rules, MODELS, views=tuple(views), serial=f"P{n}")
        shown = tuple(view(*one) for one in zip(views, refs, pictures, strict=True))
        events.append(
            (float(n), AnnouncedV1.model_validate({**hello.model_dump(), "views": [one.model_dump() for one in shown]}))
        )
        for name, ref in zip(views, refs, strict=True):
            own = {"image": ref}
            look = anomaly(part(n), MODELS, score=2.0, view=name, heat=heat()).model_copy(update={**own, "p_value": 0.01})
            kind = classification(part(n), MODELS, label, view=name).model_copy(update=own)
            events += [(n + 0.1, look), (n + 0.2, kind)]
            found = [instance(length_mm, 0.1, label="scratch", box=BOX)] if boxes else []
            events.append((n + 0.3, segmentation(part(n), MODELS, *found, view=name).model_copy(update=own)))
    log = log_of(events)
    outputs, _ = play(log, Published(rules, MODELS))
    verdicts = [one for one in outputs if one.topic == "verdict.v1"]
    return (*log, *(appended(one, i, T0_MS + i) for i, one in enumerate([version(rules), version(MODELS), *verdicts])))


@contextmanager
def painting(
    folder: Path, records: Sequence[Received] | None = None, reader: Callable[[ImageRef], bytes] | None = None
) -> Iterator[Desk]:
    """A console whose images lie in its store. records: None: six plates. reader: of images, instead of the store's."""
    store = folder / "images"
    images = Images(None, roots=[store])
    try:
        said = tuple(plates(store) if records is None else records)
        with console(folder, said, read_image=reader or images.read_now) as desk:
            desk.follow()
            yield desk
    finally:
        images.close()


def png(mask: npt.NDArray[np.bool_]) -> bytes:
    """As the page's script writes it."""
    height, width = mask.shape
    rows = b"".join(b"\0" + bytes(row) for row in mask.astype(np.uint8) * np.uint8(255))
    return grey_png(width, height, rows)


def grey_png(width: int, height: int, rows: bytes, bits: int = 8, colour: int = 0) -> bytes:
    """rows: each with its filter's byte. Nothing has to fit."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def send(browser: Browser, path: str, data: bytes, params: dict[str, str], **headers: str) -> Response:
    """A POST as the script sends it."""
    own = {"x-csrf-token": browser.csrf("/lines"), "content-type": "image/png", **headers}
    return browser.client.post(path, content=data, params=params, headers=own)
