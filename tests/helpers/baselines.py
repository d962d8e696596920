"""Baselines and what is said of them, as small as they can be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from schemas.baseline import BaselinePointerV1, BaselineStateV1, BaselineV1
from schemas.common import digest
from schemas.drift import ScoreStreamV1
from schemas.envelope import Record
from schemas.topics import BASELINE
from tests.helpers.judgement import PRODUCT, SHA, STATION, model_ref

Said = BaselineV1 | BaselinePointerV1 | BaselineStateV1
AT = datetime(2026, 1, 5, 8, tzinfo=UTC)


def score_stream(station: str = STATION, view: str = "v1", **changes: Any) -> ScoreStreamV1:
    values: dict[str, Any] = {"product": PRODUCT, "acquisition": SHA, "model": model_ref("anomaly")}
    return ScoreStreamV1(station=station, view=view, **(values | changes))


def baseline(stream: ScoreStreamV1, origin: str = "commissioned", *, scores: int = 10, **changes: Any) -> BaselineV1:
    """origin: calibration, commissioned or refreshed."""
    sample = {"scores": [n / 10 for n in range(scores)], "in_order": True, "arl0": 1e5}
    return BaselineV1.model_validate({"stream": stream, "origin": origin, "sample": sample} | changes)


def pointer(to: BaselineV1) -> BaselinePointerV1:
    return BaselinePointerV1(stream=to.stream, baseline=digest(to), who="ann", why="test", at=AT)


def state_of(of: BaselineV1, state: str, *, expired: bool = False) -> BaselineStateV1:
    """Drift's word on a baseline."""
    return BaselineStateV1.model_validate(
        {
            "stream": of.stream,
            "baseline": digest(of),
            "state": state,
            "since": AT,
            "inspection": f"{of.stream.station}:1700000000000-000000000007",
            "certificate_expired": expired,
        }
    )


def baseline_record(message: Said, key: str | None = None) -> Record:
    """As it lies in baseline.v1. key: another one than it should have."""
    stream = digest(message.stream)
    keys = {
        BaselineV1.TYPE: digest(message),
        BaselinePointerV1.TYPE: f"current/{stream}",
        BaselineStateV1.TYPE: f"state/{stream}",
    }
    text = keys[message.TYPE] if key is None else key
    return Record(topic=BASELINE, key=text.encode(), value=message.json_bytes(), headers=(("ce_type", message.TYPE.encode()),))
