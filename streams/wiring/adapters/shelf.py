"""One compacted topic of versions, as read so far: every version under its digest, and which is in force where. Does no I/O."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from schemas.common import canonical
from schemas.envelope import ContractError, Received
from schemas.model_set import ModelSetPointerV1, ModelSetV1
from schemas.policy import PointerV1, PolicyV1
from schemas.topics import MODEL_SET, POLICY

LOG = logging.getLogger(__name__)
CURRENT = "current/"
V = TypeVar("V", PolicyV1, ModelSetV1)
P = TypeVar("P", PointerV1, ModelSetPointerV1)


def where_of(product: str, station: str | None) -> str:
    """The pointer's key."""
    return f"{CURRENT}{product}" if station is None else f"{CURRENT}{product}/{station}"


def insist_on_digest(key: str, value: bytes) -> None:
    """A version's key is the digest of its content, also of fields that this program does not know. Raises ContractError."""
    if (found := hashlib.sha256(canonical(json.loads(value))).hexdigest()) != key:
        raise ContractError("bad_digest", f"the content of {key} has digest {found}")


@dataclass
class Shelf(Generic[V, P]):
    """One of the two topics as read so far. Keys are digests (a version) or `current/...` (a pointer to one)."""

    version: type[V]
    pointer: type[P]
    topic: str
    act: Literal["policy_in_force", "model_set_in_force"]
    versions: dict[str, V] = field(default_factory=dict)
    pointers: dict[str, P] = field(default_factory=dict)
    skipped: int = 0

    def take(self, received: Received) -> None:
        """Add a record; one that breaks the contract is counted, logged and left out, and changes nothing."""
        try:
            self._take((received.key or b"").decode(errors="replace"), received)
        except ContractError as error:
            self.skipped += 1
            LOG.warning("%s offset %d is left out: %s", received.topic, received.offset, error)

    def _take(self, key: str, received: Received) -> None:
        if key.startswith(CURRENT):
            self._point(key, received.value)
        elif received.value is not None and received.header("ce_type") == self.version.TYPE:
            self._add(key, received.value)
        elif received.value is not None:
            raise ContractError("unknown_version", f"{received.header('ce_type')} at key {key!r}")

    def _add(self, key: str, value: bytes) -> None:
        message = self.version.read(value)
        insist_on_digest(key, value)
        self.versions[key] = message

    def _point(self, key: str, value: bytes | None) -> None:
        if value is None:
            self.pointers.pop(key, None)
            return
        pointer = self.pointer.read(value)
        version = self.versions.get(pointer.digest)
        if version is None:
            raise ContractError("unknown_digest", f"{key} names {pointer.digest}, which is not here")
        if where_of(version.product, version.station) != key:
            raise ContractError("bad_pointer", f"{key} names a version of {where_of(version.product, version.station)}")
        self.pointers[key] = pointer

    def current(self, product: str, station: str | None) -> str | None:
        """The station's own version goes before the product's."""
        own = self.pointers.get(where_of(product, station)) if station else None
        found = own or self.pointers.get(where_of(product, None))
        return found.digest if found else None


def policies() -> Shelf[PolicyV1, PointerV1]:
    return Shelf(version=PolicyV1, pointer=PointerV1, topic=POLICY, act="policy_in_force")


def model_sets() -> Shelf[ModelSetV1, ModelSetPointerV1]:
    return Shelf(version=ModelSetV1, pointer=ModelSetPointerV1, topic=MODEL_SET, act="model_set_in_force")
