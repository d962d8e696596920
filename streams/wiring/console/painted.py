"""Masks that were saved, for those who look at a part: where they lie. Opens no reference but those of labels."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from schemas.common import ImageRef
from schemas.label import LabelV1
from streams.review.masks import mask_of
from streams.wiring.console.painting import Subject
from streams.wiring.console.pictures import KEPT, data_of
from streams.wiring.console.ports import Ask
from streams.wiring.console.reviews import REVIEWERS
from streams.wiring.console.security import Rejected

DONE = {"mask": "The mask is saved."}  # what a page says where one comes from, by what stands in its address


def show(ask: Ask) -> Response:
    """As it lies in the store: PNG, 8 bits grey, in the image's size."""
    view, who = ask.asked("view"), ask.asked("who")
    masks = (mask_of(one, view) for one in ask.ports.masks.shown(ask.asked("id")) if one.who == who)
    mask = next((one for one in masks if one is not None), None)
    if mask is None:
        raise Rejected(404, "There is no such mask.")
    ref = ImageRef(uri=mask.uri, sha256=mask.sha256, bytes=mask.bytes, content_type="image/png")
    return Response(data_of(ask, ref), media_type="image/png", headers={**KEPT, "Cache-Control": "no-store"})


def overlays(ask: Ask, inspection: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """View -> (who painted it, address of the mask)."""
    found: dict[str, list[tuple[str, str]]] = {}
    for label in ask.ports.masks.shown(inspection):
        for one in label.views:
            if one.mask is not None:
                found.setdefault(one.view, []).append((label.who, painted_url(label, one.view)))
    return {view: tuple(masks) for view, masks in found.items()}


def paintable(ask: Ask, inspection: str) -> dict[str, str]:
    """View -> where this person may paint it."""
    if ask.person is None or ask.person.role not in REVIEWERS:
        return {}
    found = ask.ports.masks.subject(inspection, ask.who, ask.person.role, ask.now)
    return {view: address(inspection, view=view) for view in found.images} if isinstance(found, Subject) else {}


def address(inspection: str, **more: str) -> str:
    return f"/mask?{urlencode({'inspection': inspection, **more})}"


def painted_url(label: LabelV1, view: str) -> str:
    return f"/inspection/mask?{urlencode({'id': label.inspection, 'view': view, 'who': label.who})}"
