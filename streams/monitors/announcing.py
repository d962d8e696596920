"""What the detector found, as the messages that others read. Knows no rule: it only puts things into words and units."""

from __future__ import annotations

from typing import Any

from schemas.baseline import BaselineStateV1
from schemas.drift import CountsV1, DriftEventV1, DriftSummaryV1, RangeV1, ScoreStreamV1
from schemas.envelope import from_millis
from schemas.ids import inspection_id
from streams.monitors.evidence import DriftEvent, Evidence, reject_rates
from streams.monitors.ordering import Scored
from streams.monitors.references import Ground
from streams.monitors.shares import Quantile
from streams.monitors.shares import Share as Counted
from streams.monitors.stream_state import LotMark, StreamState
from streams.monitors.summary import FIXED_EDGES, levels
from streams.monitors.witnesses import Warning, cause_of


def happened(state: StreamState, ground: Ground | None, part: Scored, kind: str, **facts: Any) -> DriftEventV1:
    """An event at this part. facts: further fields."""
    known: dict[str, Any] = {}
    if ground is not None and state.basis is not None:
        baseline = ground.baseline
        known = {
            "baseline": state.basis.digest,
            "state": state.said,
            "reference_n": baseline.n,
            "deff": baseline.deff,
            "arl0": baseline.arl0,
            "smallest_visible_sd": None if baseline.blind else baseline.smallest_shift,
            "provisional": baseline.provisional or state.basis.origin == "calibration",
        }
    placed = {"inspection": _inspection(state.stream, part.epoch, part.n), "at": from_millis(part.at_ms), "lot": part.lot}
    return DriftEventV1.model_validate({"stream": state.stream, "kind": kind, **placed, **known, **facts})


def detected(state: StreamState, ground: Ground, part: Scored, event: DriftEvent, threshold: float | None) -> DriftEventV1:
    """What the detector said at this part. threshold: above it a part is anomalous, by the part's policy."""
    judged = state.detector.part if state.detector else 0
    facts: dict[str, Any] = {
        "direction": event.direction,
        "cause": cause_of(state.witnesses, ground.standards, event, judged),
    }
    if (begun := event.change_point) is not None:
        facts |= {
            "change_point": _inspection(state.stream, begun.epoch, begun.n),
            "change_point_at": from_millis(begun.at_ms),
            "change_point_lot": _lot_at(state.lots, begun.epoch, begun.n),
        }
    if event.evidence is not None:
        facts |= _evidence(ground, event.evidence, threshold)
    return happened(state, ground, part, event.kind, **facts)


def warned(state: StreamState, ground: Ground, part: Scored, kind: str, heard: Warning) -> DriftEventV1:
    """What images or golden parts say though no score does."""
    return happened(state, ground, part, kind, cause=heard.cause, statistic=heard.statistic, detail=heard.detail)


def stands(state: StreamState, part: Scored, event: str) -> BaselineStateV1:
    """The state from this part on. event: id of the event that changed it."""
    if state.basis is None or state.basis.digest is None or state.said is None:
        raise ValueError("the stream stands on no baseline")
    return BaselineStateV1(
        stream=state.stream,
        baseline=state.basis.digest,
        state=state.said,
        since=from_millis(part.at_ms),
        inspection=_inspection(state.stream, part.epoch, part.n),
        event=event,
        certificate_expired=bool(state.trust.expired),
    )


def summarised(state: StreamState, ground: Ground | None, closed_ms: int) -> DriftSummaryV1:
    """The window that is open."""
    window = state.window
    if window is None:
        raise ValueError("no window is open")
    judged = ground is not None and state.detector is not None
    return DriftSummaryV1(
        stream=state.stream,
        opened_at=from_millis(window.opened_ms),
        closed_at=from_millis(closed_ms),
        first=_inspection(state.stream, *window.first),
        last=_inspection(state.stream, *window.last),
        n=sum(window.p_counts),
        score_edges=ground.baseline.edges if ground else FIXED_EDGES,
        score_counts=window.counts,
        p_counts=window.p_counts,
        score_low=window.low,
        score_high=window.high,
        baseline=state.basis.digest if judged and state.basis else None,
        state=state.said if judged else None,
        levels=levels(ground.baseline, state.detector) if ground and state.detector else {},
    )


def event_id(stream: str, event: DriftEventV1) -> str:
    """stream: its digest."""
    return f"{stream}/{event.inspection}/{event.kind}"


def _evidence(ground: Ground, found: Evidence, threshold: float | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "statistic": found.table,
        "log_e_value": found.log_e,
        "parts_since": found.since,
        "counts": CountsV1(edges=found.edges, reference=found.reference_counts, now=found.counts),
        "quantiles": {f"q{round(q.q * 100)}": pair for q in found.quantiles if (pair := _quantile(q)) is not None},
    }
    if found.effect is not None:
        effect = found.effect
        facts[f"effect_{effect.unit}"] = RangeV1(value=effect.value, low=effect.low, high=effect.high)
    before, since = _share(found.tail_before), _share(found.tail_since)
    if before is not None and since is not None:
        facts["tail_rate"] = (before, since)
    if threshold is not None and any(found.counts):
        facts["rejects"] = reject_rates(ground.baseline, found, threshold)
    return facts


def _quantile(found: Quantile) -> tuple[RangeV1, RangeV1] | None:
    if found.now is None:
        return None
    return RangeV1(value=found.reference), RangeV1(value=found.now, low=found.low, high=found.high)


def _share(found: Counted) -> RangeV1 | None:
    return None if found.value is None else RangeV1(value=found.value, low=found.low, high=found.high)


def _lot_at(lots: tuple[LotMark, ...], epoch: int, n: int) -> str | None:
    """The lot of that part, None where it lies before what is remembered."""
    return next((mark.lot for mark in reversed(lots) if mark[:2] <= (epoch, n)), None)


def _inspection(stream: ScoreStreamV1, epoch: int, n: int) -> str:
    return str(inspection_id(stream.station, epoch, n))
