"""What a stage repeats of the part, so that a reader of one piece of evidence needs no other. Knows no tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.capture import Context
from schemas.common import ImageRef, ModelRef
from schemas.segment_request import SegmentRequestV1


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Who looked at what. part: the headers of the image or embedding, or the request. latency_ms: fetched to answered."""

    part: Context | SegmentRequestV1
    image: ImageRef
    model: ModelRef
    latency_ms: float

    def fields(self) -> dict[str, Any]:
        """The fields of `Observation`."""
        part = self.part
        return {
            "inspection": part.inspection,
            "station": part.station,
            "view": part.view,
            "product": part.product,
            "acquisition": part.acquisition,
            "purpose": part.purpose,
            "model_set": part.model_set,
            "model": self.model,
            "image": self.image,
            "latency_ms": round(self.latency_ms, 3),
        }

    def stamps(self) -> dict[str, Any]:
        """What a monitor of scores must know besides: the headers of an image say it, a request for geometry does not."""
        part = self.part
        if isinstance(part, SegmentRequestV1):
            return {}
        return {name: getattr(part, name) for name in ("lot", "tool", "policy", "baseline", "challenge")}
