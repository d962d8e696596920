"""What a station's gateway has put on the topics, as a reader sees it that knows nothing of the gateway."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from schemas.codec import Reader
from schemas.envelope import Received
from schemas.evidence import AnnouncedV1
from schemas.topics import CAPTURE, EVIDENCE
from streams.wiring.adapters.kafka import read_all

_READER = Reader(AnnouncedV1)


@dataclass
class Sent:
    """announced: first ones by id, in the log's order; images: first ones by id; copies: of either; conflicts: must be empty."""

    announced: dict[str, AnnouncedV1] = field(default_factory=dict)
    images: dict[str, Received] = field(default_factory=dict)
    copies: Counter[str] = field(default_factory=Counter)
    conflicts: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        """n of the announcements, in the log's order."""
        return [int(inspection.rpartition("-")[2]) for inspection in self.announced]

    def image(self, inspection: str, view: str = "v1") -> bytes:
        return self.images[f"{inspection}/{view}/capture"].value or b""


def sent(client: dict[str, Any], station: str) -> Sent:
    """Everything of that station, and whether what is said twice is the same."""
    found = Sent()
    bytes_of: dict[str, bytes] = {}
    for record in read_all(client, [EVIDENCE, CAPTURE]):
        if record.key != station.encode():
            continue
        id = record.header("ce_id") or ""
        content = hashlib.sha256(repr(record.headers).encode() + (record.value or b"")).digest()
        if bytes_of.setdefault(id, content) != content:
            found.conflicts.append(id)
        if record.topic == CAPTURE:
            found.copies[CAPTURE] += id in found.images
            found.images.setdefault(id, record)
        elif (read := _READER.read(record)) and isinstance(read[1], AnnouncedV1):
            found.copies[EVIDENCE] += read[1].inspection in found.announced
            found.announced.setdefault(read[1].inspection, read[1])
    return found
