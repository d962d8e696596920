"""Mask: where exactly the defect is, painted over the image at its native resolution, for classes whose size decides.

The server proposes a mask, measures what is painted and keeps it; the script paints. Size, limits and file are judged here alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from schemas.common import ImageRef, Region
from schemas.label import MaskV1
from streams.fates import Unprocessable
from streams.review.masks import Painted, Size, mask_of, scale_of, sized
from streams.review.proposal import Hint
from streams.wiring.console import inspection as inspections
from streams.wiring.console.painted import address, painted_url
from streams.wiring.console.painting import Subject, Wanted
from streams.wiring.console.pictures import KEPT, data_of, shown
from streams.wiring.console.ports import Ask
from streams.wiring.console.rendering import page, piece
from streams.wiring.console.security import Rejected

MOST_LOOKED_MS, _DIGITS = 3_600_000, 7
BACK = {"queue": "/queue?done=mask"}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One view to paint on. own_url: of the mask that this person has saved of it."""

    name: str
    width: int
    height: int
    image_url: str
    proposal_url: str
    own_url: str | None


def show(ask: Ask) -> Response:
    subject = _subject(ask)
    view = ask.asked("view") or sorted(subject.images)[0]
    width, height = _size(ask, subject, view)
    data_of(ask, subject.images[view])  # whether it is still there
    values: dict[str, Any] = {
        "subject": subject,
        "view": _view(subject, view, width, height, ask.who),
        "scale": scale_of(subject.policy, view),
        "back": ask.asked("back") if ask.asked("back") in BACK else "",
        "part": inspections.address(subject.inspection),
        "others": {one: address(subject.inspection, view=one) for one in subject.images if one != view},
    }
    return page(ask, "mask.html", **values)


def proposal(ask: Ask) -> Response:
    """PNG, 8 bits grey, in the image's size; 204 where nothing is proposed."""
    subject = _subject(ask)
    view = _known(subject, ask.asked("view"))
    hint = _hint(ask, subject, view)
    if hint.is_empty:
        return Response(status_code=204)
    try:
        found = ask.ports.painter.propose(data_of(ask, subject.images[view]), hint)
    except Unprocessable as error:
        raise Rejected(422, f"Nothing can be proposed for this image: {error.detail or error.reason}") from error
    return Response(found, media_type="image/png", headers={**KEPT, "Cache-Control": "no-store"})


def measure(ask: Ask) -> Response:
    """What the mask that was sent implies, as a piece of the page."""
    subject = _subject(ask)
    view = _known(subject, ask.asked("view"))
    geometry = subject.policy.geometry
    coverage = 0 if geometry is None else geometry.coverage
    return piece(ask, "mask_size.html", size=_measured(ask, subject, view)[0], coverage=coverage)


def save(ask: Ask) -> Response:
    """Where to go next, as JSON; 409 where the page is out of date."""
    subject = _subject(ask)
    view, wanted = _known(subject, ask.asked("view")), _wanted(ask)
    width, height = _size(ask, subject, view)
    _, data = _measured(ask, subject, view)
    image = _kept(ask, subject.images[view])
    uri, sha256 = ask.ports.keep_file(data)
    mask = MaskV1(uri=uri, sha256=sha256, bytes=len(data), width_px=width, height_px=height)
    painted = Painted(view=view, image=image, mask=mask, looked_ms=_looked(ask))
    done = ask.ports.masks.save(wanted, painted, ask.who, _role(ask), ask.now)
    if isinstance(done, str):
        raise Rejected(409, done)
    return JSONResponse({"next": BACK.get(ask.asked("back"), f"{inspections.address(subject.inspection)}&done=mask")})


def image(ask: Ask) -> Response:
    """What is painted on: beside a saved mask, its copy."""
    subject = _subject(ask)
    return shown(ask, subject.images[_known(subject, ask.asked("view"))])


def _kept(ask: Ask, ref: ImageRef) -> ImageRef:
    """With a copy in the store: Kafka forgets images, and a mask alone teaches nothing. While Kafka is away it stays there."""
    try:
        data = data_of(ask, ref)
    except Rejected as error:
        if error.status != 503:
            raise
        return ref
    return ref.model_copy(update={"uri": ask.ports.keep_file(data)[0]})


def _subject(ask: Ask) -> Subject:
    """Raises Rejected 409: nothing to paint."""
    found = ask.ports.masks.subject(ask.asked("inspection"), ask.who, _role(ask), ask.now)
    if isinstance(found, str):
        raise Rejected(409, found)
    return found


def _known(subject: Subject, view: str) -> str:
    if view not in subject.images:
        raise Rejected(404, "No evidence names an image of this view.")
    return view


def _size(ask: Ask, subject: Subject, view: str) -> tuple[int, int]:
    """Of the image, as announced. Raises Rejected."""
    found = ask.ports.reviews.versions.viewed(subject.inspection, subject.part.revision).sizes.get(_known(subject, view))
    if found is None:
        raise Rejected(409, "The announcement of this part is not in the database, so the size of its image is not known.")
    return int(found[0]), int(found[1])


def _hint(ask: Ask, subject: Subject, view: str) -> Hint:
    """What a proposal starts from. Of the regions those of the class, where there are any."""
    part, versions = subject.part, ask.ports.reviews.versions
    observed = versions.viewed(subject.inspection, part.revision).observed
    found = [box for one in observed if (one.view, one.stage) == (view, "segmentation") for box in one.instances]
    own = [box for box in found if box["label"] == subject.label] or found
    heat, threshold = ask.ports.questions.heat(subject.inspection, view), ask.ports.threshold(part.policy, part.model_set, view)
    models = versions.model_set(part.model_set)
    model = None if models is None else models.model("anomaly")
    x, y, width, height = inspections.covered(models, *_size(ask, subject, view))
    return Hint(
        boxes=tuple(Region.model_validate(one["box"]) for one in own),
        heat=None if heat is None else (heat[0], heat[1], threshold or heat[0]),
        covered=Region(x0=x, y0=y, x1=x + width, y1=y + height),
        low=0 if model is None else model.preparation.low,
        high=65535 if model is None else model.preparation.high,
    )


def _measured(ask: Ask, subject: Subject, view: str) -> tuple[Size, bytes]:
    """(what it implies, the mask as it is kept). Raises Rejected 422 where it is none."""
    width, height = _size(ask, subject, view)
    scale = scale_of(subject.policy, view)
    try:
        found, mask = ask.ports.painter.measure(ask.data, width, height, subject.label, scale)
    except Unprocessable as error:
        raise Rejected(422, f"This mask cannot be taken: {error.detail or error.reason}. Nothing was changed.") from error
    return sized(found, subject.label, subject.policy, view), mask


def _view(subject: Subject, view: str, width: int, height: int, who: str) -> View:
    query = {"inspection": subject.inspection, "view": view}
    mine = subject.said.who == who and mask_of(subject.said, view) is not None
    return View(
        name=view,
        width=width,
        height=height,
        image_url=f"/mask/image?{urlencode(query)}",
        proposal_url=f"/mask/proposal?{urlencode(query)}",
        own_url=painted_url(subject.said, view) if mine else None,
    )


def _wanted(ask: Ask) -> Wanted:
    return Wanted(inspection=ask.asked("inspection"), base=ask.asked("base"), label=ask.asked("label"))


def _looked(ask: Ask) -> int:
    """As the browser measured it; 0 where it did not."""
    text = ask.asked("looked_ms")
    return min(int(text), MOST_LOOKED_MS) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0


def _role(ask: Ask) -> Any:
    assert ask.person is not None
    return ask.person.role
