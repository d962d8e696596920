"""Image statistics in time: false warnings as rare as stated, shifts found with their size, and a saved state that goes on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.baseline import ReferenceV1
from schemas.evidence import ImageStatsV1
from streams.monitors import covariates
from streams.monitors.covariates import NAMES, SIZE, START, UNIT, Covariates, Reference, Track

KNOWN = {
    "light": ReferenceV1(mean=121.4, sd=2.0),
    "contrast": ReferenceV1(mean=53.0, sd=1.0),
    "sharpness": ReferenceV1(mean=400.0, sd=30.0),
    "shift_x_px": ReferenceV1(mean=0.1, sd=1.7),
    "shift_y_px": ReferenceV1(mean=-0.2, sd=1.6),
}
REFERENCE = covariates.reference(KNOWN, 200, 1e5)


def parts(count: int, seed: int, **off_sd: float) -> list[ImageStatsV1]:
    """Independent normal parts; off_sd: shift of a statistic."""
    z = np.random.default_rng(seed).standard_normal((count, len(NAMES)))
    values = {name: KNOWN[name].mean + KNOWN[name].sd * (z[:, i] + off_sd.get(name, 0)) for i, name in enumerate(NAMES)}
    return [ImageStatsV1(**{name: round(float(values[name][k]), 3) for name in NAMES}) for k in range(count)]


def run(stats: Iterable[ImageStatsV1 | None], state: Covariates = START, reference: Reference = REFERENCE) -> Covariates:
    for one in stats:
        state = covariates.step(reference, state, one)
    return state


def test_a_light_that_fell_is_warned_of_once_with_its_size_and_its_beginning() -> None:
    state, warned = START, []
    for n, stats in enumerate([*parts(300, 1), *parts(60, 2, light=-6.2)]):
        after = covariates.step(REFERENCE, state, stats)
        warned += [(n, name) for name in covariates.raised(state, after)]
        state = after
    ((at, name),) = warned
    assert name == "light"
    assert 300 <= at <= 308
    (moved,) = covariates.moved(REFERENCE, state)
    assert (moved.name, moved.before) == ("light", 121.4)
    assert moved.now == pytest.approx(121.4 - 6.2 * 2, abs=1.0)  # some parts before the fall count, too
    assert abs(moved.since - 60) <= 10


def test_a_warning_comes_again_only_after_the_cause_has_gone() -> None:
    state = run(parts(60, 3, sharpness=-4))
    assert [track.said for track in state] == [0, 0, -1, 0, 0]
    back = run(parts(120, 4), state)
    assert covariates.moved(REFERENCE, back) == ()
    assert all(track.said == 0 for track in back)
    assert covariates.raised(back, run(parts(20, 5, sharpness=-4), back)) == ("sharpness",)


def test_what_moves_together_is_warned_of_once_and_what_follows_apart_again() -> None:
    state, warned = START, []
    for n, stats in enumerate([*parts(60, 10, light=-3, contrast=-1.5), *parts(60, 11, light=-3, contrast=-1.5, shift_y_px=4)]):
        after = covariates.step(REFERENCE, state, stats)
        warned += [(n, name) for name in covariates.raised(state, after)]
        state = after
    assert [name for _, name in warned] == ["light", "shift_y_px"]
    assert {name for name, track in zip(NAMES, state, strict=True) if track.said} == {"light", "contrast", "shift_y_px"}


def test_false_warnings_are_no_more_than_asked_for() -> None:
    """The tax for a finite reference makes them rarer; with a reference that is exact they come as often as computed."""
    exact = covariates.reference({"light": KNOWN["light"]}, 10**9, 1e3)
    stats = parts(60_000, 6)
    state, warned = START, 0
    for one in stats:
        after = covariates.step(exact, state, one)
        if covariates.raised(state, after):
            warned, after = warned + 1, START
        state = after
    assert 40 <= warned <= 75  # 60 expected; the bounds are two standard deviations and a fifth for the clipped grid


def test_one_alarm_in_a_hundred_names_a_statistic_that_did_not_move() -> None:
    state, named = START, 0
    for one in parts(20_000, 7):
        state = covariates.step(REFERENCE, state, one)
        named += bool(covariates.moved(REFERENCE, state))
    assert named / 20_000 < 0.01


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), cut=st.integers(0, 80), shift=st.floats(-50, 50))
def test_a_saved_state_goes_on_to_the_last_bit(seed: int, cut: int, shift: float) -> None:
    stats = parts(80, seed, light=shift, shift_x_px=-shift)
    begun = run(stats[:cut])
    packed = covariates.pack(begun)
    assert len(packed) == SIZE <= 200
    assert covariates.unpack(packed) == begun
    assert run(stats[cut:], covariates.unpack(packed)) == run(stats)


def test_what_is_not_known_does_not_move() -> None:
    some = covariates.reference({"light": KNOWN["light"]}, 50, 1e5)
    cloth = [one.model_copy(update={"shift_x_px": None, "shift_y_px": None}) for one in parts(40, 8, contrast=9, shift_x_px=9)]
    assert run(cloth, reference=some)[1:] == (Track(),) * 4
    assert run([None] * 5) is START
    assert covariates.moved(some, run(cloth, reference=some)) == ()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_tiny_or_constant_reference_takes_more_to_warn(n: int) -> None:
    constant = covariates.reference({"light": ReferenceV1(mean=121.4, sd=0)}, n, 1e5)
    assert constant.scales[0] is not None
    assert constant.scales[0].sd >= 0.5
    assert constant.scales[0].tax > REFERENCE.scales[0].tax  # type: ignore[union-attr]
    calm = [ImageStatsV1(light=121.4 + 0.3 * (-1) ** k, contrast=1, sharpness=1) for k in range(500)]
    assert run(calm, reference=constant)[0].said == 0


def test_another_layout_is_refused() -> None:
    good = covariates.pack(START)
    for bad in (b"", good[:-1], bytes([9]) + good[1:]):
        with pytest.raises(ValueError, match="no covariates of version 1"):
            covariates.unpack(bad)


def test_the_height_of_a_cusum_is_bounded() -> None:
    state = run(parts(5000, 9, light=50))
    assert state[0].up == 2 * REFERENCE.warn
    assert state[0].up_n == 5000
    assert 0 < REFERENCE.warn < 40 * UNIT
