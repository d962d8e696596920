"""What messages share: the base class, closed sets, references to models and images. Knows no topic."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints, ValidationError

from schemas.envelope import ContractError, rfc3339
from schemas.ids import Digest, Name

Purpose = Literal["production", "setup", "challenge", "study", "rework", "reinspection"]
Disposition = Literal["pass", "rework", "scrap", "review", "no_verdict"]
Stage = Literal["anomaly", "classification", "segmentation"]
BaselineState = Literal["provisional", "active", "suspect", "stale", "retired"]
Proof = Literal["digital", "physical"]
Time = Annotated[AwareDatetime, PlainSerializer(rfc3339, return_type=str)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
ContentType = Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9.+-]+$", max_length=100)]


class Message(BaseModel):
    """A message's data. Writers refuse unknown fields, `read` ignores them; no NaN, no infinity; absent means None."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())
    TYPE: ClassVar[str] = ""

    def json_bytes(self) -> bytes:
        """The value of the Kafka record."""
        return self.model_dump_json(exclude_none=True).encode()

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Raises ContractError `not_json` or `bad_data` with the path and the reason of the first fault."""
        try:
            return cls.model_validate_json(data, extra="ignore")
        except ValidationError as error:
            raise ContractError(*fault(error)) from error


def fault(error: ValidationError) -> tuple[str, str]:
    """(`not_json` or `bad_data`, path and reason of the first fault and how many more there are)."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    path = ".".join(map(str, first["loc"])) or "the data"
    reason = "not_json" if first["type"] == "json_invalid" else "bad_data"
    return reason, f"{error.title}: {path}: {first['msg']}{more}"


def canonical(data: Any) -> bytes:
    """JSON with sorted keys and no spaces: the bytes that a digest is taken of."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(message: Message) -> str:
    """SHA-256 (hex) of the message's canonical JSON: its version for ever."""
    return hashlib.sha256(canonical(message.model_dump(mode="json", exclude_none=True))).hexdigest()


class Region(Message):
    """A rectangle in pixels of the stored image: x0 <= x < x1, y0 <= y < y1."""

    x0: int = Field(ge=0)
    y0: int = Field(ge=0)
    x1: int = Field(ge=1)
    y1: int = Field(ge=1)


class ImageRef(Message):
    """Where an image is kept: kafka://topic/partition/offset, file:///path or s3://bucket/key."""

    uri: Annotated[str, StringConstraints(pattern=r"^(kafka|file|s3)://.+", max_length=2000)]
    sha256: Digest
    bytes: int = Field(ge=1)
    content_type: ContentType


class ModelRef(Message):
    """The model version that answered. digest: of the ONNX file; profile: cpu-fp32, gpu-fp16, ..."""

    name: Name
    version: int = Field(ge=1)
    digest: Digest
    profile: Name
