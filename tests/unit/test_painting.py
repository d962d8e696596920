"""Painted defects: as large, as strong and as placed as asked; the same generator gives the same pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture.image import decode, encode_png
from streams.capture.painting import Mark, Painted, Pixels, paint, part_area, scratch_width_px
from streams.fates import Unprocessable

SIDE = 256
DTYPES = {"uint8": 255, "uint16": 65535}


def disc(dtype: str = "uint8", channels: int = 0, seed: int = 0) -> Pixels:
    """A grey disc with a bore on a dark ground, with noise; its radius is 100 px."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    radius = np.hypot(x, y)
    grey = np.where((radius < 100) & (radius > 30), 0.5, 0.1) + np.random.default_rng(seed).normal(0, 0.01, (SIDE, SIDE))
    pixels = (grey * DTYPES[dtype]).astype(dtype)
    return np.repeat(pixels[..., None], channels, axis=2) if channels else pixels


def painted(mark: Mark, image: Pixels, seed: int = 1) -> Painted:
    grey_range = float(np.iinfo(image.dtype).max)
    return paint(image, mark, part_area(image, grey_range=grey_range), np.random.default_rng(seed), grey_range=grey_range)


marks = st.builds(
    Mark,
    kind=st.sampled_from(["scratch", "spot"]),
    size_px=st.floats(1.5, 48),
    contrast=st.floats(-0.3, 0.3).filter(lambda value: abs(value) > 0.02),
)


@settings(max_examples=60, deadline=None)
@given(mark=marks, dtype=st.sampled_from(list(DTYPES)), channels=st.sampled_from([0, 3]), seed=st.integers(0, 1 << 32))
def test_only_the_mark_changes_and_it_lies_on_the_part(mark: Mark, dtype: str, channels: int, seed: int) -> None:
    image = disc(dtype, channels)
    before = image.copy()
    one, two = painted(mark, image, seed), painted(mark, image, seed)
    assert np.array_equal(image, before)
    assert one.image.dtype == image.dtype
    assert one.image.shape == image.shape
    assert encode_png(one.image) == encode_png(two.image)
    changed = np.argwhere((one.image != image).reshape(SIDE, SIDE, -1).any(axis=2)) - (one.y, one.x)
    assert np.hypot(*changed.T).max(initial=0) <= np.hypot(mark.size_px, mark.width_px) / 2 + 3
    y, x = np.argwhere(one.mask).T - (SIDE - 1) / 2
    assert (np.abs(np.hypot(x, y) - 65) < 36).all(), "between bore and rim"
    assert np.array_equal(decode(encode_png(one.image)), one.image)


@pytest.mark.parametrize("size", [6.0, 20.0, 60.0])
def test_a_scratch_has_its_length_width_and_contrast(size: float) -> None:
    image = np.full((SIDE, SIDE), 128, np.uint8)
    done = painted(Mark(kind="scratch", size_px=size, contrast=-0.25), image)
    y, x = (np.argwhere(done.mask) - (done.y, done.x)).T
    along = x * np.cos(done.angle) + y * np.sin(done.angle)
    across = y * np.cos(done.angle) - x * np.sin(done.angle)
    assert np.ptp(along) + 1 == pytest.approx(size, abs=1.2)
    assert np.ptp(across) + 1 == pytest.approx(3, abs=1.2)
    assert done.mask.sum() == pytest.approx(3 * size, rel=0.15, abs=3)
    assert 128 - int(done.image.min()) == pytest.approx(0.25 * 255, abs=1)


@pytest.mark.parametrize("size", [5.0, 12.0, 40.0])
def test_a_spot_has_its_diameter(size: float) -> None:
    done = painted(Mark(kind="spot", size_px=size, contrast=0.2), np.full((SIDE, SIDE), 100, np.uint8))
    assert done.mask.sum() == pytest.approx(np.pi * size**2 / 4, rel=0.12)
    assert int(done.image.max()) - 100 == pytest.approx(0.2 * 255, abs=1)


def test_a_mark_below_a_pixel_fades_instead_of_growing() -> None:
    flat = np.full((SIDE, SIDE), 128, np.uint8)
    depths = [128 - int(painted(Mark(kind="spot", size_px=s, contrast=-0.4), flat, 3).image.min()) for s in (0.4, 1.0, 4.0)]
    assert depths[0] < depths[1] < depths[2]


def test_the_part_is_what_differs_from_the_border() -> None:
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    radius = np.hypot(x, y)
    area = part_area(disc(), grey_range=255)
    assert not area[(radius > 100) | (radius < 30)].any()
    assert area[(radius < 80) & (radius > 50)].all()
    colour = np.zeros((SIDE, SIDE, 3), np.uint8) + np.array([40, 40, 40], np.uint8)
    colour[64:192, 64:192] = (20, 60, 40)  # as grey as the ground, of another colour
    assert part_area(colour, grey_range=255)[100:150, 100:150].all()


@pytest.mark.parametrize(
    "image", [np.full((100, 90), 77, np.uint8), np.random.default_rng(0).integers(0, 256, (104, 96), np.uint8)]
)
def test_where_nothing_stands_out_the_whole_image_is_the_part(image: Pixels) -> None:
    area = part_area(image, grey_range=255)
    assert area[8:-16, 8:-16].all()
    assert not area[:8].any()
    assert not area[:, :8].any()
    assert not area[-8:].any()


def test_what_has_no_room_is_refused() -> None:
    spot = Mark(kind="spot", size_px=5, contrast=0.1)
    with pytest.raises(Unprocessable, match="no_place"):
        painted(Mark(kind="scratch", size_px=250, contrast=0.1), disc())
    with pytest.raises(Unprocessable, match="no_place"):
        paint(disc(), spot, np.zeros((SIDE, SIDE), bool), np.random.default_rng(0), grey_range=255)
    with pytest.raises(Unprocessable, match="too_small"):
        part_area(np.zeros((20, 300), np.uint8), grey_range=255)


def test_light_and_dark_stay_inside_the_type() -> None:
    image = np.full((SIDE, SIDE), 250, np.uint8)
    done = painted(Mark(kind="spot", size_px=20, contrast=1.0), image)
    assert (done.image.min(), done.image.max()) == (250, 255)
    assert painted(Mark(kind="spot", size_px=20, contrast=-1.0), image).image.min() == 0


def test_a_scratch_is_as_wide_in_every_resolution() -> None:
    assert scratch_width_px(np.zeros((512, 700), np.uint8)) == 4
    assert scratch_width_px(np.zeros((100, 100), np.uint8)) == 2
