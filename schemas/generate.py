"""The contract for other languages: JSON Schema of every message, one AsyncAPI 3 document. Returns data, writes no file.

The JSON Schemas say what a reader accepts: more fields than it knows are no fault, because a version only ever grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.json_schema import GenerateJsonSchema

from schemas.capture import EMBEDDING_TYPE, IMAGE_TYPE, TICKET_TYPE, Context
from schemas.codec import SCHEMA_BASE
from schemas.common import Message
from schemas.dead_letter import FACTS, PREFIX
from schemas.topics import DEAD_LETTER, TOPICS, Topic

Json = dict[str, Any]
DRAFT = "https://json-schema.org/draft/2020-12/schema"
VERSION = "1.0.0"
_FORMAT = "application/schema+json;version=draft-2020-12"
_KAFKA = "0.5.0"
_ABOUT_IMAGES = (IMAGE_TYPE, TICKET_TYPE, EMBEDDING_TYPE)
_EMBEDDED = ("ce_trunkid", "ce_imageuri", "ce_imagebytes", "ce_imagetype")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """by: the processor, or who else it is. group: the consumer group, where it is a member of one."""

    by: str
    action: Literal["send", "receive"]
    topic: str
    group: str | None = None


class _Plain(GenerateJsonSchema):
    """Without a title for each field: it would only repeat the name."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def json_schemas() -> dict[str, Json]:
    """Type -> JSON Schema (draft 2020-12) of the record's value; of its headers where the value is no JSON."""
    messages = {message.TYPE: message for topic in TOPICS for message in topic.messages}
    found = {name: _schema(name, message) for name, message in messages.items()}
    return {**found, **{name: _headers_schema(name) for name in (IMAGE_TYPE, EMBEDDING_TYPE)}}


def _schema(name: str, message: type[Message]) -> Json:
    schema: Json = _open(message.model_json_schema(schema_generator=_Plain))
    return {"$schema": DRAFT, "$id": SCHEMA_BASE + name, **schema}


def _open(node: Any) -> Any:
    """The same without `additionalProperties: false`."""
    if isinstance(node, list):
        return [_open(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {k: _open(v) for k, v in node.items() if not (k == "additionalProperties" and v is False)}


def _headers_schema(name: str) -> Json:
    parts = [_event_headers(), *([_context_headers()] if name in _ABOUT_IMAGES else []), *_own_headers(name)]
    properties = {header: schema for part in parts for header, schema in part["properties"].items()}
    required = [header for part in parts for header in part.get("required", [])]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"$schema": DRAFT, "$id": SCHEMA_BASE + name, "title": f"Headers of {name}", **schema}


def _event_headers() -> Json:
    """What every record's Kafka headers hold, as text."""
    properties: Json = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": _text("Deterministic: the same event has the same id, however often it comes."),
        "ce_source": _text("The station `site/line/station`, or who else speaks."),
        "ce_type": _text("verdictline.<topic>.<kind>.v<version>"),
        "ce_subject": _text("The inspection `site/line/station:epoch-n`, or what else it is about."),
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_sequence": _text("Sorts as text in the order of (epoch, n)."),
        "ce_partitionkey": _text("The record's key."),
        "ce_dataschema": _text("The $id of the data's JSON Schema."),
        "ce_traceparent": _text("W3C trace context."),
        "content-type": _text("Media type of the value."),
    }
    required = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject"]
    return {"type": "object", "properties": properties, "required": required}


def _context_headers() -> Json:
    """What an image's headers say beside it, because its value is no JSON or only a ticket."""
    fields = Context.model_fields
    properties = {f"ce_{header}": _extension(field) for field, header in Context.HEADERS.items()}
    required = [f"ce_{header}" for field, header in Context.HEADERS.items() if fields[field].is_required()]
    return {"type": "object", "properties": properties, "required": required}


def _own_headers(name: str) -> list[Json]:
    own: list[Json] = [{"properties": {"ce_type": {"const": name}}}]
    if name == EMBEDDING_TYPE:
        properties = {**dict.fromkeys(_EMBEDDED, _text("")), "ce_imagebytes": {"type": "string", "pattern": r"^[0-9]+$"}}
        own.append({"properties": properties, "required": list(_EMBEDDED)})
    return own


def _text(description: str) -> Json:
    return {"type": "string", "minLength": 1, **({"description": description} if description else {})}


