"""Counts of a score stream's scores and p-values, window by window, with how far every statistic stands from its alarm.

Pure: time is log time. Knows no judgement. A window opens with a score and holds those that were released before `every_ms` had
passed; where a score's append time lies before that of one released earlier, the later time counts for both.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from streams.monitors.baseline import Baseline
from streams.monitors.ordering import Scored
from streams.monitors.rules import SHIFT
from streams.monitors.state import State

P_BINS = 10
FIXED_EDGES = (-8.0, -4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class Window(NamedTuple):
    """first, last: inspections as (epoch, n), in order. low, high: of its scores. counts: in bins of the edges it opened with."""

    opened_ms: int
    first: tuple[int, int]
    last: tuple[int, int]
    low: float
    high: float
    counts: tuple[int, ...]
    p_counts: tuple[int, ...]


def counted(window: Window | None, part: Scored, score: float, now_ms: int, edges: Sequence[float]) -> Window:
    """With one score more. now_ms: opens a window. edges: the same for all scores of a window."""
    place = part.epoch, part.n
    if window is None:
        window = Window(now_ms, place, place, score, score, (0,) * (len(edges) + 1), (0,) * P_BINS)
    return Window(
        window.opened_ms,
        window.first,
        place,
        min(window.low, score),
        max(window.high, score),
        _one_more(window.counts, bisect_left(edges, score)),
        _one_more(window.p_counts, p_bin(part.p_value)),
    )


def levels(baseline: Baseline, state: State) -> dict[str, float]:
    """How far each CUSUM is on its way to an alarm, as a share of its threshold, by the statistic's name."""
    found = {
        table.name: (value >> SHIFT) / threshold
        for table, value, threshold in zip(baseline.alternatives, state.sums, baseline.thresholds, strict=True)
    }
    rule = baseline.tail_rule(state.course.learning)
    tails = {"tail rate up": (state.up >> SHIFT) / rule.up_h, "tail rate down": (state.down >> SHIFT) / rule.down_h}
    return {name: round(value, 4) for name, value in {**found, **tails}.items()}


def p_bin(p_value: float) -> int:
    """Which tenth, right-closed: 0 for (0, 0.1], 9 for (0.9, 1]."""
    return min(max(math.ceil(p_value * P_BINS - 1e-9) - 1, 0), P_BINS - 1)


def _one_more(counts: tuple[int, ...], index: int) -> tuple[int, ...]:
    return (*counts[:index], counts[index] + 1, *counts[index + 1 :])
