from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streams.evidence.tensors import ANOMALY_OUTPUTS, CLASSIFY_OUTPUTS, SEGMENT_OUTPUTS, checked, names
from streams.fates import Unavailable, Unprocessable
from streams.training.stages import ParityError
from streams.wiring import fitting
from streams.wiring.adapters.model_store import ModelStore
from streams.wiring.adapters.triton import ModelRefused, TritonClient, ask
from streams.wiring.fitting import FitOptions, FitReport, fit_to_store, served_parity
from tests.helpers.fits import fitted, plates, trunk
from tests.helpers.servers import SharedTriton
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.triton
IMAGE = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)


@pytest.fixture(scope="module")
def report(triton: SharedTriton) -> FitReport:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fitting, "fit_product", lambda *_, **__: fitted())
        return fit_to_store(plates(24, 8), "plate", ModelStore(triton.store), triton=triton.grpc, trunk=trunk())


def test_served_scores_equal_offline_scores(report: FitReport) -> None:
    assert sorted(report.parity) == ["plate-anomaly/1", "plate-classify/1", "plate-segment/1"]
    assert max(report.parity.values()) < 1e-5, "the same ONNX Runtime"
    assert {m.stage: m.ref.name for m in report.model_set.models} == {
        "anomaly": "plate-anomaly", "classification": "plate-classify", "segmentation": "plate-segment"
    }  # fmt: skip


async def test_every_output_fits_the_contract(report: FitReport, triton: SharedTriton) -> None:
    async with TritonClient(triton.grpc) as client:
        seen = await client.infer("plate-anomaly", 1, {"image": IMAGE}, names(ANOMALY_OUTPUTS), 10)
        checked(seen.outputs, ANOMALY_OUTPUTS)
        assert seen.model_version == 1
        embedding = {"embedding": seen.outputs["embedding"]}
        checked(
            (await client.infer("plate-classify", 1, embedding, names(CLASSIFY_OUTPUTS), 10)).outputs, CLASSIFY_OUTPUTS, classes=3
        )
        checked(
            (await client.infer("plate-segment", 1, {"image": IMAGE}, names(SEGMENT_OUTPUTS), 10)).outputs,
            SEGMENT_OUTPUTS,
            classes=2,
        )
        only = await client.infer("plate-anomaly", 1, {"image": IMAGE}, ["score"], 10)
        assert list(only.outputs) == ["score"]


async def test_an_image_gives_the_same_bits_alone_and_beside_others(report: FitReport, triton: SharedTriton) -> None:
    images = np.random.default_rng(1).integers(0, 256, (6, 256, 256, 3), np.uint8)
    async with TritonClient(triton.grpc) as client:
        together = await client.infer("plate-anomaly", 1, {"image": images}, names(ANOMALY_OUTPUTS), 20)
        alone = [await client.infer("plate-anomaly", 1, {"image": image[None]}, names(ANOMALY_OUTPUTS), 20) for image in images]
    for name in names(ANOMALY_OUTPUTS):
        np.testing.assert_array_equal(together.outputs[name], np.concatenate([one.outputs[name] for one in alone]))


async def test_errors_have_their_fates(report: FitReport, triton: SharedTriton) -> None:
    async with TritonClient(triton.grpc) as client:
        assert await client.live()
        assert await client.ready("plate-anomaly", 1)
        assert not await client.ready("plate-anomaly", 99)
        with pytest.raises(Unprocessable, match="bad_tensor"):
            await client.infer("plate-anomaly", 1, {"image": IMAGE[:, :100]}, ["score"], 10)
        with pytest.raises(Unprocessable, match="bad_tensor"):
            await client.infer("plate-anomaly", 1, {"image": IMAGE.astype(np.float32)}, ["score"], 10)
        with pytest.raises(Unavailable):
            await client.infer("plate-anomaly", 99, {"image": IMAGE}, ["score"], 10)
        with pytest.raises(Unavailable, match="DEADLINE"):
            await client.infer("plate-anomaly", 1, {"image": IMAGE}, ["score"], 0.0005)
        with pytest.raises(ModelRefused):
            await client.load("no-such-model")
    async with TritonClient("127.0.0.1:9") as nobody:
        assert not await nobody.live()
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
            await nobody.infer("plate-anomaly", 1, {"image": IMAGE}, ["score"], 1)


def test_a_second_version_is_served_beside_the_first(report: FitReport, triton: SharedTriton) -> None:
    store = ModelStore(triton.store)
    first = store.stored("plate-classify", 1)
    card, probes = store.card("plate-classify", 1), store.probes("plate-classify", 1)
    second = store.write("plate-classify", "classify", (first.folder / "model.onnx").read_bytes(), card, probes)
    try:
        assert served_parity(triton.grpc, store, [first, second])
        assert ask(triton.grpc, TritonClient.models)["plate-classify"] == {1: "READY", second.version: "READY"}
    finally:
        store.retire("plate-classify", second.version)
        ask(triton.grpc, lambda client: client.load("plate-classify"))
    wait_until(
        lambda: not ask(triton.grpc, lambda client: client.ready("plate-classify", second.version)), 10, "the version to leave"
    )


def test_a_version_whose_served_scores_differ_is_refused_and_gone(
    report: FitReport, triton: SharedTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore(triton.store)
    before = store.models()
    honest = fitted().models[0]
    wrong = replace(honest, probes=replace(honest.probes, expected=honest.probes.expected + 1))
    monkeypatch.setattr(fitting, "fit_product", lambda *_, **__: replace(fitted(), models=(wrong,)))
    with pytest.raises(ParityError, match=r"plate-anomaly/2: served and offline score differ by 1"):
        fit_to_store(plates(24, 8), "plate", store, triton=triton.grpc, options=FitOptions(), trunk=trunk())
    assert store.models() == before
    assert ask(triton.grpc, lambda client: client.ready("plate-anomaly", 1))
    wait_until(lambda: not ask(triton.grpc, lambda client: client.ready("plate-anomaly", 2)), 10, "the version to leave")


def test_a_file_that_is_no_model_is_refused_and_gone(
    triton: SharedTriton, report: FitReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(fitted().models[1], onnx=b"no onnx")
    monkeypatch.setattr(fitting, "fit_product", lambda *_, **__: replace(fitted(), product="other", models=(broken,)))
    with pytest.raises(ModelRefused):
        fit_to_store(plates(24, 8), "other", ModelStore(triton.store), triton=triton.grpc, trunk=trunk())
    assert not (triton.store / "other-classify").exists()


def test_no_triton_ends_before_the_fit(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        fit_to_store(plates(24, 8), "plate", ModelStore(tmp_path / "models"), triton="127.0.0.1:9", trunk=trunk())
    assert list((tmp_path / "models").iterdir()) == []


def test_the_card_tells_what_a_version_stands_on(report: FitReport, triton: SharedTriton) -> None:
    card = json.loads((triton.store / "plate-anomaly/1/card.json").read_text())
    assert card["trunk_id"] == trunk().id
    assert card["data"] == report.model_set.data
    assert card["tolerance"] == report.model_set.models[0].tolerance
    assert card["calibration"]["front"] == list(report.model_set.models[0].calibration["front"])