def _extension(field: str) -> Json:
    """A context field as a header: numbers are written in decimal."""
    schema = Context.model_json_schema(schema_generator=_Plain)["properties"][field]
    options = [s for s in schema.get("anyOf", [schema]) if s.get("type") != "null"]
    plain = {k: v for k, v in options[0].items() if k in ("pattern", "enum", "maxLength")}
    numbers = {"integer": r"^[0-9]+$", "number": r"^[0-9.e+-]+$"}
    if pattern := numbers.get(options[0].get("type", "")):
        plain = {"pattern": pattern}
    return {"type": "string", **plain}


def asyncapi(operations: Iterable[Operation]) -> Json:
    """The AsyncAPI 3.0.0 document. Message payloads refer to `json/<type>.json` beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Verdictline",
            "version": VERSION,
            "description": "Streaming visual inspection: images in, exactly one verdict for each part out.\n\n"
            "CloudEvents 1.0 in Kafka's binary mode. Delivery is at least once and ids are deterministic: "
            "ignore an id that was seen before. An SPC or MES reads verdict.v1 and nothing else.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {_name(topic.name): _channel(topic) for topic in TOPICS},
        "operations": {_operation_name(o): _operation(o) for o in operations},
        "components": {"schemas": {"event": _event_headers(), "context": _context_headers()}, "messages": dict(_messages())},
    }


def _name(topic: str) -> str:
    """A topic's name where AsyncAPI allows no dots."""
    return topic.replace(".", "-")


def _message_name(kind: str) -> str:
    return kind.removeprefix("verdictline.").replace(".", "-")


def _channel(topic: Topic) -> Json:
    kinds = [*(message.TYPE for message in topic.messages), *topic.raw]
    names = [_message_name(kind) for kind in kinds] or (["dead-letter"] if topic.name == DEAD_LETTER else [])
    private = "" if names else " Private to its processor."
    settings: Json = {"cleanup.policy": [topic.cleanup], "max.message.bytes": topic.max_bytes}
    if topic.cleanup == "delete":
        settings["retention.ms"] = -1 if topic.retention_ms is None else topic.retention_ms
        settings["retention.bytes"] = -1 if topic.retention_bytes is None else topic.retention_bytes
    if topic.segment_bytes is not None:
        settings["segment.bytes"] = topic.segment_bytes
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}.{private}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": settings,
                "bindingVersion": _KAFKA,
            }
        },
    }


def _messages() -> Iterable[tuple[str, Json]]:
    for topic in TOPICS:
        for message in topic.messages:
            payload = {"schemaFormat": _FORMAT, "schema": {"$ref": f"./json/{message.TYPE}.json"}}
            yield _message_name(message.TYPE), _message(topic, message.TYPE, _summary(message), {"payload": payload})
        for kind in topic.raw:
            yield _message_name(kind), _message(topic, kind, _RAW[kind][1], {"contentType": _RAW[kind][0]})
    yield "dead-letter", _dead_letter()


_RAW = {
    IMAGE_TYPE: ("image/*", "One view's image as it was taken, PNG, JPEG, BMP or TIFF; the context is in the headers."),
    EMBEDDING_TYPE: ("application/octet-stream", "The trunk's pooled embedding of a view: fp16, little-endian."),
}


def _summary(message: type[Message]) -> str:
    return (message.__doc__ or "").strip().splitlines()[0]


def _message(topic: Topic, kind: str, summary: str, more: Mapping[str, Any]) -> Json:
    key = {"type": "string", "description": topic.key}
    bindings = {"kafka": {"key": key, "bindingVersion": _KAFKA}}
    event, context = ({"$ref": f"#/components/schemas/{part}"} for part in ("event", "context"))
    headers = {"allOf": [event, *([context] if kind in _ABOUT_IMAGES else []), *_own_headers(kind)]}
    return {"name": kind, "summary": summary, "headers": headers, **more, "bindings": bindings}


def _dead_letter() -> Json:
    facts = {PREFIX + name: {"type": "string"} for name in FACTS}
    return {
        "name": "dead-letter",
        "summary": "A message that can never be processed: its own bytes and headers, and beside them why and where it was.",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": facts, "required": list(facts)},
    }


def _operation_name(operation: Operation) -> str:
    return f"{operation.by}-{operation.action}-{_name(operation.topic)}"


def _operation(operation: Operation) -> Json:
    group: Json = {"groupId": {"type": "string", "const": operation.group}} if operation.group else {}
    channel = {"$ref": f"#/channels/{_name(operation.topic)}"}
    return {"action": operation.action, "channel": channel, "bindings": {"kafka": {**group, "bindingVersion": _KAFKA}}}
