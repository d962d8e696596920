"""Where a change is said to have begun: how far off, by which inspection, and the same wherever a state was saved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitors.baseline import Baseline
from streams.monitors.change_point import begun, located
from streams.monitors.detector import Score, State, init, step
from streams.monitors.evidence import DriftEvent
from streams.monitors.marks import STONE, Mark, chained, merged, pack_stones, stones, unchained, unpack_stones
from streams.monitors.packing import pack, pack_evidence, unpack
from streams.monitors.segments import apply, segment
from streams.monitors.tables import Alternative, Direction

SAMPLE = np.random.default_rng(1).normal(size=2000)
BASELINE = Baseline.fit(SAMPLE.tolist(), arl0=1e5)


@pytest.mark.parametrize(
    ("moved", "most"),
    [
        (Alternative(direction="up", shift=0.5), 40),
        (Alternative(direction="up", shift=1.0), 12),
        (Alternative(direction="down", shift=-0.5), 40),
        (Alternative(direction="shrink", scale=0.6), 30),
        (Alternative(direction="spread", scale=1.6), 40),
    ],
)
def test_nine_in_ten_are_close(moved: Alternative, most: int) -> None:
    """Of 220 symbols 100 to 180 are before the change, 1 % defects everywhere."""
    rng = np.random.default_rng(2)
    errors = []
    for at in rng.integers(100, 180, size=300).tolist():
        z = rng.normal(size=220)
        z[at:] = z[at:] * moved.scale + moved.shift
        z[rng.random(220) < 0.01] = 4
        symbols = np.searchsorted(BASELINE.edges, z, "left").astype(np.uint8).tobytes()
        errors.append(begun(BASELINE.bins.masses, BASELINE.body, moved.direction, symbols, 1.0) - at)
    assert abs(np.median(errors)) <= 4
    assert np.quantile(np.abs(errors), 0.9) <= most


@pytest.mark.parametrize("direction", ["up", "down", "shrink", "spread"])
def test_one_symbol_is_enough(direction: Direction) -> None:
    assert begun(BASELINE.bins.masses, BASELINE.body, direction, bytes([3]), 1.0) == 0


def mark(part: int, n: int, epoch: int = 1, at_ms: int = 0) -> Mark:
    return part, epoch, n, at_ms, None


def test_a_part_between_two_known_ones_is_counted_out_where_no_number_is_missing() -> None:
    known = [mark(16, 100, at_ms=1000), mark(32, 116, at_ms=2600), mark(48, 140, at_ms=4200), mark(64, 3, epoch=2)]
    assert located(20, known)[:4] == (20, 1, 104, 1400)
    assert located(16, known)[:4] == (16, 1, 100, 1000)
    assert located(36, known) == known[1]  # numbers are missing: the nearest that is known
    assert located(40, known) == known[2]
    assert located(50, known) == known[2]  # another epoch
    assert located(5, known) == known[0]
    assert located(99, known) == known[3]


STEPS = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 2, 9, 5000]), st.integers(-5, 4000), st.sampled_from([0] * 60 + [1])),
    min_size=1,
    max_size=400,
)


@given(STEPS, st.integers(0, 319))
@settings(max_examples=80, deadline=None)
def test_stones_come_back_as_they_were_packed_and_are_found_again(steps: list[tuple[int, int, int]], window: int) -> None:
    part, epoch, n, at_ms = 0, 1_795_471_200_123, 7, 1_795_471_200_123
    marks: list[Mark] = []
    for gap, wait_ms, again in steps:
        part, at_ms = part + 1, at_ms + wait_ms
        epoch, n = (epoch + 1, 0) if again else (epoch, n + gap)
        marks.append((part, epoch, n, at_ms, None))
    found = stones(chained(marks), max(0, part - window))
    data = pack_stones(found)
    assert len(data) == 138
    back = unpack_stones(data)
    assert [m[:4] for m in back] == [m[:4] for m in reversed(found)]
    assert all(m[0] % STONE == 0 for m in back)
    other = merged(back, [m for m in marks if m[0] % 7 == 0])  # starts of CUSUMs, say
    assert [m[:4] for m in stones(other, max(0, part - window))] == [m[:4] for m in found]
    assert [m[0] for m in unchained(other)] == sorted({m[0] for m in back} | {m[0] for m in marks if m[0] % 7 == 0})


def parts(seed: int, gaps: bool) -> list[Score]:
    """4000 quiet parts, then half an sd higher. gaps: golden parts take every 20th number, and the epoch changes."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=5000)
    z[4000:] += 0.5
    numbers = [k + k // 19 if gaps else k for k in range(5000)]
    return [
        Score(value, 1 + (gaps and k > 4100), n, 100 * n) for k, (value, n) in enumerate(zip(z.tolist(), numbers, strict=True))
    ]


@pytest.mark.parametrize("gaps", [False, True])
def test_the_inspection_that_is_named_was_judged_and_a_saved_state_names_the_same(gaps: bool) -> None:
    for seed in range(4):
        scores = parts(seed, gaps)
        whole, pieces = init(BASELINE), init(BASELINE)
        events: list[DriftEvent] = []
        again: list[DriftEvent] = []
        for k, score in enumerate(scores):
            whole, one = step(BASELINE, whole, score)
            pieces = unpack(pack(pieces), pack_evidence(pieces)) if k > 3900 else pieces
            pieces, two = step(BASELINE, pieces, score)
            events, again = events + one, again + two
        assert again == events
        assert at_once(scores) == (pack(whole), pack_evidence(whole), events)
        point = events[0].change_point
        assert point is not None
        assert (point.epoch, point.n) in {(score.epoch, score.n) for score in scores}
        assert abs(place(scores, point.epoch, point.n) - 4000) < 150


def place(scores: list[Score], epoch: int, n: int) -> int:
    return next(k for k, score in enumerate(scores) if (score.epoch, score.n) == (epoch, n))


def at_once(scores: list[Score]) -> tuple[bytes, bytes, list[DriftEvent]]:
    state: State = init(BASELINE)
    state, events = apply(BASELINE, state, segment(BASELINE, scores))
    return pack(state), pack_evidence(state), events
