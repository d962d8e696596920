"""What a head was fitted on: kept whole beside it, and enough to fit the very same head again."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from streams.training.fit import fit_product
from streams.training.fitted import Fitted
from streams.training.stages import fit_classes_model
from streams.training.taught import Taught, chosen, dealt, joined, taught
from streams.wiring.adapters.model_store import ModelStore
from streams.wiring.fitting import fit_to_store
from tests.helpers.fits import plates, trunk


@cache
def plain() -> Fitted:
    return fit_product(plates(24, 8, masks=False), "plate", trunk(), seed=3)


def kept(found: Fitted) -> Taught:
    model = found.model("classification")
    assert model is not None
    assert model.taught is not None
    return model.taught


def test_a_refit_of_what_is_kept_gives_the_same_file_byte_for_byte(tmp_path: Path) -> None:
    report = fit_to_store(plates(24, 8, masks=False), "plate", ModelStore(tmp_path / "models"), trunk=trunk())
    store, ref = ModelStore(tmp_path / "models"), report.model_set.models[1].ref
    arrays = store.taught(ref.name, ref.version)
    assert arrays is not None
    again, _ = fit_classes_model(taught(arrays), trunk().id, None)
    assert again.onnx == (store.stored(ref.name, ref.version).folder / "model.onnx").read_bytes()
    assert store.taught("plate-anomaly", 1) is None


def test_rows_come_back_as_they_were() -> None:
    rows = kept(plain())
    back = taught(rows.arrays())
    assert (back.label, back.group, back.thumbnail) == (rows.label, rows.group, rows.thumbnail)
    assert np.array_equal(back.embedding, rows.embedding)
    assert rows.normal is not None
    assert np.array_equal(back.normal, rows.normal)  # type: ignore[arg-type]
    assert all(one.startswith(b"\xff\xd8") for one in rows.thumbnail)
    with pytest.raises(ValueError, match="embedding"):
        taught({"label": np.array(["a"])})


def test_rows_are_chosen_and_joined() -> None:
    rows = kept(plain())
    some = chosen(rows, [3, 1], ["a", "b"])
    assert (some.label, some.image) == (("a", "b"), (rows.image[3], rows.image[1]))
    both = joined(rows, some)
    assert (len(both), both.image[-1], both.thumbnail[-1]) == (len(rows) + 2, rows.image[1], rows.thumbnail[1])


def test_a_known_group_keeps_its_fold_and_new_ones_are_dealt_out_by_label() -> None:
    rows = kept(plain())
    fresh = chosen(rows, list(range(10)), ["rare"] * 10)
    names = tuple(f"new-{i // 2}" for i in range(10))
    fresh = replace(fresh, group=names, fold=np.full(10, -1))
    both = dealt(joined(rows, fresh), 5)
    assert np.array_equal(both.fold[: len(rows)], rows.fold)
    of = dict(zip(both.group[len(rows) :], both.fold[len(rows) :].tolist(), strict=True))
    assert sorted(of.values()) == [0, 1, 2, 3, 4]
    assert all(of[group] == fold for group, fold in zip(both.group[len(rows) :], both.fold[len(rows) :], strict=True))
