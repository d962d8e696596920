"""What an alarm carries, so that a person can judge it: all that scores alone can say. Knows a baseline and a state."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from streams.monitors import ring
from streams.monitors.baseline import Baseline
from streams.monitors.effect import Effect, effect
from streams.monitors.score import Point
from streams.monitors.shares import QUANTILES, Quantile, Share, quantile_change, share
from streams.monitors.state import State
from streams.monitors.symbols import quantile
from streams.monitors.tables import Direction

Kind = Literal[
    "baseline_up",
    "baseline_down",
    "baseline_shrink",
    "baseline_spread",
    "stale",
    "recovered",
    "defect_rate_up",
    "defect_rate_down",
    "stuck",
    "challenge_miss",
    "challenge_margin",
    "refresh_blocked",
]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """table: the statistic that crossed; log_e: its evidence in nats, an upper bound of the log e-value, tempered by deff; since:
    parts since the change-point; counts, reference_counts: in the bins between `edges` (right-closed, the outer two open);
    tail: share of tail events (the last bin) before and since; smallest_shift: in latent sd, None where the baseline is blind;
    provisional: the reference is small, read it as a hint.
    """

    table: str
    log_e: float
    arl0: float
    baseline: str
    reference_n: int
    deff: float
    since: int
    effect: Effect | None
    edges: tuple[float, ...]
    reference_counts: tuple[int, ...]
    counts: tuple[int, ...]
    quantiles: tuple[Quantile, ...]
    tail_before: Share
    tail_since: Share
    smallest_shift: float | None
    provisional: bool


@dataclass(frozen=True, kw_only=True)
class DriftEvent:
    """at: the part that decided; change_point: the first part of the change, as far as the statistic can tell."""

    kind: Kind
    at: Point
    change_point: Point | None
    direction: Direction | None
    evidence: Evidence | None


def evidence_of(
    baseline: Baseline, state: State, *, table: str, log_e: float, since: int, direction: Direction | None
) -> Evidence:
    """state: with the deciding part counted; since: parts from the change-point to it, both included."""
    counts = ring.since(state.course.ladder, state.recent, since, len(baseline.counts))
    parts = sum(counts)
    moved = (
        effect(baseline.bins.masses, baseline.body, counts, direction, deff=baseline.deff, n=baseline.n) if direction else None
    )
    return Evidence(
        table=table,
        log_e=log_e,
        arl0=baseline.arl0,
        baseline=baseline.id,
        reference_n=baseline.n,
        deff=baseline.deff,
        since=since,
        effect=moved,
        edges=baseline.edges,
        reference_counts=baseline.counts,
        counts=counts,
        quantiles=tuple(
            quantile_change(baseline.edges, counts, q, quantile(baseline.sample, q), baseline.deff) for q in QUANTILES
        ),
        tail_before=share(baseline.counts[-1], baseline.n, baseline.tail_deff),
        tail_since=share(counts[-1], parts, baseline.tail_deff),
        smallest_shift=None if baseline.blind else baseline.smallest_shift,
        provisional=baseline.provisional,
    )


def reject_rates(baseline: Baseline, evidence: Evidence, threshold: float) -> tuple[float, float]:
    """Share of parts above a threshold: of the reference, and since the change, where the bin it lies in is shared in proportion
    to the reference's own scores in it.
    """
    sample, edges = baseline.sample, evidence.edges
    symbol = next((i for i, edge in enumerate(edges) if threshold <= edge), len(edges))
    low = bisect_right(sample, edges[symbol - 1]) if symbol else 0
    high = bisect_right(sample, edges[symbol]) if symbol < len(edges) else len(sample)
    inside = (high - bisect_right(sample, threshold)) / (high - low) if high > low else 0.0
    above = sum(evidence.counts[symbol + 1 :]) + inside * evidence.counts[symbol]
    before = 1 - bisect_right(sample, threshold) / len(sample)
    return before, above / max(1, sum(evidence.counts))
