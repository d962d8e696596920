"""A mask file is what the contract says or it is refused; what is painted is measured as segmentation is, and said by a label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from schemas.label import LabelledViewV1, MaskV1
from schemas.policy import PolicyV1
from streams.capture.image import encode_png
from streams.evidence.measures import Scale, instances
from streams.fates import Unprocessable
from streams.review.labels import Shelf, last_of, shelve
from streams.review.masks import MOST_BYTES, Painted, mask_of, measured, read_mask, scale_of, sized, with_mask, write_mask
from tests.helpers.history import RULES
from tests.helpers.labels import IMAGE, NOW, SHA, label
from tests.helpers.masks import grey_png, png

MASKS = npst.arrays(bool, npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)).filter(lambda mask: mask.any())
MASK = MaskV1(uri="file:///masks/1", sha256=SHA, bytes=99, width_px=640, height_px=480)


@given(MASKS)
def test_what_is_written_is_read_and_so_is_what_the_page_writes(mask: np.ndarray) -> None:
    height, width = mask.shape
    assert (read_mask(write_mask(mask), width, height) == mask).all()
    assert (read_mask(png(mask), width, height) == mask).all()
    assert write_mask(read_mask(png(mask), width, height)) == write_mask(mask)


@given(MASKS)
def test_a_mask_is_measured_as_segmentation_would_measure_it_wherever_it_lies(mask: np.ndarray) -> None:
    """Only the painted box is looked at: the whole map gives the same."""
    scale = Scale(cell_px=1, mm_per_px=0.1, u_scale=0.01, critical=(3.0, 4.0))
    around = np.pad(mask, ((5, 3), (2, 9)))
    assert measured(around, "scratch", scale) == instances(around.astype(np.uint8), (0, 0), ("scratch",), scale)


def test_nothing_painted_measures_nothing() -> None:
    assert measured(np.zeros((4, 5), bool), "scratch", Scale(cell_px=1)) == ()


LINE = np.zeros((480, 640), bool)
LINE[100:104, 200:240] = True
ROWS = b"\0" * (641 * 480)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "0 bytes"),
        (b"\x89PNG\r\n\x1a\n", "header"),
        (b"GIF89a" + bytes(50), "GIF"),
        (png(LINE)[:-20], "truncated"),
        (png(LINE)[:60] + bytes(40) + png(LINE)[100:], "bad_mask"),
        (png(LINE[:, :639]), "639 x 480 pixels, its image 640 x 480"),
        (png(LINE.T), "480 x 640"),
        (png(np.zeros((480, 640), bool)), "nothing is painted"),
        (encode_png(np.full((480, 640), 128, np.uint8)), "other values"),
        (encode_png(np.zeros((480, 640, 3), np.uint8)), "8 bits grey"),
        (encode_png(np.full((480, 640), 65535, np.uint16)), "8 bits grey"),
        (grey_png(640, 480, ROWS, bits=1), "8 bits grey"),
        (grey_png(640, 480, ROWS, colour=3), "8 bits grey"),
        (grey_png(640, 480, b"\0" * 100), "bad_mask"),
        (grey_png(60_000, 60_000, ROWS), "too_large"),
        (grey_png(640, 480, b"\0" * (400 << 20)), "nothing is painted"),  # a bomb: no more than the image's size is unpacked
        (b"\x89PNG\r\n\x1a\n" + bytes(MOST_BYTES), "limit"),
    ],
)
def test_what_is_no_mask_of_that_image_is_refused_with_its_reason(data: bytes, said: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        read_mask(data, 640, 480)
    assert caught.value.reason == "bad_mask"
    assert said in str(caught.value)


def test_the_scale_is_the_views_own_else_that_of_all_views_else_none() -> None:
    changes = {"mm_per_px": {"*": 0.1, "v2": 0.2}, "u_scale": 0.01, "critical": {"v2": {"x_px": 5, "y_px": 6}}}
    assert RULES.geometry is not None
    policy = RULES.model_copy(update={"geometry": RULES.geometry.model_validate({**RULES.geometry.model_dump(), **changes})})
    assert scale_of(policy, "v1") == Scale(cell_px=1, mm_per_px=0.1, u_scale=0.01)
    assert scale_of(policy, "v2") == Scale(cell_px=1, mm_per_px=0.2, u_scale=0.01, critical=(5.0, 6.0))
    assert scale_of(PolicyV1(product="disc", title="t"), "v1") == Scale(cell_px=1)


@pytest.mark.parametrize(("length_px", "fate"), [(15, "rework"), (20, "review"), (25, "scrap")])
def test_the_policy_says_what_the_size_means(length_px: int, fate: str) -> None:
    """The limit is 2 mm, a pixel .1 mm: within the guard band neither side is proven."""
    mask = np.zeros((480, 640), bool)
    mask[50, 100 : 100 + length_px] = True
    size = sized(measured(mask, "scratch", scale_of(RULES, "v1")), "scratch", RULES, "v1")
    assert size.disposition == fate
    assert size.instances[0].length_mm == pytest.approx(length_px / 10)
    assert all("length_mm" in why for why in size.reasons)


def test_a_class_whose_size_decides_nothing_is_not_sized() -> None:
    for name in ("dent", "good", "no-such-class"):
        with pytest.raises(ValueError, match="decides nothing"):
            sized((), name, RULES, "v1")


def test_a_label_with_a_mask_takes_the_last_one_back_says_the_same_and_stands_alone() -> None:
    before = label(answer="defect", label="scratch", taxonomy=SHA, opinion="second", shown="audit", audit_probability=0.1)
    copied = IMAGE.model_copy(update={"uri": "file:///images/1"})
    painted = Painted(view="v1", image=copied, mask=MASK, looked_ms=7)
    after = with_mask(before, painted, before.id, "ada", "engineer", NOW)
    assert (after.withdraws, mask_of(after, "v1"), after.views[0].image) == (before.id, MASK, copied)
    told = {"views", "withdraws", "looked_ms", "role"}
    assert before.model_dump(exclude=told) == after.model_dump(exclude=told)
    shelf = shelve(Shelf(), [before, after, after.model_copy()])
    assert shelf.standing() == [after]
    assert (shelf.copies, shelf.conflicts) == (1, 0)
    assert last_of([before, after], "ada") == after


def test_masks_of_other_views_stay_and_a_view_that_is_not_of_the_label_is_refused() -> None:
    views = (LabelledViewV1(view="v1", image=IMAGE, mask=MASK), LabelledViewV1(view="v2", image=IMAGE))
    before = label(answer="defect", label="scratch", taxonomy=SHA, of="part", views=views)
    other = MASK.model_copy(update={"sha256": "b" * 64})
    after = with_mask(before, Painted(view="v2", image=IMAGE, mask=other, looked_ms=7), before.id, "ada", "reviewer", NOW)
    assert [one.mask for one in after.views] == [MASK, other]
    with pytest.raises(ValueError, match="not of view v3"):
        with_mask(before, Painted(view="v3", image=IMAGE, mask=other, looked_ms=7), None, "ada", "reviewer", NOW)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_noise_that_calls_itself_a_mask_is_refused_or_read_and_nothing_else(seed: int, width: int, height: int) -> None:
    data = bytearray(png(np.ones((height, width), bool)))
    rng = np.random.default_rng(seed)
    for at in rng.integers(8, len(data), 4):
        data[at] = rng.integers(256)
    try:
        found = read_mask(bytes(data), width, height)
    except Unprocessable:
        return
    assert found.shape == (height, width)
