"""challenge.v1 as read so far: registered parts, schedules, sets that wait, results, proofs, windows. Judges nothing.

Everything is read from the topic's beginning: of a part and of a schedule the last word counts, and it may be years old.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from confluent_kafka import KafkaException, TopicPartition

from schemas.challenge import (
    ChallengeDueV1,
    ChallengePartV1,
    ChallengeResultV1,
    ChallengeScheduleV1,
    DetectionLimitV1,
    StationProofV1,
    SuspectWindowV1,
)
from schemas.codec import Reader as Codec
from schemas.codec import record_of
from schemas.common import Message
from schemas.envelope import ContractError, Received, rfc3339
from schemas.topics import CHALLENGE
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable, Reader, Writer, ends, read_all, starts

LOG = logging.getLogger(__name__)
_WAKE_S = 0.25
_AGAIN_S = 1.0
_WORK = (ChallengePartV1, ChallengeScheduleV1, ChallengeDueV1, ChallengeResultV1)
_ALL = (*_WORK, StationProofV1, SuspectWindowV1, DetectionLimitV1)
Line = tuple[str, str, str]  # station, product, proof
M = TypeVar("M", bound=Message)


@dataclass
class Registered:
    """What a gateway needs. parts: by station and name, retired ones too. waiting: sets without a result, by station and id."""

    parts: dict[tuple[str, str], ChallengePartV1] = field(default_factory=dict)
    schedules: dict[Line, ChallengeScheduleV1] = field(default_factory=dict)
    waiting: dict[tuple[str, str], ChallengeDueV1] = field(default_factory=dict)
    unreadable: int = 0
    _codec: Codec = field(default_factory=lambda: Codec(*_WORK))

    def copy(self) -> Registered:
        """As it is now, for another thread."""
        return Registered(parts=dict(self.parts), schedules=dict(self.schedules), waiting=dict(self.waiting))

    def take(self, record: Received) -> None:
        """Add a record; one that breaks the contract is counted and left out."""
        try:
            read = self._codec.read(record)
        except ContractError as error:
            self.unreadable += 1
            LOG.warning("%s offset %d is left out: %s", record.topic, record.offset, error)
            return
        if read is not None:
            self._take(read[1])

    def _take(self, message: Message) -> None:
        if isinstance(message, ChallengePartV1):
            self.parts[message.station, message.part] = message
        elif isinstance(message, ChallengeScheduleV1):
            self.schedules[message.station, message.product, message.proof] = message
        elif isinstance(message, ChallengeDueV1):
            self.waiting.setdefault((message.station, message.set), message)
        elif isinstance(message, ChallengeResultV1):
            self.waiting.pop((message.station, message.set), None)


@dataclass
class Challenges(Registered):
    """Everything, for reports. windows: pages by station and set; limits: by station and product, in order."""

    results: dict[Line, list[ChallengeResultV1]] = field(default_factory=dict)
    proofs: dict[Line, StationProofV1] = field(default_factory=dict)
    windows: dict[tuple[str, str], dict[int, SuspectWindowV1]] = field(default_factory=dict)
    limits: dict[tuple[str, str], list[DetectionLimitV1]] = field(default_factory=dict)
    _codec: Codec = field(default_factory=lambda: Codec(*_ALL))

    def _take(self, message: Message) -> None:
        super()._take(message)
        if isinstance(message, ChallengeResultV1):
            _once(self.results.setdefault((message.station, message.product, message.proof), []), message)
        elif isinstance(message, StationProofV1):
            self.proofs[message.station, message.product, message.proof] = message
        elif isinstance(message, SuspectWindowV1):
            self.windows.setdefault((message.station, message.set), {})[message.page] = message
        elif isinstance(message, DetectionLimitV1):
            _once(self.limits.setdefault((message.station, message.product), []), message)

    def lines(self) -> list[Line]:
        """Every station, product and kind of proof that anything was said of."""
        named = ((part.station, part.product, part.proof) for part in self.parts.values())
        return sorted({*self.schedules, *self.proofs, *self.results, *named})

    def windows_of(self, line: Line) -> list[dict[int, SuspectWindowV1]]:
        """Pages by number, of each window in the order of the log."""
        return [pages for pages in self.windows.values() if any((w.station, w.product, w.proof) == line for w in pages.values())]


def _once(known: list[M], message: M) -> None:
    if message not in known[-8:]:  # a copy comes soon after
        known.append(message)


def read_challenges(client: Mapping[str, Any]) -> Challenges:
    """All of the topic as it is now. Raises KafkaUnreachable, KafkaRefused."""
    found = Challenges()
    for record in read_all(client, [CHALLENGE]):
        found.take(record)
    return found


def publish(client: Mapping[str, Any], *messages: ChallengePartV1 | ChallengeScheduleV1 | ChallengeDueV1) -> None:
    """Write what a person said; returns when the broker has it. Raises KafkaUnreachable, KafkaRefused."""
    writer = Writer(client, **{"linger.ms": 0})
    for message in messages:
        writer.send(record_of(message, id=_id(message), station=message.station, subject=_about(message)))
    writer.flush()


def _about(message: ChallengePartV1 | ChallengeScheduleV1 | ChallengeDueV1) -> str:
    if isinstance(message, ChallengeDueV1):
        return message.set
    return message.part if isinstance(message, ChallengePartV1) else f"{message.product}/{message.proof}"


def _id(message: ChallengePartV1 | ChallengeScheduleV1 | ChallengeDueV1) -> str:
    if isinstance(message, ChallengeDueV1):
        return f"{message.station}/{message.set}/due"
    return f"{message.station}/{_about(message)}/{rfc3339(message.at)}"


class Feed:
    """challenge.v1 from its beginning and as it grows. ready: read to the end that it had when the reading began."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client
        self.ready = threading.Event()

    def states(self, stop: threading.Event) -> Iterator[Registered]:
        """What is registered, whole: first when `ready` is set, then whenever more was read. Until `stop`.

        Where Kafka was away it is read anew: sets that were answered long ago must not wait again meanwhile, so what was known
        stays until that reading is whole, too.
        """
        while not stop.is_set():
            known, told = Registered(), False
            try:
                for records, whole in self._records(stop):
                    for record in records:
                        known.take(record)
                    if whole and (records or not told):
                        self.ready.set()
                        told = True
                        yield known.copy()
            except (KafkaRefused, KafkaUnreachable, KafkaException) as error:
                LOG.warning("%s cannot be followed: %s", CHALLENGE, error)
                stop.wait(_AGAIN_S)

    def _records(self, stop: threading.Event) -> Iterator[tuple[Sequence[Received], bool]]:
        """(what came, whether all is read that was there when the reading began), a few times a second, also without records."""
        end, begin = ends(self._client, [CHALLENGE]), starts(self._client, [CHALLENGE])
        with Reader(self._client, [TopicPartition(*place, offset) for place, offset in begin.items()]) as reader:
            while not stop.is_set():
                records = reader.take(_WAKE_S) or ()
                yield records, all(reader.at[place] >= offset for place, offset in end.items())
