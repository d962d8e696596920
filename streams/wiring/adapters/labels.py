"""label.v1 and taxonomy.v1 as read to their ends: what people said, and every version of the classes. Judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.envelope import ContractError, Received
from schemas.label import LabelV1
from schemas.taxonomy import TaxonomyPointerV1, TaxonomyV1
from schemas.topics import LABEL, TAXONOMY
from streams.wiring.adapters.kafka import follow, read_all
from streams.wiring.adapters.shelf import CURRENT, insist_on_digest


@dataclass(kw_only=True)
class Said:
    """labels: in the order of each partition, so of each person and part. classes: versions by digest; current: by product.

    unreadable: records that broke the contract, left out.
    """

    labels: list[LabelV1] = field(default_factory=list)
    classes: dict[str, TaxonomyV1] = field(default_factory=dict)
    current: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0

    def take(self, received: Received) -> None:
        try:
            self._take(received, received.header("ce_type"), (received.key or b"").decode(errors="replace"))
        except ContractError:
            self.unreadable += 1

    def _take(self, received: Received, kind: str | None, key: str) -> None:
        value = received.value
        if value is None:
            return
        if kind == LabelV1.TYPE:
            self.labels.append(LabelV1.read(value))
        elif kind == TaxonomyV1.TYPE:
            insist_on_digest(key, value)
            self.classes[key] = TaxonomyV1.read(value)
        elif kind == TaxonomyPointerV1.TYPE and key.startswith(CURRENT):
            self.current[key.removeprefix(CURRENT)] = TaxonomyPointerV1.read(value).digest


def read_said(client: Mapping[str, Any]) -> Said:
    """Raises KafkaUnreachable, KafkaRefused."""
    said = Said()
    for received in read_all(client, [LABEL, TAXONOMY]):
        said.take(received)
    return said


def follow_said(client: Mapping[str, Any], stopped: Callable[[], bool], idle_s: float = 1.0) -> Iterator[Said]:
    """All that was said, whenever more has come and then nothing for `idle_s`; for ever, or until `stopped()`.

    Raises as `read_said` at the start.
    """
    said, fresh = Said(), True
    for received in follow(client, [LABEL, TAXONOMY], start="first", stopped=stopped, idle_s=idle_s):
        if received is not None:
            said.take(received)
            fresh = True
        elif fresh:
            fresh = False
            yield said
