"""Whatever part is asked for, its truth agrees with its pictures; and a mask is measured as it was drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streams.workbench.plant import Knobs, plant, product_named
from streams.workbench.plant.canvas import measure

SOME_PARTS = settings(max_examples=25, deadline=None)


@SOME_PARTS
@given(
    seed=st.integers(0, 2**32), line=st.integers(1, 6), n=st.integers(0, 10**12 - 1),
    wear=st.sampled_from([0.0, 1.0]), contrast=st.sampled_from([0.3, 1.0, 2.0]),
)  # fmt: skip
def test_every_defect_has_one_mask_and_its_size(seed: int, line: int, n: int, wear: float, contrast: float) -> None:
    part = plant(seed, f"plant-a/line-{line}/cam-1", n, Knobs(defect_rate=0.8, wear=wear, contrast=contrast))
    product, scale = product_named(part.product), part.mm_per_px or 0
    for view in part.views:
        here = [defect for defect in part.defects if defect.view == view.name]
        assert len(here) == len(view.masks)
        for defect, mask in zip(here, view.masks, strict=True):
            assert defect.area_mm2 == pytest.approx(np.count_nonzero(mask) * scale**2)
            assert (defect.length_mm or 0) >= (defect.width_mm or 0) > 0
            assert (defect.area_mm2 or 0) <= 1.1 * (defect.length_mm or 0) * (defect.width_mm or 0)
            assert defect.known == (defect.kind in product.known) != (defect.kind in product.unknown)
    assert part.good == (part.kinds == ("good",))


@given(
    length=st.floats(20, 200), width=st.floats(4, 18), degrees=st.floats(0, 180),
    x=st.floats(150, 360), y=st.floats(150, 360),
)  # fmt: skip
def test_a_drawn_rectangle_is_measured_to_a_few_pixels(length: float, width: float, degrees: float, x: float, y: float) -> None:
    assume(length > 1.5 * width)  # of one that is nearly square the smallest rectangle may lie otherwise once it is drawn
    mask = np.zeros((512, 512), np.uint8)
    cv2.fillPoly(mask, [np.round(cv2.boxPoints(((x, y), (length, width), degrees))).astype(np.int32)], (255,))
    size = measure(mask)
    assert size.length == pytest.approx(length, abs=3.5)
    assert size.width == pytest.approx(width, abs=3.5)
    assert np.hypot(size.x - x, size.y - y) < 2


def test_the_defect_rate_is_kept() -> None:
    """400 parts at 20 %: outside 13..27 % less than once in a thousand seeds, and the seed is fixed."""
    bad = sum(not plant(11, "plant-a/line-1/cam-1", n, Knobs(defect_rate=0.2)).good for n in range(400))
    assert 0.13 < bad / 400 < 0.27
