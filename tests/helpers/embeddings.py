"""Embeddings as the anomaly processor publishes them, and an intake that is fed without Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.capture import Context, embedding_envelope
from schemas.codec import enveloped
from schemas.common import digest
from schemas.envelope import Received, Record
from schemas.ids import parse_inspection
from streams.wiring.adapters.embeddings.intake import Intake
from streams.wiring.adapters.embeddings.stands import Stands
from tests.helpers.console import Desk
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.history import MODELS, RULES
from tests.helpers.judgement import SHA, image_ref

WIDTH = 48
Vector = NDArray[np.float32]


def heap(n: int, centre: int, noise: float = 0.2, width: int = WIDTH) -> list[Vector]:
    """n vectors around one direction; the same arguments always give the same."""
    chance = np.random.default_rng((centre, n))
    middle = np.abs(np.random.default_rng(centre).normal(size=width))
    return [np.abs(middle + noise * chance.normal(size=width)).astype(np.float32) for _ in range(n)]


def embedding(inspection: str, vector: Vector | bytes, trunk: str = "trunk", **changes: Any) -> Record:
    """changes: of the context."""
    about = {
        "inspection": inspection,
        "station": parse_inspection(inspection).station,
        "view": "v1",
        "views": 1,
        "product": "disc",
        "acquisition": SHA,
        "purpose": "production",
        "model_set": digest(MODELS),
        "policy": digest(RULES),
        "decide_within_s": 5.0,
        "sha256": SHA,
    }
    value = vector if isinstance(vector, bytes) else vector.astype("<f2").tobytes()
    return enveloped(embedding_envelope(Context.model_validate(about | changes), trunk, image_ref()), value)


def log(records: Sequence[Record], first: int = 0, at_ms: int = T0_MS) -> list[Received]:
    """One partition, from that offset on."""
    return [appended(record, first + n, at_ms) for n, record in enumerate(records)]


def intake_of(desk: Desk, **limits: int) -> Intake:
    return Intake(desk.kept, desk.embeddings, Stands(desk.questions), **limits)


def fed(desk: Desk, records: Sequence[Record]) -> Intake:
    """An intake that has read these from the beginning of partition 0, and turned once."""
    intake, place = intake_of(desk), ("embedding.v1", 0)
    intake.begin({place: 0}, {place: len(records)})
    intake.take(log(records))
    intake.turn()
    return intake
