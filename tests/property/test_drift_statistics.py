"""What holds of every reference: fair tables, symbols that know ranks only, segments that are what stepping gives."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitors.baseline import Baseline, dump, load
from streams.monitors.detector import Score, init, step
from streams.monitors.evidence import DriftEvent
from streams.monitors.packing import pack, pack_evidence, unpack
from streams.monitors.ring import BLOCK, Ladder, grown, pushed
from streams.monitors.rules import join as joined
from streams.monitors.rules import split
from streams.monitors.segments import Segment, apply, join, numbered
from streams.monitors.state import State
from streams.monitors.symbols import bins_of
from streams.monitors.tables import UNIT

FINE = st.floats(-3, 3).map(lambda x: round(x, 4))
COARSE = st.integers(-3, 3).map(float)
REFERENCES = st.one_of(
    st.lists(FINE, min_size=1, max_size=300),
    st.lists(COARSE, min_size=1, max_size=300),
    st.lists(FINE, min_size=1, max_size=40).map(lambda some: some * 15),
    st.builds(lambda value, n: [value] * n, FINE, st.integers(1, 500)),
)


@given(REFERENCES, st.sampled_from([1.0, 3.7, 20.0]))
@settings(max_examples=60, deadline=None)
def test_no_table_gains_on_the_reference_whatever_the_defect_share(scores: list[float], deff: float) -> None:
    """The mean of exp(entry) is at most 1, so that a CUSUM of entries is a bet that cannot be won while nothing happens."""
    baseline = Baseline.fit(scores, arl0=1e3, deff=deff)
    masses, body = baseline.bins.masses, baseline.body
    tail = math.fsum(masses[body:])
    for entries in baseline.tables:
        for share in (0, 0.1, 0.3):
            mean = sum((1 - share) * p * math.exp(entry / UNIT) for p, entry in zip(masses, entries, strict=True))
            mean += share * sum(p / tail * math.exp(entry / UNIT) for p, entry in zip(masses[body:], entries[body:], strict=True))
            assert mean <= 1 + 1e-9


@given(REFERENCES)
@settings(max_examples=60, deadline=None)
def test_a_monotone_change_of_the_scale_leaves_symbols_tables_and_counts(scores: list[float]) -> None:
    one, two = (Baseline.fit(values, arl0=1e3, deff=1) for values in (scores, [math.exp(score) for score in scores]))
    assert (one.counts, one.tables, one.thresholds, one.body) == (two.counts, two.tables, two.thresholds, two.body)
    assert two.edges == tuple(map(math.exp, one.edges))


@given(REFERENCES)
@settings(max_examples=60, deadline=None)
def test_bins_hold_the_reference(scores: list[float]) -> None:
    bins = bins_of(sorted(scores))
    assert sum(bins.counts) == len(scores)
    assert len(bins.counts) == len(bins.edges) + 1 <= 20
    assert 1 <= bins.body <= len(bins.edges)
    assert math.fsum(bins.masses) == 1 or abs(math.fsum(bins.masses) - 1) < 1e-12
    assert sum(bins.counts[: bins.body]) >= 0.95 * len(scores) - 1e-9


@given(REFERENCES)
@settings(max_examples=30, deadline=None)
def test_a_baseline_survives_its_dump(scores: list[float]) -> None:
    baseline = Baseline.fit(scores, arl0=1e3)
    assert load(dump(baseline)) == baseline


SHORT = Baseline.fit(np.exp(0.4 * np.random.default_rng(1).normal(size=500)).tolist(), arl0=300, commissioned=True)
COARSE_BASELINE = Baseline.fit(np.round(np.random.default_rng(2).normal(size=300), 1).tolist(), arl0=200)
MOVES = st.lists(st.sampled_from(["same", "up", "down", "narrow", "defects", "frozen", "burst"]), min_size=1, max_size=5)


def drawn(wanted: list[str], seed: int, coarse: bool) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A stretch of some hundred parts for each word; low budgets, so that much happens."""
    rng = np.random.default_rng(seed)
    pieces = []
    for word in wanted:
        z = rng.normal(size=int(rng.integers(1, 900)))
        z += {"up": 0.8, "down": -0.8}.get(word, 0.0)
        z *= 0.6 if word == "narrow" else 1.0
        if word == "defects":
            z[rng.random(len(z)) < 0.15] = 4
        if word == "frozen":
            z[len(z) // 2 : len(z) // 2 + 40] = z[len(z) // 2]
        if word == "burst":
            z[len(z) // 2 : len(z) // 2 + 12] = 3.5 + rng.random(len(z[len(z) // 2 : len(z) // 2 + 12]))
        pieces.append(z)
    joint = np.concatenate(pieces)
    return np.round(joint, 1) if coarse else np.exp(0.4 * joint)


def stepped(baseline: Baseline, scores: list[float]) -> tuple[State, list[DriftEvent]]:
    state, events = init(baseline), list[DriftEvent]()
    for n, value in enumerate(scores):
        state, said = step(baseline, state, Score(value, 0, n, n))
        events += said
    return state, events


@given(MOVES, st.integers(0, 10_000), st.booleans(), st.lists(st.floats(0, 1), min_size=2, max_size=2))
@settings(max_examples=40, deadline=None)
def test_split_anywhere_joined_in_any_way_or_whole_it_is_what_stepping_gives(
    wanted: list[str], seed: int, coarse: bool, cuts: list[float]
) -> None:
    baseline = COARSE_BASELINE if coarse else SHORT
    scores = drawn(wanted, seed, coarse)
    whole, events = stepped(baseline, scores.tolist())
    first, second = sorted(int(cut * len(scores)) for cut in cuts)
    a, b, c = (numbered(baseline, scores[low:high], low) for low, high in ((0, first), (first, second), (second, len(scores))))
    state, said = init(baseline), list[DriftEvent]()
    for part in (a, b, c):
        state, more = apply(baseline, unpack(pack(state), pack_evidence(state)), part)
        said += more
    assert said == events
    assert (pack(state), pack_evidence(state)) == (pack(whole), pack_evidence(whole))
    for order in (join(join(a, b), c), join(a, join(b, c))):
        again, told = apply(baseline, init(baseline), order)
        assert told == events
        assert pack(again) == pack(whole)
    assert same(join(join(a, b), c), join(a, join(b, c)))


def same(one: Segment, two: Segment) -> bool:
    columns = ("values", "epochs", "numbers", "times", "symbols", "stops", "repeating")
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in columns)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_the_ladder_grows_alike_one_block_at_a_time_or_many(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    slow: Ladder = ()
    fast: Ladder = ()
    for size in sizes:
        symbols = rng.integers(0, 5, size=size * BLOCK).astype(np.uint8)
        for first in range(0, len(symbols), BLOCK):
            slow = pushed(slow, symbols[first : first + BLOCK].tobytes(), 5)
        fast = grown(fast, symbols, 5)
    assert slow == fast


@given(st.lists(st.tuples(*[st.integers(-(2**30), 2**30)] * 4), min_size=1, max_size=50))
def test_joined_weights_add_as_they_do_apart(rows: list[tuple[int, int, int, int]]) -> None:
    assert split(sum(joined(row) for row in rows), 4) == [sum(column) for column in zip(*rows, strict=True)]
