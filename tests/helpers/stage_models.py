"""Models with the tensors of the three stages, written by hand: what they answer can be computed in the head.

Brightness b in 0..1 is the image's mean. Score: 10 b. Embedding: 992 times 10 b. Classes: `bright` wins from b = .5 on.
Masks: `scratch` where a 4 x 4 cell is brighter than .7, `dent` where it is darker than .1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from schemas.common import ModelRef
from schemas.model_set import ModelSetV1, ModelV1, PreparationV1

TRUNK = "brightness@256:0123456789ab"
DIGEST = "0" * 64
CLASSES = ("good", "bright")
MASKS = ("scratch", "dent")
CALIBRATION = tuple(float(i) / 20 for i in range(100))  # 0 .. 4.95

_CONFIG = """name: "{name}"
backend: "onnxruntime"
max_batch_size: 8
input [ {input} ]
output [ {outputs} ]
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
dynamic_batching {{ max_queue_delay_microseconds: 0 }}
version_policy {{ all {{ }} }}
"""
_IMAGE = ("image", TensorProto.UINT8, [256, 256, 3])
_Row = tuple[str, list[str], list[str], Mapping[str, Any]]
_MEAN: list[_Row] = [("Cast", ["image"], ["f"], {"to": TensorProto.FLOAT}), ("Mul", ["f", "tenth"], ["g"], {})]


def _nodes(rows: list[tuple[str, list[str], list[str], Mapping[str, Any]]]) -> list[NodeProto]:
    return [helper.make_node(kind, inputs, outputs, **more) for kind, inputs, outputs, more in rows]


def _put(store: Path, name: str, nodes: list[NodeProto], constants: Mapping[str, Any], source: tuple[str, int, list[int]],
         outputs: dict[str, list[int]]) -> None:  # fmt: skip
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", *shape]) for n, shape in outputs.items()]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(source[0], source[1], ["n", *source[2]])],
        infos,
        [numpy_helper.from_array(np.asarray(value), n) for n, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = store / name
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(model.SerializeToString())
    kinds = {int(TensorProto.UINT8): "TYPE_UINT8", int(TensorProto.FLOAT): "TYPE_FP32"}
    taken = f'{{ name: "{source[0]}" data_type: {kinds[source[1]]} dims: {source[2]} }}'
    given = ", ".join(f'{{ name: "{n}" data_type: TYPE_FP32 dims: {shape} }}' for n, shape in outputs.items())
    (folder / "config.pbtxt").write_text(_CONFIG.format(name=name, input=taken, outputs=given))


def put_anomaly(store: Path, product: str) -> None:
    outputs = {"score": [1], "score_mid": [1], "score_deep": [1], "anomaly_map": [32, 32], "embedding": [992]}
    nodes = _nodes(
        [
            *_MEAN,
            ("ReduceMean", ["g"], ["m"], {"axes": [1, 2, 3], "keepdims": 0}),
            ("Unsqueeze", ["m", "one"], ["score"], {}),
            ("Identity", ["score"], ["score_mid"], {}),
            ("Identity", ["score"], ["score_deep"], {}),
            ("MatMul", ["score", "spread"], ["embedding"], {}),
            ("ReduceMean", ["g"], ["grey"], {"axes": [3], "keepdims": 0}),
            ("Unsqueeze", ["grey", "one"], ["plane"], {}),
            ("AveragePool", ["plane"], ["pooled"], {"kernel_shape": [8, 8], "strides": [8, 8]}),
            ("Squeeze", ["pooled", "one"], ["anomaly_map"], {}),
        ]
    )
    constants = {"tenth": np.float32(10 / 255), "one": np.array([1]), "spread": np.ones((1, 992), np.float32)}
    _put(store, f"{product}-anomaly", nodes, constants, _IMAGE, outputs)


def _class_nodes(source: str) -> list[NodeProto]:
    return _nodes(
        [
            ("MatMul", [source, "w"], ["x"], {}),
            ("Add", ["x", "b"], ["logits"], {}),
            ("Softmax", ["logits"], ["probabilities"], {"axis": 1}),
        ]
    )


_CLASS_OUTPUTS = {"logits": [2], "probabilities": [2]}
_BIAS = np.array([0, -5], np.float32)


def put_classifier(store: Path, product: str) -> None:
    """Of embeddings."""
    weights = np.zeros((992, 2), np.float32)
    weights[0, 1] = 1
    source = ("embedding", TensorProto.FLOAT, [992])
    _put(store, f"{product}-classify", _class_nodes("embedding"), {"w": weights, "b": _BIAS}, source, _CLASS_OUTPUTS)


def put_image_classifier(store: Path, product: str) -> None:
    rows: list[_Row] = [
        *_MEAN,
        ("ReduceMean", ["g"], ["m"], {"axes": [1, 2, 3], "keepdims": 0}),
        ("Unsqueeze", ["m", "one"], ["score"], {}),
    ]
    constants = {"tenth": np.float32(10 / 255), "one": np.array([1]), "w": np.array([[0, 1]], np.float32), "b": _BIAS}
    _put(store, f"{product}-classify", [*_nodes(rows), *_class_nodes("score")], constants, _IMAGE, _CLASS_OUTPUTS)


def put_segments(store: Path, product: str) -> None:
    nodes = _nodes(
        [
            *_MEAN,
            ("ReduceMean", ["g"], ["grey"], {"axes": [3], "keepdims": 0}),
            ("Unsqueeze", ["grey", "one"], ["plane"], {}),
            ("AveragePool", ["plane"], ["cells"], {"kernel_shape": [4, 4], "strides": [4, 4]}),
            ("Mul", ["cells", "slope"], ["x"], {}),
            ("Add", ["x", "offset"], ["mask_logits"], {}),
        ]
    )
    constants = {
        "tenth": np.float32(10 / 255),
        "one": np.array([1]),
        "slope": np.array([2, -2], np.float32).reshape(1, 2, 1, 1),
        "offset": np.array([-14, 2], np.float32).reshape(1, 2, 1, 1),
    }
    _put(store, f"{product}-segment", nodes, constants, _IMAGE, {"mask_logits": [2, 64, 64]})


def _ref(name: str) -> ModelRef:
    return ModelRef(name=name, version=1, digest=DIGEST, profile="cpu-fp32")


def full_set(product: str, **changes: object) -> ModelSetV1:
    """Anomaly, classification of embeddings, segmentation. changes: of the anomaly model."""
    prep, trunk = PreparationV1(), {"trunk_id": TRUNK, "tolerance": 1e-3}
    anomaly = ModelV1(
        stage="anomaly", ref=_ref(f"{product}-anomaly"), input="image", preparation=prep, calibration={"v1": CALIBRATION}, **trunk
    )  # fmt: skip
    classes = ModelV1(
        stage="classification", ref=_ref(f"{product}-classify"), input="embedding", classes=CLASSES, preparation=prep, **trunk
    )  # fmt: skip
    segments = ModelV1(
        stage="segmentation", ref=_ref(f"{product}-segment"), input="image", classes=MASKS, preparation=prep, cut=0.0, **trunk
    )  # fmt: skip
    return ModelSetV1(product=product, models=(anomaly.model_copy(update=changes), classes, segments), data=DIGEST)


def image_classifier_set(product: str) -> ModelSetV1:
    """Classification of images alone."""
    model = ModelV1(
        stage="classification", ref=_ref(f"{product}-classify"), input="image", classes=CLASSES, preparation=PreparationV1(),
        trunk_id=TRUNK, tolerance=1e-3,
    )  # fmt: skip
    return ModelSetV1(product=product, models=(model,), data=DIGEST)
