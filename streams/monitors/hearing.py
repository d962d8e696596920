"""Anomaly evidence as the drift monitor hears it: which score stream it belongs to, and what of it counts."""

from __future__ import annotations

from functools import lru_cache

from schemas.common import ModelRef, Proof, digest
from schemas.drift import ScoreStreamV1
from schemas.evidence import UNPAINTED, AnomalyV1, ImageStatsV1
from schemas.ids import parse_inspection
from streams.monitors.ordering import Scored, Statistics

_KEPT = 4096


def stream_of(evidence: AnomalyV1) -> tuple[str, ScoreStreamV1]:
    """The score stream and its digest."""
    return _stream(evidence.station, evidence.view, evidence.product, evidence.acquisition, evidence.model)


@lru_cache(maxsize=_KEPT)
def _stream(station: str, view: str, product: str, acquisition: str, model: ModelRef) -> tuple[str, ScoreStreamV1]:
    stream = ScoreStreamV1(station=station, view=view, product=product, acquisition=acquisition, model=model)
    return digest(stream), stream


def scored(evidence: AnomalyV1, at_ms: int) -> Scored:
    """What the monitor needs of it. at_ms: its append time."""
    part = parse_inspection(evidence.inspection)
    golden = _golden(evidence)
    return Scored(
        epoch=part.epoch,
        n=part.n,
        at_ms=at_ms,
        score=evidence.score if evidence.purpose == "production" or golden else None,
        p_value=evidence.p_value,
        lot=evidence.lot,
        tool=evidence.tool,
        baseline=evidence.baseline,
        policy=evidence.policy,
        model_set=evidence.model_set,
        image=_statistics(evidence.image_stats),
        golden=golden,
    )


def _golden(evidence: AnomalyV1) -> tuple[str, Proof, str] | None:
    """(part, proof, image) where this is a pass of a golden part. A master's image differs every time, so it is not named."""
    stamp = evidence.challenge
    if evidence.purpose != "challenge" or stamp is None or stamp.kind != "golden" or stamp.view not in (None, evidence.view):
        return None
    if stamp.label == UNPAINTED:
        return None
    return stamp.part, stamp.proof, evidence.image.sha256[:16] if stamp.proof == "digital" else ""


def _statistics(image: ImageStatsV1 | None) -> Statistics | None:
    if image is None:
        return None
    return image.light, image.contrast, image.sharpness, image.shift_x_px, image.shift_y_px
