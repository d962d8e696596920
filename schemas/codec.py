"""Messages to Kafka records and back. Knows every type of the table of topics, nothing of what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from schemas.common import Message
from schemas.envelope import ContractError, Envelope, Received, Record, envelope_of, event_type
from schemas.ids import parse_inspection
from schemas.topics import TOPIC_OF

SCHEMA_BASE = "urn:verdictline:schema:"
REGISTRY, CONSOLE = "urn:verdictline:registry", "urn:verdictline:console"


def record_of(message: Message, *, id: str, station: str, subject: str, time: datetime | None = None) -> Record:
    """A JSON message of a station-keyed topic. subject: the inspection, or what else it is about."""
    try:
        sequence = parse_inspection(subject).sequence
    except ValueError:
        sequence = None
    envelope = Envelope(
        id=id,
        source=station,
        type=message.TYPE,
        subject=subject,
        time=time,
        sequence=sequence,
        partitionkey=station,
        dataschema=SCHEMA_BASE + message.TYPE,
    )
    return enveloped(envelope, message.json_bytes())


def keyed(message: Message, *, id: str, key: str, subject: str, time: datetime | None, source: str = REGISTRY) -> Record:
    """A JSON message of a topic that no station keys: a version, pointer, state or act."""
    envelope = Envelope(
        id=id,
        source=source,
        type=message.TYPE,
        subject=subject,
        time=time,
        partitionkey=key,
        dataschema=SCHEMA_BASE + message.TYPE,
    )
    return enveloped(envelope, message.json_bytes())


def enveloped(envelope: Envelope, value: bytes, *, key: str | None = None) -> Record:
    """Any event: topic by its type, key by its partition key unless one is given."""
    text = envelope.partitionkey if key is None else key
    return Record(
        topic=TOPIC_OF[envelope.type],
        key=None if text is None else text.encode(),
        value=value,
        headers=envelope.headers(),
    )


class Reader:
    """Reads the types that a processor handles.

    A foreign or unhandled type gives None (ignored and counted by the caller); another version of a handled type raises
    ContractError `unknown_version`, bad headers and data raise it as `missing_header`, `bad_header`, `not_json`, `bad_data`.
    """

    def __init__(self, *handled: type[Message]) -> None:
        self._by_type: Mapping[str, type[Message]] = {message.TYPE: message for message in handled}
        self._kinds = {(t.topic, t.kind) for t in map(event_type, self._by_type) if t}

    def wants(self, received: Received) -> bool:
        """Whether `read` would give a message or an error: cheap, for filtering."""
        text = received.header("ce_type")
        if text is None or text in self._by_type:
            return True
        kind = event_type(text)
        return kind is not None and (kind.topic, kind.kind) in self._kinds

    def read(self, received: Received) -> tuple[Envelope, Message] | None:
        if not self.wants(received):
            return None
        envelope = envelope_of(received.headers)
        message = self._by_type.get(envelope.type)
        if message is None:
            raise ContractError("unknown_version", f"{envelope.type}: this program knows {', '.join(sorted(self._by_type))}")
        return envelope, message.read(received.value or b"")
