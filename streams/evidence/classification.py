"""Classification: the model's answer to evidence. Is this a known defect, which one? Accepting a class is policy's affair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from schemas.evidence import ClassificationV1
from streams.evidence.observation import Seen
from streams.evidence.tensors import EMBEDDING_SIZE, PROBABILITIES, Array, checked
from streams.fates import Unprocessable


def classification(answer: Mapping[str, Array], classes: Sequence[str], seen: Seen) -> ClassificationV1:
    """answer: a batch of one. Raises Unprocessable `bad_tensor` where it does not fit the classes or is no distribution."""
    checked(answer, (PROBABILITIES,), classes=len(classes))
    shares = answer["probabilities"][0].astype(np.float64)
    if shares.min() < 0 or abs(shares.sum() - 1) > 1e-3:
        raise Unprocessable("bad_tensor", f"probabilities: from {shares.min():g}, summing to {shares.sum():g}")
    shares /= shares.sum()
    return ClassificationV1(
        **seen.fields(),
        probabilities={name: round(float(share), 7) for name, share in zip(classes, shares, strict=True)},
        entropy=entropy(shares),
    )


def entropy(shares: Array) -> float:
    """In nats; 0 ln 0 is 0."""
    some = shares[shares > 0]
    return max(0.0, float(-(some * np.log(some)).sum()))


def embedding_of(value: bytes) -> Array:
    """embedding.v1's value -> float32 (1, 992). Raises Unprocessable `bad_embedding`."""
    if len(value) != 2 * EMBEDDING_SIZE:
        raise Unprocessable("bad_embedding", f"{len(value)} bytes, not {2 * EMBEDDING_SIZE}")
    embedding = np.frombuffer(value, "<f2").astype(np.float32)
    if not np.isfinite(embedding).all():
        raise Unprocessable("bad_embedding", "holds NaN or infinity")
    return embedding[None]


def same_trunk(made_by: str | None, model: str) -> None:
    """Raises Unprocessable `wrong_trunk`: a head gives nonsense on another trunk's embedding."""
    if made_by != model:
        raise Unprocessable("wrong_trunk", f"the embedding is of {made_by or 'no trunk'}, the model was fitted on {model}")
