"""Images, captures and stamps to try the gateway with."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

from schemas.evidence import BaselineStampV1
from streams.capture.gateway import Capture, View
from streams.capture.stamps import Stamp
from streams.fates import Unavailable

STATION = "plant/line-1/cam-1"
BASELINE = BaselineStampV1(stream="d" * 64, baseline="e" * 64, state="active")
STAMP = Stamp(policy="a" * 64, model_set="b" * 64, decide_within_s=5, baselines={"v1": BASELINE})


def png(marker: int = 0, width: int = 8, height: int = 8, padding: int = 0) -> bytes:
    """A grey PNG; another marker makes other bytes. padding: bytes of a chunk that nobody reads."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + bytes((marker + x + y) % 256 for x in range(width)) for y in range(height))
    text = [chunk(b"tEXt", b"n\0" + str(marker).encode() + bytes(padding))]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(text) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def part(marker: int = 0, *, padding: int = 0, **changes: Any) -> Capture:
    values: dict[str, Any] = {
        "station": STATION,
        "product": "disc",
        "views": [View("v1", png(marker, padding=padding))],
        "acquisition": "c" * 64,
    }
    return Capture(**(values | changes))


class Fixed:
    """Stamps for one product, or none while it is away. The first view stands on a baseline."""

    def __init__(self, product: str = "disc") -> None:
        self.product = product
        self.away = False

    def stamp(self, product: str, station: str) -> Stamp | None:
        if self.away:
            raise Unavailable("not read yet")
        return STAMP if product == self.product else None

    def baseline_stamp(self, model_set: str, station: str, view: str, acquisition: str) -> BaselineStampV1 | None:
        return STAMP.baselines.get(view)


def bad_images(folder: Path) -> dict[str, str]:
    """Write one bad file of each kind; gives name -> the reason of its refusal."""
    whole = png(1, 64, 64)
    files = {
        "a-empty.png": (b"", "empty"),
        "b-text.png": (b"this is a note, not a picture", "not_an_image"),
        "c-torn.png": (whole[:-20], "truncated"),
        "d-named.jpg": (whole, "wrong_extension"),
        "e-bomb.png": (whole[:16] + struct.pack(">II", 30000, 30000) + whole[24:], "too_large"),
        "g-notes.txt": (b"hello", "wrong_extension"),
    }
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    with (folder / "f-huge.tif").open("wb") as file:
        file.truncate((256 << 20) + 1)
    return {name: reason for name, (_, reason) in files.items()} | {"f-huge.tif": "too_many_bytes"}
