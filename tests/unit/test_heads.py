from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from streams.training.checkpoint import load_weights
from streams.training.features import LEVELS, Features, level_shape, rows
from streams.training.folds import group_folds, spread
from streams.training.heads.anomaly import anomaly_reference, fit_anomaly
from streams.training.heads.classes import fit_classes
from streams.training.heads.logistic import fit_logistic, penalised_loss
from streams.training.measure import LeftOut, auroc, best_cut, class_metrics, class_thresholds
from streams.training.trunk import build_trunk
from tests.helpers.fits import trunk

EQUAL = {name: 1 / 3 for name in "abc"}
TRUNK_ID = "efficientnet-lite0@256:65675959a657"
TRUNK_SHA256 = "c7a8e1657cffcc2bff22ebec981a1d8984c2a1322d5b2da46b06b49164145d51"


def test_the_trunk_is_the_same_file_everywhere() -> None:
    data = build_trunk(trunk().weights).SerializeToString(deterministic=True)
    assert trunk().id == TRUNK_ID
    assert onnx.__version__ == "1.23.2", "another onnx may write other bytes: check the trunk's answers, then pin its new hash"
    assert hashlib.sha256(data).hexdigest() == TRUNK_SHA256


def test_features_have_their_shapes_and_do_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (9, 256, 256, 3), np.uint8))
    together = trunk().features(images, (*LEVELS, "embedding"))
    assert {name: together[name].shape[1:] for name in LEVELS} == {name: tuple(level_shape(name)) for name in LEVELS}
    alone = trunk().features(images[8:], ["embedding"])["embedding"]
    np.testing.assert_allclose(together["embedding"][8:], alone, atol=1e-4)
    f8 = together["f8"]
    np.testing.assert_allclose(together["embedding"][:, 24:64], f8.mean((2, 3)), atol=1e-4)


def test_a_checkpoint_that_is_not_the_known_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(print))
    with pytest.raises(ValueError, match="sha256"):
        load_weights(path)


@pytest.fixture(autouse=True)
def _one_blas_thread() -> Iterator[None]:
    """Two threads of BLAS on two shared cores mostly wait for each other."""
    with threadpool_limits(1, user_api="blas"):
        yield


def noise(n: int, seed: int) -> Features:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(1, 0.3, (n, *level_shape(name))).astype(np.float32) for name in ("f8", "f16", "f32")}


def test_calibration_scores_are_as_high_as_those_of_unseen_parts() -> None:
    good = noise(15, 1)
    fitted = fit_anomaly(good, np.arange(15) % 5, np.random.default_rng(0))
    own = anomaly_reference(fitted.head, good)["score"][:, 0]
    unseen = anomaly_reference(fitted.head, noise(15, 2))["score"][:, 0]
    assert own.max() < fitted.scores.min(), "a bank scores its own images low"
    assert abs(np.median(unseen) - np.median(fitted.scores)) < 1.5 * fitted.scores.std()
    assert unseen.min() > own.max()


def test_a_strange_part_scores_higher_and_the_map_shows_where() -> None:
    fitted = fit_anomaly(noise(10, 1), np.arange(10) % 5, np.random.default_rng(0))
    strange = {name: array.copy() for name, array in noise(2, 3).items()}
    strange["f8"][1, ::2, 20:24, 8:12] += 6
    answer = anomaly_reference(fitted.head, strange)
    assert answer["score"][1] > answer["score"][0] + 1
    y, x = np.unravel_index(answer["anomaly_map"][1].argmax(), (32, 32))
    assert 19 <= y <= 24
    assert 7 <= x <= 12


def test_classes_are_told_apart_on_groups_left_out() -> None:
    rng = np.random.default_rng(0)
    labels = ["a"] * 20 + ["b"] * 20 + ["c"] * 20
    x = rng.normal(0, 1, (60, 992)).astype(np.float32)
    for k in range(3):
        x[20 * k : 20 * (k + 1), 10 * k : 10 * k + 10] += 3
    fitted = fit_classes(x, labels, np.arange(60) % 5, EQUAL)
    assert fitted.head.classes == ("a", "b", "c")
    assert fitted.head.temperature >= 0.5
    right = fitted.probabilities.argmax(1) == np.repeat([0, 1, 2], 20)
    assert right.mean() > 0.9
    random = fit_classes(rng.normal(0, 1, (60, 992)).astype(np.float32), labels, np.arange(60) % 5, EQUAL)
    assert (random.probabilities.argmax(1) == np.repeat([0, 1, 2], 20)).mean() < 0.6, "noise must not look learnt"


def test_logistic_regression_ends_at_its_optimum() -> None:
    rng = np.random.default_rng(0)
    x, target = rng.normal(0, 1, (60, 30)).astype(np.float32), rng.integers(0, 3, 60)
    w, b = fit_logistic(x, target, 3, 0.1)
    loss = penalised_loss(x, target, 3, 0.1)
    at = np.vstack([w, b]).ravel().astype(np.float64)
    value, gradient = loss(at)
    assert np.abs(gradient).max() < 1e-3, "convex: a flat point is the optimum"
    assert value < loss(np.zeros_like(at))[0]
    away = at + 1e-4 * (np.arange(len(at)) == 7)
    assert (loss(away)[0] - loss(at - (away - at))[0]) / 2e-4 == pytest.approx(gradient[7], abs=1e-4), "the gradient is one"


