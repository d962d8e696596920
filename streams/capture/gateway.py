"""The gateway's rules: which images are admitted, how a part is announced, what is sent. Knows no disk and no Kafka.

The announcement is the memory: everything that is sent again after a crash is made of it and of the stored bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from schemas.capture import Context, TicketV1, capture_envelope
from schemas.codec import enveloped, record_of
from schemas.common import Purpose, canonical, fault
from schemas.envelope import Record
from schemas.evidence import AnnouncedV1, ChallengeStampV1, ViewV1
from schemas.ids import InspectionId, evidence_id
from streams.capture.image_header import BYTE_LIMIT, PIXEL_LIMIT, sniff
from streams.capture.stamps import KeptStamp, Stamp, first_kept
from streams.fates import Unprocessable

SERIALS_KEPT = 10_000
_EXTENSIONS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".bmp": "bmp",
    ".dib": "bmp",
    ".tif": "tiff",
    ".tiff": "tiff",
}
IMAGE_EXTENSIONS = frozenset(_EXTENSIONS)


class Refused(Unprocessable):
    """This image does not come in. view: its name; reason and detail say what is wrong and which limit holds."""

    def __init__(self, view: str, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.view = view


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one image: bytes as encoded, pixels as its header says."""

    bytes: int = BYTE_LIMIT
    pixels: int = PIXEL_LIMIT


@dataclass(frozen=True, slots=True)
class View:
    """One image as the camera gave it. file: where it came from, if from a file; only its extension is looked at."""

    name: str
    data: bytes
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One part before the cameras of one station.

    views_expected: how many views the station should give; None: as many as there are. acquisition: see
    `acquisition_digest`. captured_at: shutter, aware; None: the gateway's clock when it takes the capture.
    visit: None counts the visits of a known serial. tool: what made the part (mould, cavity, cutter). challenge: the part has
    a known answer; its purpose must say so.
    """

    station: str
    product: str
    views: Sequence[View]
    acquisition: str
    purpose: Purpose = "production"
    views_expected: int | None = None
    lot: str | None = None
    serial: str | None = None
    visit: int | None = None
    captured_at: datetime | None = None
    gate_time_s: float | None = None
    tool: str | None = None
    challenge: ChallengeStampV1 | None = None


def acquisition_digest(**setting: str | float | int) -> str:
    """SHA-256 of how the image is taken (camera, lens, light, exposure, ...): another setting is another score stream."""
    return hashlib.sha256(canonical(setting)).hexdigest()


def admit(view: View, limits: Limits) -> ViewV1:
    """Read the header, take the digest. Raises Refused."""
    try:
        info = sniff(view.data, pixel_limit=limits.pixels, byte_limit=limits.bytes)
    except Unprocessable as error:
        raise Refused(view.name, error.reason, error.detail) from error
    named = _EXTENSIONS.get(PurePath(view.file).suffix.lower()) if view.file else None
    if named is not None and named != info.format:
        raise Refused(view.name, "wrong_extension", f"the name says {named}, the content is {info.format}")
    try:
        return ViewV1(
            view=view.name,
            sha256=hashlib.sha256(view.data).hexdigest(),
            bytes=len(view.data),
            content_type=info.content_type,
            width_px=info.width_px,
            height_px=info.height_px,
        )
    except ValidationError as error:
        raise Refused(view.name, "bad_data", fault(error)[1]) from error


@dataclass(kw_only=True)
class StationMemory:
    """What a station remembers from part to part: visits of the serials seen last, the last stamp of each product.

    Kept inside the outbox: `dump` goes into a new segment, `saw` repeats what the announcements after it say.
    """

    visits: dict[str, tuple[int, str]] = field(default_factory=dict)
    stamps: dict[str, KeptStamp] = field(default_factory=dict)

    def load(self, snapshot: Mapping[str, Any]) -> None:
        self.visits = {serial: (visit, inspection) for serial, (visit, inspection) in snapshot["visits"].items()}
        self.stamps = {product: KeptStamp.load(stamp) for product, stamp in snapshot["stamps"].items()}

    def dump(self) -> dict[str, Any]:
        return {"visits": self.visits, "stamps": {product: stamp.dump() for product, stamp in self.stamps.items()}}

    def saw(self, announced: AnnouncedV1) -> None:
        before = self.stamps.get(announced.product)
        self.stamps[announced.product] = first_kept(announced) if before is None else before.after(announced)
        if announced.serial is not None:
            self.visits.pop(announced.serial, None)
            self.visits[announced.serial] = (announced.visit, announced.inspection)
            if len(self.visits) > SERIALS_KEPT:
                del self.visits[next(iter(self.visits))]

    def replay(self, head: bytes) -> None:
        """`saw`, from an outbox entry's head."""
        self.saw(AnnouncedV1.read(unpack(head)[1]))

    def stamp(self, capture: Capture) -> Stamp | None:
        """What its product was stamped with last."""
        kept = self.stamps.get(capture.product)
        return None if kept is None else kept.of(capture.acquisition, [view.name for view in capture.views])

    def visit_of(self, serial: str | None) -> tuple[int, str | None]:
        """(number of this visit, the inspection before it)."""
        before = self.visits.get(serial) if serial is not None else None
        return (before[0] + 1, before[1]) if before else (1, None)


