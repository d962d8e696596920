"""Windows cover what was asked for; sizes of known shapes come out right, with an uncertainty that holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.common import Region
from streams.evidence.geometry import Window, covered, cut_window, label_map, put_together, windows
from streams.evidence.measures import Scale, instances
from streams.fates import Unprocessable

SIDE = st.integers(32, 900)


@given(SIDE, SIDE, st.data())
def test_windows_are_squares_inside_the_image_that_cover_the_region(width: int, height: int, data: st.DataObject) -> None:
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    region = Region(x0=x0, y0=y0, x1=data.draw(st.integers(x0 + 1, width + 50)), y1=data.draw(st.integers(y0 + 1, height + 50)))
    seen = np.zeros((height, width), bool)
    parts = windows(region, width, height)
    for window in parts:
        assert window.side == min(256, width, height)
        assert 0 <= window.x <= width - window.side
        assert 0 <= window.y <= height - window.side
        seen[window.y : window.y + window.side, window.x : window.x + window.side] = True
    assert seen[region.y0 : region.y1, region.x0 : region.x1].all()
    whole = covered(parts)
    assert seen.sum() == (whole.x1 - whole.x0) * (whole.y1 - whole.y0)  # no holes


def test_a_region_outside_the_image_and_one_too_large_are_refused() -> None:
    with pytest.raises(Unprocessable, match=r"bad_region: .*outside"):
        windows(Region(x0=600, y0=0, x1=700, y1=10), 600, 400)
    with pytest.raises(Unprocessable, match=r"bad_region: .*limit"):
        windows(Region(x0=0, y0=0, x1=8000, y1=8000), 8000, 8000)


def test_a_window_is_cut_at_native_resolution_and_small_ones_are_enlarged() -> None:
    pixels = np.arange(300 * 400 * 3, dtype=np.uint32).astype(np.uint8).reshape(300, 400, 3)
    assert (cut_window(pixels, Window(x=10, y=20, side=256)) == pixels[20:276, 10:266]).all()
    assert cut_window(pixels, Window(x=0, y=0, side=100)).shape == (256, 256, 3)


def test_windows_put_together_show_a_defect_across_their_borders_as_one() -> None:
    truth = np.zeros((400, 700), np.uint8)
    truth[190:200, 40:660] = 1
    parts = windows(Region(x0=0, y0=0, x1=700, y1=400), 700, 400)
    maps = [truth[w.y : w.y + w.side, w.x : w.x + w.side] for w in parts]
    assert len(parts) == 6
    assert (put_together(parts, maps) == truth).all()
    (only,) = instances(put_together(parts, maps), (0, 0), ["scratch"], Scale(cell_px=4))
    assert only.label == "scratch"
    assert only.area_px == 6200
    assert only.length_px == pytest.approx(620, abs=0.2)
    assert only.box == Region(x0=40, y0=190, x1=660, y1=200)


def test_labels_take_the_strongest_class_above_the_cut() -> None:
    logits = np.full((2, 64, 64), -5, np.float32)
    logits[0, 16:32, 16:32] = 3
    logits[1, 24:48, 24:48] = 5
    labels = label_map(logits, 256, 0.0)
    assert (labels[80, 80], labels[140, 140], labels[10, 10]) == (1, 2, 0)
    assert label_map(logits, 256, 6.0).max() == 0


@pytest.mark.parametrize("angle", range(0, 91, 15))
def test_length_width_and_area_of_a_turned_bar_within_two_standard_uncertainties(angle: int) -> None:
    length_mm, width_mm, mm_per_px = 6.0, 1.0, 0.05
    ys, xs = np.mgrid[:300, :300] - 150 + 0.31
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along, across = (xs * c + ys * s) * mm_per_px, (ys * c - xs * s) * mm_per_px
    bar = ((abs(along) <= length_mm / 2) & (abs(across) <= width_mm / 2)).astype(np.uint8)
    (seen,) = instances(bar, (0, 0), ["scratch"], Scale(cell_px=1, mm_per_px=mm_per_px, u_scale=0.002))
    diagonal = math.hypot(length_mm, width_mm)  # the largest Feret diameter of a bar
    for value, u, truth in (
        (seen.length_mm, seen.u_length_mm, diagonal),
        (seen.area_mm2, seen.u_area_mm2, length_mm * width_mm),
    ):
        assert value is not None
        assert u is not None
        assert abs(value - truth) <= 2 * u + 0.3 * mm_per_px


def test_uncertainty_grows_with_the_cell_and_with_the_scale() -> None:
    disc = (np.hypot(*(np.mgrid[:80, :80] - 40)) <= 20).astype(np.uint8)

    def seen(**scale: float) -> tuple[float, float, float]:
        (only,) = instances(disc, (100, 200), ["dent"], Scale(critical=(140, 260), **scale))
        assert only.u_length_mm is not None
        assert only.u_area_mm2 is not None
        assert only.distance_mm is not None
        return only.u_length_mm, only.u_area_mm2, only.distance_mm

    fine, coarse, unsure = (
        seen(cell_px=1, mm_per_px=0.1),
        seen(cell_px=4, mm_per_px=0.1),
        seen(cell_px=1, mm_per_px=0.1, u_scale=0.05),
    )
    assert fine[0] == pytest.approx(0.1 * math.sqrt(1 / 6))
    assert coarse[0] == pytest.approx(4 * fine[0])
    assert coarse[1] == pytest.approx(4 * fine[1])
    assert unsure[0] == pytest.approx(math.hypot(fine[0], 0.05 * 4.1))
    assert fine[2] == 0  # (140, 260) lies on the lower edge of the disc: (40, 60) in the map


def test_no_scale_no_millimetres_and_at_most_500_instances_the_largest_first() -> None:
    specks = np.zeros((100, 100), np.uint8)
    specks[::3, ::3] = 1
    specks[50:60, 50:60] = 1
    found = instances(specks, (0, 0), ["speck"], Scale(cell_px=4))
    assert len(found) == 500
    assert found[0].area_px >= 100
    assert found[0].length_mm is None
    assert found[0].u_length_mm is None
