from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schemas.model_set import PreparationV1
from streams.capture.image import prepare
from streams.judgement.conformal import threshold_for
from streams.training.dataset import DataError, Dataset, Item
from streams.training.export import offline
from streams.training.fit import fit_product, odd_normals
from streams.training.fitted import TOLERANCE
from streams.training.policy import starting_policy
from tests.helpers.fits import fitted, item, plates, png, trunk


def score(seed: int, kind: str) -> float:
    model = fitted().model("anomaly")
    assert model is not None
    image = prepare(item(seed, kind).read(), PreparationV1())
    return float(offline(model.onnx, {"image": image[None]})["score"][0, 0])


def test_everything_is_fitted_where_the_data_allow_it() -> None:
    found = fitted()
    assert [(m.stage, m.kind, m.classes) for m in found.models] == [
        ("anomaly", "anomaly", ()),
        ("classification", "classify", ("good", "line", "spot")),
        ("segmentation", "segment", ("line", "spot")),
    ]
    anomaly, classes, segments = found.models
    assert {view: len(scores) for view, scores in anomaly.calibration.items()} == {"front": 12, "back": 12}
    assert all(list(scores) == sorted(scores) for scores in anomaly.calibration.values())
    assert {view: looks.n for view, looks in anomaly.image.items()} == {"front": 12, "back": 12}
    assert anomaly.metrics["auroc"] > 0.95
    assert classes.ok_parts == 12, "parts, not pictures: two pictures of each"
    assert segments.metrics["f1"] > 0.5
    assert not found.notes


def test_a_new_good_part_is_normal_and_a_new_defect_is_not() -> None:
    model = fitted().model("anomaly")
    assert model is not None
    threshold = threshold_for(0.1, model.calibration["front"])
    good = np.array([score(seed, "good") for seed in range(100, 112)])
    bad = np.array([score(seed, kind) for seed in range(100, 106) for kind in ("spot", "line")])
    assert (good > threshold).mean() < 0.4
    assert (bad > threshold).all()


def test_the_starting_policy_asks_for_no_rate_that_does_not_exist() -> None:
    policy = starting_policy(fitted())
    assert policy.anomaly is not None
    assert policy.anomaly.alpha == 1 / 13
    assert {name: rule.disposition for name, rule in policy.classes.items()} == {
        "good": "pass", "line": "rework", "spot": "rework"
    }  # fmt: skip


def test_without_good_parts_only_a_classifier_of_images_is_fitted_and_told() -> None:
    data = plates(0, 8, masks=False)
    found = fit_product(data, "plate", trunk(), seed=1)
    assert [(m.kind, m.input, m.ok_parts) for m in found.models] == [("classify-image", "image", 0)]
    assert "a pass does not exist" in " ".join(found.notes)
    assert "no segmentation" in " ".join(found.notes)
    assert starting_policy(found).anomaly is None
    again = fit_product(data, "plate", trunk(), seed=1)
    assert [m.onnx for m in again.models] == [m.onnx for m in found.models], "the same data and seed give the same bytes"
    assert again.data == found.data
    other = Dataset(items=(*data.items[:-1], replace(data.items[-1], group="x")))
    assert fit_product(other, "plate", trunk(), seed=1).data != found.data


def test_good_parts_alone_give_an_anomaly_model() -> None:
    found = fit_product(plates(12, 0), "plate", trunk())
    assert [m.stage for m in found.models] == ["anomaly"]
    assert found.thresholds == {}
    assert "no classification" in " ".join(found.notes)


def test_too_few_good_parts_are_told() -> None:
    data = plates(4, 6, masks=False)
    found = fit_product(data, "plate", trunk())
    assert [m.kind for m in found.models] == ["classify-image"]
    assert "no anomaly model: 2 good parts, at least 5 are needed" in found.notes


def test_nothing_to_fit_is_an_error_that_says_why() -> None:
    with pytest.raises(DataError, match=r"2 good parts.*1 classes"):
        fit_product(plates(4, 0), "plate", trunk())


def test_a_damaged_image_or_mask_is_named() -> None:
    good = plates(12, 4).items
    broken = Item(name="good/broken.png", kind="good", group="b", data=png(np.zeros((40, 40), np.uint8))[:60])
    with pytest.raises(DataError, match=r"good/broken.png: truncated.*remove or replace"):
        fit_product(Dataset(items=(*good, broken)), "plate", trunk())
    small = replace(good[-1], mask=png(np.full((10, 12), 255, np.uint8)), name="spot/odd.png")
    with pytest.raises(DataError, match=r"mask of spot/odd.png: 12 x 10 pixels, its image has 128 x 128"):
        fit_product(Dataset(items=(*good[:-1], small)), "plate", trunk())


def test_probes_are_answered_by_the_file_as_stored() -> None:
    for model in fitted().models:
        answer = offline(model.onnx, {model.probes.input: model.probes.images})[model.probes.output]
        assert np.abs(answer - model.probes.expected).max() <= TOLERANCE[model.stage] / 10


def test_defects_among_the_good_parts_are_told() -> None:
    """Two in a hundred that stand far out; the same scores without them, and too few scores, say nothing."""
    clean = [1 + 0.001 * k for k in range(200)]
    dirty = sorted([*clean[:196], 3.0, 3.1, 3.2, 3.3])
    (note,) = odd_normals({"face": dirty, "back": clean, "side": dirty[-50:]})
    assert note.startswith("face: the strangest 1 %")
    assert "they may be defective" in note