def announce(
    capture: Capture, views: Sequence[ViewV1], inspection: InspectionId, stamp: Stamp, memory: StationMemory, now: datetime
) -> AnnouncedV1:
    """Raises Unprocessable `bad_data` with the field that breaks the contract."""
    visit, previous = memory.visit_of(capture.serial)
    names = [view.view for view in views]
    if len(set(names)) != len(names):
        raise Unprocessable("bad_data", f"two views of one name: {', '.join(names)}")
    try:
        return AnnouncedV1(
            inspection=str(inspection),
            station=capture.station,
            product=capture.product,
            lot=capture.lot,
            tool=capture.tool,
            serial=capture.serial,
            visit=capture.visit or visit,
            previous=previous,
            views=tuple(views),
            views_expected=max(capture.views_expected or 0, len(views)),
            acquisition=capture.acquisition,
            purpose=capture.purpose,
            policy=stamp.policy,
            model_set=stamp.model_set,
            captured_at=capture.captured_at or now,
            gate_time_s=capture.gate_time_s,
            decide_within_s=stamp.decide_within_s,
            baselines=dict(stamp.baselines),
            challenge=capture.challenge,
        )
    except ValidationError as error:
        raise Unprocessable("bad_data", fault(error)[1]) from error


def announcement(announced: AnnouncedV1, value: bytes) -> Record:
    """For evidence.v1. value: its bytes as they were stored, so that a copy is a copy."""
    record = record_of(
        announced,
        id=evidence_id(announced.inspection, "announced"),
        station=announced.station,
        subject=announced.inspection,
        time=announced.captured_at,
    )
    return Record(topic=record.topic, key=record.key, value=value, headers=record.headers)


def image(announced: AnnouncedV1, view: ViewV1, value: bytes, *, ticket: bool) -> Record:
    """For capture.v1: the encoded image itself, or the claim ticket that stands for it."""
    content_type = "application/json" if ticket else view.content_type
    return enveloped(capture_envelope(context(announced, view), ticket=ticket, content_type=content_type), value)


def ticket(view: ViewV1, uri: str) -> TicketV1:
    return TicketV1(uri=uri, sha256=view.sha256, bytes=view.bytes, content_type=view.content_type)


def context(announced: AnnouncedV1, view: ViewV1) -> Context:
    """What the headers of this view's image say."""
    stands_on = announced.baselines.get(view.view)
    return Context(
        inspection=announced.inspection,
        station=announced.station,
        view=view.view,
        views=announced.views_expected,
        product=announced.product,
        lot=announced.lot,
        tool=announced.tool,
        serial=announced.serial,
        visit=announced.visit,
        acquisition=announced.acquisition,
        purpose=announced.purpose,
        model_set=announced.model_set,
        policy=announced.policy,
        decide_within_s=announced.decide_within_s,
        baseline=stands_on.baseline if stands_on else None,
        challenge=announced.challenge,
        sha256=view.sha256,
    )


def pack(announced: bytes, tickets: Sequence[str]) -> bytes:
    """The head of an outbox entry: the announcement's bytes, and the views for which a claim ticket stands."""
    return json.dumps(list(tickets)).encode() + b"\n" + announced


def unpack(head: bytes) -> tuple[frozenset[str], bytes]:
    """(views with a claim ticket, the announcement's bytes)."""
    tickets, _, announced = head.partition(b"\n")
    return frozenset(json.loads(tickets)), announced


def steps(head: bytes, parts: Sequence[bytes]) -> tuple[tuple[Record, ...], ...]:
    """What is sent of an outbox entry, and sent again with the same ids and bytes: the announcement, then the images."""
    tickets, value = unpack(head)
    announced = AnnouncedV1.read(value)
    pairs = zip(announced.views, parts, strict=True)
    images = tuple(image(announced, view, part, ticket=view.view in tickets) for view, part in pairs)
    return (announcement(announced, value),), images
