"""CloudEvents 1.0 in Kafka's binary mode: attributes in `ce_*` headers, the data is the record's value.

Knows the attributes that every message carries, nothing of their meaning. The source of the mapping is
the CloudEvents Kafka protocol binding 1.0.2, section 3.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

JSON = "application/json"
OCTETS = "application/octet-stream"
Headers = tuple[tuple[str, bytes], ...]

_TYPE = re.compile(r"verdictline\.(?P<topic>[a-z]+(?:-[a-z]+)*)\.(?P<kind>[a-z]+(?:-[a-z]+)*)\.v(?P<version>[0-9]+)")
_REQUIRED = ("specversion", "id", "source", "type", "subject")
_KNOWN = frozenset((*_REQUIRED, "time", "sequence", "partitionkey", "dataschema", "traceparent"))
_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
_AHEAD, _BEHIND = timedelta(hours=1), timedelta(days=31)


class ContractError(ValueError):
    """Headers or data break the contract. reason: a code fit for a metric label; detail: what, where."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One event's attributes. extensions: lower-case letters and digits -> text (ValueError otherwise)."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime | None = None
    sequence: str | None = None
    partitionkey: str | None = None
    dataschema: str | None = None
    traceparent: str | None = None
    content_type: str = JSON
    extensions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.extensions:
            if name in _KNOWN or not _EXTENSION.fullmatch(name):
                raise ValueError(f"{name!r} is no name for a CloudEvents extension attribute")

    def headers(self) -> Headers:
        """As Kafka headers; absent attributes are left out."""
        pairs = [
            ("specversion", "1.0"),
            ("id", self.id),
            ("source", self.source),
            ("type", self.type),
            ("subject", self.subject),
            ("time", None if self.time is None else rfc3339(self.time)),
            ("sequence", self.sequence),
            ("partitionkey", self.partitionkey),
            ("dataschema", self.dataschema),
            ("traceparent", self.traceparent),
            *self.extensions.items(),
        ]
        named = [(f"ce_{name}", value.encode()) for name, value in pairs if value is not None]
        return (*named, ("content-type", self.content_type.encode()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One Kafka record to send. partition: None lets the key decide."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One Kafka record as read. timestamp_ms: the broker's append time, milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> str | None:
        """The first header of that name as text, or None. Bytes that are no UTF-8 read as absent."""
        for key, value in self.headers:
            if key == name:
                try:
                    return value.decode() if value is not None else None
                except UnicodeDecodeError:
                    return None
        return None

    @property
    def appended(self) -> datetime:
        return from_millis(self.timestamp_ms)


def envelope_of(headers: Iterable[tuple[str, bytes | None]]) -> Envelope:
    """Read the attributes back. Raises ContractError `missing_header` or `bad_header`."""
    values: dict[str, str] = {}
    for name, raw in headers:
        try:
            values.setdefault(name, (raw or b"").decode())
        except UnicodeDecodeError as error:
            raise ContractError("bad_header", f"header {name!r} is not UTF-8") from error
    found = {name[3:]: value for name, value in values.items() if name.startswith("ce_")}
    if missing := [f"ce_{name}" for name in _REQUIRED if not found.get(name)]:
        raise ContractError("missing_header", f"no {', '.join(missing)}: not a CloudEvent in binary mode")
    if found["specversion"] != "1.0":
        raise ContractError("bad_header", f"ce_specversion is {found['specversion']!r}, not '1.0'")
    time = found.get("time")
    try:
        parsed = None if time is None else parse_rfc3339(time)
    except ValueError as error:
        raise ContractError("bad_header", f"ce_time is {time!r}, not RFC 3339") from error
    return Envelope(
        id=found["id"],
        source=found["source"],
        type=found["type"],
        subject=found["subject"],
        time=parsed,
        sequence=found.get("sequence"),
        partitionkey=found.get("partitionkey"),
        dataschema=found.get("dataschema"),
        traceparent=found.get("traceparent"),
        content_type=values.get("content-type", OCTETS),
        extensions={k: v for k, v in found.items() if k not in _KNOWN and _EXTENSION.fullmatch(k)},
    )


@dataclass(frozen=True, slots=True)
class EventType:
    """`verdictline.<topic>.<kind>.v<version>` taken apart."""

    topic: str
    kind: str
    version: int


def event_type(text: str) -> EventType | None:
    """The parts of a type of ours, None for a foreign one."""
    found = _TYPE.fullmatch(text)
    return EventType(found["topic"], found["kind"], int(found["version"])) if found else None


def rfc3339(time: datetime) -> str:
    """UTC with microseconds and a Z. time must be aware (ValueError)."""
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> datetime:
    """An aware UTC time. Raises ValueError."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return time.astimezone(UTC)


def from_millis(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def to_millis(time: datetime) -> int:
    """Milliseconds since 1970, rounded to the nearest."""
    return round(time.timestamp() * 1000)


def taken_at(captured: datetime | None, announced: datetime) -> datetime:
    """When a part was taken: its time of capture, or that of its announcement where the capture's cannot be believed.

    A camera's clock that is an hour ahead of the broker's, or a month behind it, is wrong.
    """
    if captured is None or not -_AHEAD <= announced - captured <= _BEHIND:
        return announced
    return captured
