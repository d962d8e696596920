"""Names, types and shapes of what the three kinds of models take and give, and the check of an answer. Knows no Triton.

Any model with these tensors can take a stage's place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from schemas.common import Stage
from streams.fates import Unprocessable

Array = npt.NDArray[Any]
Kind = Literal["anomaly", "classify", "classify-image", "segment"]

SIZE_PX = 256
MAP_SIDE = 32
MASK_SIDE = 64
EMBEDDING_SIZE = 992


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """shape: without the batch; -1 is the number of classes."""

    name: str
    shape: tuple[int, ...]
    dtype: type[np.generic] = np.float32


IMAGE = Tensor(name="image", shape=(SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
EMBEDDING = Tensor(name="embedding", shape=(EMBEDDING_SIZE,))
SCORE = Tensor(name="score", shape=(1,))
SCORE_MID = Tensor(name="score_mid", shape=(1,))
SCORE_DEEP = Tensor(name="score_deep", shape=(1,))
ANOMALY_MAP = Tensor(name="anomaly_map", shape=(MAP_SIDE, MAP_SIDE))
LOGITS = Tensor(name="logits", shape=(-1,))
PROBABILITIES = Tensor(name="probabilities", shape=(-1,))
MASK_LOGITS = Tensor(name="mask_logits", shape=(-1, MASK_SIDE, MASK_SIDE))

ANOMALY_OUTPUTS = (SCORE, SCORE_MID, SCORE_DEEP, ANOMALY_MAP, EMBEDDING)
CLASSIFY_OUTPUTS = (LOGITS, PROBABILITIES)
SEGMENT_OUTPUTS = (MASK_LOGITS,)

INPUTS: Mapping[Kind, Tensor] = {"anomaly": IMAGE, "classify": EMBEDDING, "classify-image": IMAGE, "segment": IMAGE}
OUTPUTS: Mapping[Kind, tuple[Tensor, ...]] = {
    "anomaly": ANOMALY_OUTPUTS,
    "classify": CLASSIFY_OUTPUTS,
    "classify-image": CLASSIFY_OUTPUTS,
    "segment": SEGMENT_OUTPUTS,
}
SUFFIX: Mapping[Stage, Literal["anomaly", "classify", "segment"]] = {
    "anomaly": "anomaly",
    "classification": "classify",
    "segmentation": "segment",
}


def model_name(product: str, stage: Stage) -> str:
    """Its name in Triton and its folder in the model store."""
    return f"{product}-{SUFFIX[stage]}"


def names(tensors: Sequence[Tensor]) -> tuple[str, ...]:
    return tuple(tensor.name for tensor in tensors)


def checked(answer: Mapping[str, Array], wanted: Sequence[Tensor], *, batch: int = 1, classes: int | None = None) -> None:
    """Raises Unprocessable `bad_tensor`: an output is absent, has another type or shape, or holds NaN or infinity."""
    for tensor in wanted:
        array = answer.get(tensor.name)
        if array is None:
            raise Unprocessable("bad_tensor", f"{tensor.name}: not in the answer, which has {', '.join(answer) or 'nothing'}")
        if array.dtype != tensor.dtype:
            raise Unprocessable("bad_tensor", f"{tensor.name}: {array.dtype}, not {np.dtype(tensor.dtype)}")
        shape = (batch, *(size if size >= 0 else classes for size in tensor.shape))
        fits = array.ndim == len(shape) and all(want is None or got == want for got, want in zip(array.shape, shape, strict=True))
        if not fits:
            raise Unprocessable("bad_tensor", f"{tensor.name}: shape {array.shape}, not {shape}")
        if not np.isfinite(array).all():
            raise Unprocessable("bad_tensor", f"{tensor.name}: holds NaN or infinity")
