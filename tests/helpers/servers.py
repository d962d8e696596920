"""The servers that a test session shares: real ones that the environment names, else embedded ones."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.workbench.kafka import EmbeddedKafka
from streams.workbench.triton import EmbeddedTriton


@dataclass(frozen=True, kw_only=True)
class SharedKafka:
    """A Kafka for everybody: take names of your own from `fresh`."""

    bootstrap: str

    def fresh(self, prefix: str) -> str:
        """A name for a topic, group or transactional id that nobody else has."""
        return f"{prefix}-{uuid.uuid4().hex[:10]}"


@dataclass(frozen=True, kw_only=True)
class SharedTriton:
    """grpc, http: host:port. store: the folder that it serves; put a model there, then load it by name."""

    grpc: str
    http: str
    store: Path


@contextmanager
def shared_kafka() -> Iterator[SharedKafka]:
    if named := os.environ.get("VERDICTLINE_KAFKA"):
        yield SharedKafka(bootstrap=named)
        return
    with EmbeddedKafka() as kafka:
        yield SharedKafka(bootstrap=kafka.bootstrap)


@contextmanager
def shared_triton(store: Path) -> Iterator[SharedTriton]:
    """A named Triton serves the folder VERDICTLINE_MODEL_STORE, in explicit mode, as the embedded one does."""
    if named := os.environ.get("VERDICTLINE_TRITON"):
        host = named.rpartition(":")[0]
        yield SharedTriton(grpc=named, http=f"{host}:8000", store=Path(os.environ["VERDICTLINE_MODEL_STORE"]))
        return
    with EmbeddedTriton(store) as triton:
        yield SharedTriton(grpc=triton.grpc_url, http=triton.http_url, store=store)
