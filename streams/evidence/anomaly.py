"""Anomaly: the model's answer to evidence. Does this view deviate from normal? Knows no threshold: policy has it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import numpy as np

from schemas.evidence import AnomalyV1, ImageStatsV1
from streams.evidence.observation import Seen
from streams.evidence.tensors import ANOMALY_OUTPUTS, Array, checked


def anomaly(
    answer: Mapping[str, Array],
    seen: Seen,
    *,
    p_value: float,
    calibration_n: int,
    trunk_id: str,
    image_stats: ImageStatsV1 | None = None,
) -> AnomalyV1:
    """answer: a batch of one that `raw_score` has checked. p_value: conformal, of its score."""
    return AnomalyV1(
        **seen.fields(),
        **seen.stamps(),
        score=float(answer["score"][0, 0]),
        score_mid=float(answer["score_mid"][0, 0]),
        score_deep=float(answer["score_deep"][0, 0]),
        p_value=p_value,
        calibration_n=calibration_n,
        heat_map=heat_map(answer["anomaly_map"][0]),
        trunk_id=trunk_id,
        image_stats=image_stats,
    )


def raw_score(answer: Mapping[str, Array]) -> float:
    """The score of a batch of one. Raises Unprocessable `bad_tensor` where any output is not as the contract says."""
    checked(answer, ANOMALY_OUTPUTS)
    return float(answer["score"][0, 0])


def heat_map(distances: Array) -> str:
    """float (32, 32) -> fp16, row by row, little-endian, base64. Beyond fp16's range: its largest value."""
    limit = np.finfo(np.float16).max
    return base64.b64encode(np.clip(distances, -limit, limit).astype("<f2").tobytes()).decode()


def embedding_bytes(answer: Mapping[str, Array]) -> bytes:
    """The trunk's pooled embedding as embedding.v1 carries it: fp16, little-endian."""
    limit = np.finfo(np.float16).max
    return bytes(np.clip(answer["embedding"][0], -limit, limit).astype("<f2").tobytes())