def test_two_classes_have_two_columns() -> None:
    x = np.random.default_rng(0).normal(0, 1, (20, 992)).astype(np.float32)
    x[10:, :40] += 4
    fitted = fit_classes(x, ["a"] * 10 + ["b"] * 10, np.arange(20) % 4, {"a": 0.5, "b": 0.5})
    assert fitted.head.weight.shape == (992, 2)
    assert (fitted.probabilities.argmax(1) == np.repeat([0, 1], 10)).mean() > 0.9
    with pytest.raises(ValueError, match="two classes"):
        fit_classes(x, ["a"] * 20, np.arange(20) % 4, {"a": 1.0})


def test_expected_shares_move_the_probabilities_and_nothing_else() -> None:
    x = np.random.default_rng(0).normal(0, 1, (30, 992)).astype(np.float32)
    x[15:, :20] += 1
    labels, folds = ["bad"] * 15 + ["good"] * 15, np.arange(30) % 5
    even = fit_classes(x, labels, folds, {"bad": 0.5, "good": 0.5})
    rare = fit_classes(x, labels, folds, {"bad": 0.2, "good": 0.8})
    np.testing.assert_array_equal(rare.head.weight, even.head.weight)
    odds = [p.probabilities[:, 1] / p.probabilities[:, 0] for p in (rare, even)]
    np.testing.assert_allclose(odds[0] / odds[1], 4, rtol=1e-3)


def left_out(labels: list[str], shares: dict[str, float], normal: list[bool] | None = None) -> LeftOut:
    """Predictions `a` (or `good`) with probabilities from .5 to .99."""
    share = np.linspace(0.5, 0.99, len(labels))
    probabilities = np.stack([share, 1 - share], 1).astype(np.float32)
    flags = None if normal is None else np.array(normal)
    return LeftOut(classes=list(shares), labels=labels, probabilities=probabilities, shares=shares, normal=flags)


def test_thresholds_lie_where_95_percent_were_right() -> None:
    share = np.linspace(0.5, 0.99, 50)
    labels = ["b" if p < 0.7 else "a" for p in share]
    threshold = class_thresholds(left_out(labels, {"a": 0.5, "b": 0.5}))["a"]
    assert 0.65 < threshold < 0.72
    rare = class_thresholds(left_out(labels, {"a": 0.99, "b": 0.01}))["a"]
    assert rare == 0.5, "where b is rare, nearly all that is called a is a"
    assert class_thresholds(left_out(["a"] * 50, {"a": 0.5, "b": 0.5})) == {"a": 0.5, "b": 0.99}


def test_good_is_judged_among_normal_parts() -> None:
    share = np.linspace(0.5, 0.99, 50)
    labels = ["dent" if p < 0.7 else "good" for p in share]
    shares = {"good": 0.5, "dent": 0.5}
    strict = left_out(labels, shares, [True] * 50)
    relaxed = left_out(labels, shares, [label == "good" for label in labels])
    assert class_thresholds(strict)["good"] > 0.65
    assert class_thresholds(relaxed)["good"] == 0.5, "the anomaly model catches the dents"
    assert class_metrics(relaxed, {"good": 0.5, "dent": 0.5})["accepted_good"] == 1


def test_ranking_and_cut() -> None:
    good, bad = np.array([0, 1, 2], np.float32), np.array([1, 3], np.float32)
    assert auroc(good, bad) == (0.5 + 1 + 3) / 6
    target = np.zeros((1, 1, 64, 64), np.float32)
    target[..., :20, :20] = 1
    cut, f1 = best_cut(np.where(target > 0, 1.1, 0.6).astype(np.float32), target)
    assert 0.6 <= cut < 1.1
    assert f1 == 1


@given(
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from("xyz")), min_size=2, max_size=60).filter(
        lambda pairs: len({group for group, _ in pairs}) > 1
    )
)
def test_folds_never_tear_a_group(pairs: list[tuple[int, str]]) -> None:
    groups, labels = [str(group) for group, _ in pairs], [label for _, label in pairs]
    folds = group_folds(groups, labels, 5, np.random.default_rng(0))
    assert all(len({f for f, g in zip(folds, groups, strict=True) if g == group}) == 1 for group in groups)
    assert len(set(folds.tolist())) == min(5, len(set(groups)))
    chosen = spread(groups, 5, np.random.default_rng(0))
    assert len(chosen) == min(5, len(groups)) == len(set(chosen))
    assert len({groups[i] for i in chosen}) == min(len(chosen), len(set(groups))), "as many groups as possible"


def test_rows_keep_the_names() -> None:
    assert {name: len(array) for name, array in rows(noise(3, 0), np.array([True, False, True])).items()} == {
        "f8": 2, "f16": 2, "f32": 2
    }  # fmt: skip
