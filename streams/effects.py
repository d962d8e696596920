"""What one step of a keyed, pure machine has caused, and the shape of that machine: the seam between stages and engines.

Knows nothing of Kafka, clocks or any message. A stage's machine is a Shard; an engine drives one for each partition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas.envelope import Received, Record

Pack = Callable[[], bytes]
"""Gives the bytes of a state that is replaced and never mutated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """outputs: records to send, in order. changed: changelog entries to write, key -> state or None (deleted).

    Entries of one batch are merged: only the last one of a key is written. unpacked: entries whose bytes are made only then.
    ignored: the record was not for us.
    """

    outputs: Sequence[Record] = ()
    changed: Mapping[str, bytes | None] = field(default_factory=dict)
    unpacked: Mapping[str, Pack] = field(default_factory=dict)
    ignored: bool = False


NOTHING = Effects()
IGNORED = Effects(ignored=True)


class Shard(Protocol):
    """All state of one partition. It may be mutable inside: an engine that aborts throws it away and restores another."""

    def restore(self, key: str, value: bytes | None) -> None:
        """Take one changelog record, in log order. value None: the key was deleted."""
        ...

    def step(self, record: Received) -> Effects:
        """Take one input record; time is `record.timestamp_ms`, nothing else.

        Raises Unprocessable, or anything: then nothing was changed, and the record becomes a dead letter.
        """
        ...
