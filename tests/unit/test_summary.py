"""Windows of a score stream: every score once, whatever comes twice or is restarted, and the same windows in any replay."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.common import ModelRef
from schemas.drift import DriftSummaryV1
from schemas.evidence import AnomalyV1
from streams.monitors.seen import RECENT, Seen
from streams.monitors.summary import (
    FIXED_EDGES,
    StreamState,
    dump,
    edges_of,
    expire,
    forgotten,
    load,
    p_bin,
    step,
    stream_digest,
    stream_of,
)
from tests.helpers.scores import DIGEST
from tests.helpers.scores import score_evidence as evidence

EVERY_MS = 1000
EDGES = (0.0, 1.0, 2.0)


def run(events: list[tuple[AnomalyV1, int]], end_ms: int, restart_at: int = -1) -> list[DriftSummaryV1]:
    state: StreamState | None = None
    found: list[DriftSummaryV1] = []
    for index, (message, now_ms) in enumerate(events):
        if index == restart_at and state is not None:
            state = load(json.loads(json.dumps(dump(state))))
        state, closed = step(state, message, now_ms, every_ms=EVERY_MS, edges=EDGES)
        found += closed
    if state is not None:
        found += expire(state, end_ms, every_ms=EVERY_MS)[1]
    return found


def test_a_window_opens_with_a_score_and_closes_by_log_time() -> None:
    events = [(evidence(0, 0.0, 0.1), 100), (evidence(1, 1.5, 0.95), 1099), (evidence(2, 9.0, 0.05), 1100)]
    first, second = run(events, 5000)
    assert (first.n, first.score_counts, first.p_counts) == (2, (1, 0, 1, 0), (1, 0, 0, 0, 0, 0, 0, 0, 0, 1))
    assert (first.first[-1], first.last[-1], second.first[-1]) == ("0", "1", "2")
    assert second.score_counts == (0, 0, 0, 1)  # right-closed: the last bin is open
    assert [summary.opened_at.timestamp() for summary in (first, second)] == [0.1, 1.1]


numbers = st.lists(st.tuples(st.integers(0, 40), st.sampled_from([5, 6])), max_size=60)


@given(numbers, st.lists(st.integers(0, 400), min_size=60, max_size=60), st.integers(0, 60))
def test_every_inspection_counts_once_in_any_order_with_any_repeats_and_a_restart(
    seen: list[tuple[int, int]], steps_ms: list[int], restart_at: int
) -> None:
    now_ms, events = 0, []
    for (n, epoch), passed_ms in zip(seen, steps_ms, strict=False):
        now_ms += passed_ms
        events.append((evidence(n, n / 10, (n + 1) / 41, epoch=epoch), now_ms))
    summaries = run(events, now_ms + EVERY_MS)
    assert sum(summary.n for summary in summaries) == len(set(seen))
    assert summaries == run(events, now_ms + EVERY_MS, restart_at)
    assert len({summary.first for summary in summaries}) == len(summaries)


def test_copies_older_than_what_is_remembered_count_as_seen() -> None:
    seen = Seen()
    for n in (0, 3, RECENT + 2):
        added = seen.add(5, n)
        assert added is not None
        seen = added
    assert seen.add(5, 3) is None  # the last bit
    assert seen.add(5, 2) is None  # never seen, but too far back to tell: rather not counted than twice
    assert seen.add(5, 4) is not None
    assert Seen.load(seen.dump()) == seen
    newer = seen.add(6, 0)
    assert newer is not None
    newest = newer.add(7, 0)
    assert newest is not None
    assert newest.add(5, RECENT + 3) is None  # of an epoch given up


def test_a_stream_is_forgotten_only_when_nothing_of_it_can_come_again() -> None:
    state, _ = step(None, evidence(0), 0, every_ms=EVERY_MS, edges=EDGES)
    week_ms = 7 * 24 * 3_600_000
    assert not forgotten(state, week_ms)  # its window is open
    state, _ = expire(state, week_ms, every_ms=EVERY_MS)
    assert forgotten(state, week_ms)
    assert not forgotten(replace(state, latest_ms=1), week_ms)


def test_streams_differ_by_everything_that_moves_scores() -> None:
    other = ModelRef(name="disc-anomaly", version=1, digest=DIGEST, profile="gpu-fp16")
    kinds = [evidence(0), evidence(0, view="v2"), evidence(0, acquisition="cd" * 32), evidence(0, model=other)]
    assert len({stream_digest(stream_of(kind)) for kind in kinds}) == len(kinds)
    assert stream_digest(stream_of(evidence(0))) == stream_digest(stream_of(evidence(7, 3.0)))


def test_edges_are_quantiles_of_the_calibration_or_the_fixed_table() -> None:
    assert edges_of(()) == FIXED_EDGES
    assert edges_of((1.0, 1.0, 1.0)) == (1.0,)
    hundred = edges_of([float(i) for i in range(1, 101)])
    assert hundred == (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 100)


@pytest.mark.parametrize(("p", "expected"), [(0.001, 0), (0.1, 0), (0.3, 2), (0.30001, 3), (1.0, 9)])
def test_p_bins_are_right_closed(p: float, expected: int) -> None:
    assert p_bin(p) == expected
