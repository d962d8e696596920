"""Anomaly evidence without an image behind it: scores of a station's parts."""

from __future__ import annotations

from typing import Any

from schemas.common import ImageRef, ModelRef
from schemas.evidence import AnomalyV1
from schemas.ids import inspection_id

DIGEST = "ab" * 32


def score_evidence(n: int, score: float = 0.5, p_value: float = 0.5, *, epoch: int = 5, **changes: Any) -> AnomalyV1:
    """The n-th part of an epoch. changes: of any field; station decides the inspection."""
    station = changes.get("station", "a/b/c")
    facts: dict[str, Any] = {
        "inspection": str(inspection_id(station, epoch, n)),
        "station": station,
        "view": "v1",
        "product": "disc",
        "acquisition": DIGEST,
        "purpose": "production",
        "model_set": DIGEST,
        "model": ModelRef(name="disc-anomaly", version=1, digest=DIGEST, profile="cpu-fp32"),
        "image": ImageRef(uri="kafka://capture.v1/0/1", sha256=DIGEST, bytes=1, content_type="image/png"),
        "latency_ms": 1.0,
        "score": score,
        "p_value": p_value,
        "calibration_n": 100,
        "heat_map": "",
        "trunk_id": "trunk",
    }
    return AnomalyV1(**{**facts, **changes})
