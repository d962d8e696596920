"""Labels and classes to test with, as small as they can be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from schemas.common import ImageRef
from schemas.label import LabelledViewV1, LabelV1
from schemas.taxonomy import ClassV1, TaxonomyV1

STATION = "plant/line-1/cam-1"
SHA = "a" * 64
NOW = datetime(2026, 1, 5, 8, 0, 0, tzinfo=UTC)
IMAGE = ImageRef(uri="kafka://capture.v1/0/7", sha256=SHA, bytes=1000, content_type="image/png")


def part(n: int) -> str:
    return f"{STATION}:1700000000000-{n:012d}"


def label(n: int = 7, **changes: Any) -> LabelV1:
    values: dict[str, Any] = {
        "inspection": part(n),
        "station": STATION,
        "product": "disc",
        "purpose": "production",
        "of": "view",
        "views": (LabelledViewV1(view="v1", image=IMAGE),),
        "answer": "good",
        "who": "ada",
        "role": "reviewer",
        "looked_ms": 900,
        "answered_at": NOW,
    }
    return LabelV1(**(values | changes))


def taxonomy(*ids: str, **changes: Any) -> TaxonomyV1:
    return TaxonomyV1(product="disc", classes=tuple(ClassV1(id=id, name=id.title()) for id in ids), **changes)
