"""Images of parts and their heat maps. Only references that stand in the database are opened, never an address from outside."""

from __future__ import annotations

import struct
import zlib

from starlette.responses import Response

from schemas.common import ImageRef
from streams.fates import Unavailable, Unprocessable
from streams.wiring.console.ports import Ask
from streams.wiring.console.security import Rejected

TIFF = "image/tiff"
SHOWN = frozenset(("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif"))
KEPT = {"Cache-Control": "private, max-age=3600", "Content-Security-Policy": "default-src 'none'; sandbox"}
_SIDE = 32
_FROM, _FULL = 0.8, 2.0  # of the threshold: where colour begins, and where it is strongest
_LOW, _HIGH = (255, 190, 0), (214, 0, 40)


def image(ask: Ask) -> Response:
    ref = ask.ports.questions.image(ask.asked("id"), ask.asked("view"))
    if ref is None:
        raise Rejected(404, "No evidence names an image of this view.")
    return shown(ask, ref)


def shown(ask: Ask, ref: ImageRef) -> Response:
    """As a browser can show it, else as a download. Raises Rejected as `data_of`."""
    data, kind = data_of(ask, ref), ref.content_type if ref.content_type in SHOWN else "application/octet-stream"
    if ref.content_type == TIFF:  # stations may send it, few browsers show it
        try:
            data, kind = ask.ports.as_png(data), "image/png"
        except Unprocessable as error:
            raise Rejected(404, why_not(error.reason)) from error
    extra = {} if kind in SHOWN else {"Content-Disposition": "attachment"}
    return Response(data, media_type=kind, headers={**KEPT, **extra})


def data_of(ask: Ask, ref: ImageRef) -> bytes:
    """As it was judged. Raises Rejected 404 with the reason, 503."""
    trouble = ask.ports.kafka_trouble() if ref.uri.startswith("kafka:") else None
    if trouble is not None:  # to wait for it would keep the threads that others need
        raise Rejected(503, f"The image cannot be read now: Kafka does not answer: {trouble}")
    try:
        return ask.ports.read_image(ref)
    except Unprocessable as error:
        raise Rejected(404, why_not(error.reason)) from error
    except Unavailable as error:
        raise Rejected(503, f"The image cannot be read now: {error}") from error


def why_not(reason: str) -> str:
    """In words, for the person who wanted to see it."""
    return {
        "image_gone": "This image is no longer retained: Kafka or the image store has removed it.",
        "sha256_mismatch": "What lies there now is another image than the one that was judged, so it is not shown.",
        "forbidden_path": "This image lies outside the folders that the console may read.",
    }.get(reason, "This image cannot be read from here.")


def heat(ask: Ask) -> Response:
    """PNG, 32 x 32 RGBA: transparent below 0.8 of the threshold, from there yellow to red at twice the threshold."""
    inspection, view = ask.asked("id"), ask.asked("view")
    found = ask.ports.questions.heat(inspection, view)
    if found is None:
        raise Rejected(404, "No heat map is kept of this view: it was not strange.")
    part = ask.ports.questions.standing(inspection)
    threshold = None if part is None else ask.ports.threshold(part.policy, part.model_set, view)
    top, cells = found
    return Response(overlay(top, cells, threshold or top), media_type="image/png", headers=KEPT)


def overlay(top: float, cells: bytes, threshold: float) -> bytes:
    """top: value of step 255. cells: 32 x 32 steps, row by row. threshold > 0, in the unit of top."""
    colours = [colour(step * top / 255 / threshold) for step in range(256)]
    return png(b"".join(colours[cell] for cell in cells), _SIDE, _SIDE)


def colour(ratio: float) -> bytes:
    """RGBA of a value, given as a multiple of the threshold."""
    share = min(1.0, max(0.0, (ratio - _FROM) / (_FULL - _FROM)))
    if share == 0:
        return bytes(4)
    mixed = (round(low + (high - low) * share) for low, high in zip(_LOW, _HIGH, strict=True))
    return bytes((*mixed, round(70 + 140 * share)))


def png(pixels: bytes, width: int, height: int) -> bytes:
    """pixels: RGBA, 8 bits, row by row. The format is that of the PNG specification, third edition, sections 5 and 11."""
    rows = b"".join(b"\0" + pixels[4 * width * y : 4 * width * (y + 1)] for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
