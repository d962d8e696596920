"""baseline.v1 as read so far: a line about every baseline, which is in force, what drift says of it. Does no I/O.

A sample may hold 50,000 scores and every version stays for ever, so samples are not kept: an entry says where one lies.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from schemas.baseline import BaselinePointerV1, BaselineStateV1, BaselineV1, CertificateV1
from schemas.common import digest
from schemas.drift import ScoreStreamV1
from schemas.envelope import ContractError, Received
from schemas.standing import Origin, Standing, standing
from schemas.topics import BASELINE
from streams.wiring.adapters.shelf import CURRENT, insist_on_digest

LOG = logging.getLogger(__name__)
STATE = "state/"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineEntry:
    """A baseline without its sample. n: scores in it; offset: of its record in baseline.v1."""

    digest: str
    stream: ScoreStreamV1
    origin: Origin
    generation: int
    anchor: str | None
    parent: str | None
    certificate: CertificateV1
    n: int
    offset: int


@dataclass
class BaselineShelf:
    """Keys: a digest (a baseline), `current/<stream>` (a pointer), `state/<stream>`; `<stream>` is the stream's digest.

    entries: by digest; pointers, states, calibrations (digest of the one that drift made): by stream.
    """

    topic: str = BASELINE
    entries: dict[str, BaselineEntry] = field(default_factory=dict)
    pointers: dict[str, BaselinePointerV1] = field(default_factory=dict)
    states: dict[str, BaselineStateV1] = field(default_factory=dict)
    calibrations: dict[str, str] = field(default_factory=dict)
    skipped: int = 0
    _early: dict[str, BaselinePointerV1] = field(default_factory=dict)

    def take(self, received: Received) -> None:
        """Add a record; one that breaks the contract is counted, logged and left out, and changes nothing."""
        try:
            self._take((received.key or b"").decode(errors="replace"), received)
        except ContractError as error:
            self.skipped += 1
            LOG.warning("%s offset %d is left out: %s", received.topic, received.offset, error)

    def standing(self, stream: str) -> Standing:
        """stream: the digest of the score stream."""
        pointer = self.pointers.get(stream)
        entry = self.entries.get(pointer.baseline or "") if pointer else None
        return standing(pointer, entry.origin if entry else None, self.calibrations.get(stream), self.states.get(stream))

    def streams(self) -> dict[str, ScoreStreamV1]:
        """Every score stream that anything is known of, by digest."""
        made = {one.stream for one in self.entries.values()}
        named = {one.stream for one in self.pointers.values()} | {one.stream for one in self.states.values()}
        return {digest(stream): stream for stream in made | named}

    def _take(self, key: str, received: Received) -> None:
        kind, value = received.header("ce_type"), received.value
        if key.startswith(CURRENT):
            self._point(key.removeprefix(CURRENT), value)
        elif key.startswith(STATE):
            self._say(key.removeprefix(STATE), value)
        elif value is not None and kind == BaselineV1.TYPE:
            self._add(key, value, received.offset)
        elif value is not None:
            raise ContractError("unknown_version", f"{kind} at key {key!r}")

    def _add(self, key: str, value: bytes, offset: int) -> None:
        message = BaselineV1.read(value)
        insist_on_digest(key, value)
        stream = digest(message.stream)
        self.entries[key] = BaselineEntry(
            digest=key,
            stream=message.stream,
            origin=message.origin,
            generation=message.generation,
            anchor=message.anchor,
            parent=message.parent,
            certificate=message.certificate,
            n=len(message.sample.scores),
            offset=offset,
        )
        if message.origin == "calibration":
            self.calibrations[stream] = key
        early = self._early.get(stream)
        if early is not None and early.baseline == key:
            self._accept(stream, early)

    def _point(self, stream: str, value: bytes | None) -> None:
        if value is None:
            self.pointers.pop(stream, None)
            self._early.pop(stream, None)
            return
        pointer = BaselinePointerV1.read(value)
        _insist_on_stream(stream, pointer.stream, CURRENT)
        entry = self.entries.get(pointer.baseline or "")
        if pointer.baseline is not None and entry is None:
            self._early[stream] = pointer  # compaction may have left only a later copy of what it names
            raise ContractError("unknown_digest", f"{CURRENT}{stream} names {pointer.baseline}, which is not here")
        if entry is not None and entry.stream != pointer.stream:
            raise ContractError("bad_pointer", f"{CURRENT}{stream} names a baseline of {digest(entry.stream)}")
        self._accept(stream, pointer)

    def _accept(self, stream: str, pointer: BaselinePointerV1) -> None:
        self.pointers[stream] = pointer
        self._early.pop(stream, None)

    def _say(self, stream: str, value: bytes | None) -> None:
        if value is None:
            self.states.pop(stream, None)
            return
        said = BaselineStateV1.read(value)
        _insist_on_stream(stream, said.stream, STATE)
        self.states[stream] = said


def _insist_on_stream(key: str, stream: ScoreStreamV1, prefix: str) -> None:
    if (found := digest(stream)) != key:
        raise ContractError("bad_pointer", f"the stream of {prefix}{key} has digest {found}")
