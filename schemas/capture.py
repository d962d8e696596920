"""capture.v1: one image on its way, and embedding.v1: what the trunk made of it. The context travels in the headers."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, StringConstraints, TypeAdapter, ValidationError

from schemas.common import ContentType, ImageRef, Message, Purpose, Text, fault
from schemas.envelope import ContractError, Envelope
from schemas.evidence import ChallengeStampV1
from schemas.ids import Digest, Inspection, Name, Station, evidence_id, parse_inspection

Count = Annotated[int, Field(ge=1, le=1000)]
IMAGE_TYPE = "verdictline.capture.image.v1"
TICKET_TYPE = "verdictline.capture.ticket.v1"
EMBEDDING_TYPE = "verdictline.embedding.pooled.v1"


def _stamp(value: object) -> object:
    """A header's text as the stamp in it; unknown fields are a newer writer's."""
    return ChallengeStampV1.model_validate_json(value, extra="ignore") if isinstance(value, str) else value


class Context(Message):
    """What the headers of an image and of its embedding say. decide_within_s: from the announcement's append time.

    baseline: the one in force for this view's score stream; absent: none was put in force by a person. challenge: the stamp of a
    part with a known answer, JSON in the header.
    """

    inspection: Inspection
    station: Station
    view: Name
    views: Count
    product: Name
    lot: Text | None = None
    tool: Text | None = None
    serial: Text | None = None
    visit: int = Field(default=1, ge=1)
    acquisition: Digest
    purpose: Purpose
    model_set: Digest
    policy: Digest
    decide_within_s: float = Field(gt=0, le=3600)
    baseline: Digest | None = None
    challenge: Annotated[ChallengeStampV1 | None, BeforeValidator(_stamp)] = None
    sha256: Digest

    HEADERS: ClassVar[dict[str, str]] = {
        "view": "view",
        "views": "views",
        "product": "product",
        "lot": "lot",
        "tool": "tool",
        "serial": "serial",
        "visit": "visit",
        "acquisition": "acquisition",
        "purpose": "purpose",
        "model_set": "modelset",
        "policy": "policy",
        "decide_within_s": "decidewithin",
        "baseline": "baseline",
        "challenge": "challenge",
        "sha256": "sha256",
    }

    def extensions(self) -> dict[str, str]:
        """As CloudEvents extension attributes."""
        values = {name: getattr(self, field) for field, name in self.HEADERS.items()}
        return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    return value.json_bytes().decode() if isinstance(value, Message) else str(value)


def context_of(envelope: Envelope) -> Context:
    """Raises ContractError `bad_header`."""
    found = {f: envelope.extensions[n] for f, n in Context.HEADERS.items() if n in envelope.extensions}
    try:
        return Context.model_validate({"inspection": envelope.subject, "station": envelope.source, **found})
    except ValidationError as error:
        raise ContractError("bad_header", fault(error)[1]) from error


def capture_envelope(context: Context, *, ticket: bool, content_type: str) -> Envelope:
    """The envelope of a view's image, or of the ticket that stands for a large one."""
    return _envelope(context, TICKET_TYPE if ticket else IMAGE_TYPE, "capture", content_type, {})


def embedding_envelope(context: Context, trunk_id: str, image: ImageRef) -> Envelope:
    """The envelope of a view's embedding: fp16, little-endian, as many values as the trunk gives. image: where it came from."""
    more = {"trunkid": trunk_id, "imageuri": image.uri, "imagebytes": str(image.bytes), "imagetype": image.content_type}
    return _envelope(context, EMBEDDING_TYPE, "embedding", "application/octet-stream", more)


def embedded_image(envelope: Envelope) -> ImageRef:
    """The image that an embedding was made of. Raises ContractError `bad_header`."""
    names = {"uri": "imageuri", "bytes": "imagebytes", "content_type": "imagetype", "sha256": "sha256"}
    try:
        return ImageRef.model_validate({field: envelope.extensions.get(name) for field, name in names.items()})
    except ValidationError as error:
        raise ContractError("bad_header", fault(error)[1]) from error


def _envelope(context: Context, kind: str, last: str, content_type: str, more: dict[str, str]) -> Envelope:
    stamp = context.model_set if last == "embedding" else None
    return Envelope(
        id=evidence_id(context.inspection, last, view=context.view, model_set=stamp),
        source=context.station,
        type=kind,
        subject=context.inspection,
        sequence=parse_inspection(context.inspection).sequence,
        partitionkey=context.station,
        content_type=content_type,
        extensions={**context.extensions(), **more},
    )


class TicketV1(Message):
    """The claim ticket of an image that is too large for the bus. Gateway -> whoever needs the pixels."""

    TYPE = TICKET_TYPE
    uri: Annotated[str, StringConstraints(pattern=r"^(file|s3)://.+", max_length=2000)]
    sha256: Digest
    bytes: int = Field(ge=1)
    content_type: ContentType


_ADAPTER: TypeAdapter[ContentType] = TypeAdapter(ContentType)


def image_content_type(text: str) -> str:
    """The text itself where it names an image. Raises ContractError `bad_header`."""
    try:
        value = _ADAPTER.validate_python(text)
    except ValidationError as error:
        raise ContractError("bad_header", f"content-type {text!r}") from error
    if not value.startswith("image/"):
        raise ContractError("bad_header", f"content-type {text!r} is no image")
    return value
