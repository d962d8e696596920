"""Image statistics say what was done to a picture, and nothing else; a reference knows whether its parts can be registered."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from schemas.model_set import ImageReferenceV1, PreparationV1
from streams.capture.image import prepare
from streams.evidence.image_stats import RgbImage, image_stats
from streams.training.image_reference import image_reference
from streams.workbench.plant import Knobs, plant

STATIONS = {"disc": ("plant-a/line-1/cam-1", 0), "weave": ("plant-a/line-2/cam-1", 0), "board": ("plant-a/line-3/cam-1", 1)}
NAMES = ("light", "contrast", "sharpness", "shift_x_px", "shift_y_px")


@cache
def pictures(product: str, first: int = 0, count: int = 30, **changes: float) -> tuple[RgbImage, ...]:
    station, view = STATIONS[product]
    knobs = Knobs(defect_rate=0, **changes)  # type: ignore[arg-type]
    parts = [plant(5, station, n, knobs) for n in range(first, first + count)]
    return tuple(prepare(part.views[view].encoded, PreparationV1()) for part in parts)


@cache
def reference(product: str) -> ImageReferenceV1:
    return image_reference(pictures(product))


def means(images: tuple[RgbImage, ...], product: str) -> dict[str, float]:
    found = [image_stats(image, reference(product).thumbnail) for image in images]
    known = [name for name in NAMES if name in reference(product).statistics]
    return {name: float(np.mean([getattr(stats, name) for stats in found])) for name in known}


def in_sd(images: tuple[RgbImage, ...], product: str) -> dict[str, float]:
    own = reference(product).statistics
    return {name: (value - own[name].mean) / own[name].sd for name, value in means(images, product).items()}


def moved(image: RgbImage, right: float, down: float) -> RgbImage:
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float64)
    return np.asarray(cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT), np.uint8)


def test_statistics_of_known_pictures() -> None:
    stripes: npt.NDArray[np.uint8] = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 100
    stats = image_stats(stripes)
    assert (stats.light, stats.contrast, stats.shift_x_px) == (50, 50, None)
    assert stats.sharpness == 200**2  # every pixel differs from both neighbours by 100
    flat = image_stats(np.full((256, 256, 3), 7, np.uint8), reference("disc").thumbnail)
    assert (flat.light, flat.contrast, flat.sharpness, flat.shift_x_px, flat.shift_y_px) == (7, 0, 0, None, None)


@pytest.mark.parametrize("product", ["disc", "board"])
@pytest.mark.parametrize(("right", "down"), [(6.0, -4.0), (-2.5, 9.0)])
def test_a_part_that_lies_elsewhere_is_found_there(product: str, right: float, down: float) -> None:
    thumbnail = reference(product).thumbnail
    errors = []
    for image in pictures(product, 40, 20):
        here, there = image_stats(image, thumbnail), image_stats(moved(image, right, down), thumbnail)
        assert None not in (here.shift_x_px, here.shift_y_px, there.shift_x_px, there.shift_y_px)
        found = (there.shift_x_px or 0) - (here.shift_x_px or 0), (there.shift_y_px or 0) - (here.shift_y_px or 0)
        errors.append(np.hypot(found[0] - right, found[1] - down))
    assert np.quantile(errors, 0.9) < 2  # px of 256: half a pixel of the thumbnail


def test_a_cloth_has_no_place_and_its_reference_says_so() -> None:
    assert reference("weave").thumbnail is None
    assert set(reference("weave").statistics) == {"light", "contrast", "sharpness"}
    assert image_stats(pictures("weave")[0], reference("weave").thumbnail).shift_x_px is None


@pytest.mark.parametrize("product", STATIONS)
def test_each_statistic_moves_with_what_it_is_named_for(product: str) -> None:
    usual = in_sd(pictures(product, 40, 12), product)
    assert all(abs(value) < 1.2 for value in usual.values())  # mean of 12: 4 standard errors
    assert in_sd(pictures(product, 40, 12, light_gain=0.9), product)["light"] < -1.5
    blurred = in_sd(pictures(product, 40, 12, blur_px=2.0), product)
    assert blurred["sharpness"] < -3
    assert abs(blurred["light"]) < 1.2
    aside = tuple(moved(image, 20, 0) for image in pictures(product, 40, 12))
    if "shift_x_px" in usual:
        assert in_sd(aside, product)["shift_x_px"] > 3
        assert abs(in_sd(aside, product)["shift_y_px"]) < 1.2


def test_too_few_and_lonely_pictures() -> None:
    with pytest.raises(ValueError, match="at least two"):
        image_reference(pictures("disc")[:1])
    same = image_reference([pictures("disc")[0]] * 3)
    assert {found.sd for found in same.statistics.values()} == {0}
