"""A record of embedding.v1 as what is kept of it. Pure; asks nobody whether it is worth keeping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.capture import EMBEDDING_TYPE, context_of
from schemas.envelope import ContractError, Received, envelope_of

MOST_VALUES = 8192
NARROWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """One view's embedding. trunk: what made it; vector: float16, as the trunk gave it. at_ms: append time."""

    inspection: str
    view: str
    product: str
    trunk: str
    at_ms: int
    vector: NDArray[np.float16]


def embedded(received: Received) -> Embedded | None:
    """None: it is of a type that is not read here. Raises ContractError: reason and what is wrong."""
    if received.header("ce_type") != EMBEDDING_TYPE:
        return None
    envelope = envelope_of(received.headers)
    context, trunk = context_of(envelope), envelope.extensions.get("trunkid")
    if not trunk or len(trunk) > 200:
        raise ContractError("no_trunk", f"{context.inspection}: no ce_trunkid says what made it")
    return Embedded(
        inspection=context.inspection,
        view=context.view,
        product=context.product,
        trunk=trunk,
        at_ms=received.timestamp_ms,
        vector=_vector(received.value or b""),
    )


def _vector(value: bytes) -> NDArray[np.float16]:
    """Raises ContractError `bad_embedding`."""
    if len(value) % 2 or not 2 * NARROWEST <= len(value) <= 2 * MOST_VALUES:
        raise ContractError("bad_embedding", f"{len(value)} bytes are no fp16 values, {NARROWEST} to {MOST_VALUES} of them")
    vector = np.frombuffer(value, "<f2")
    if not np.isfinite(vector).all() or not vector.any():
        raise ContractError("bad_embedding", "zeros alone, or NaN or infinity among them: it has no direction")
    return vector
