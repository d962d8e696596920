"""Inspection: everything known of one part. Found by inspection id, serial or lot; several are listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from streams.wiring.console.painted import DONE, overlays, paintable
from streams.wiring.console.ports import Ask
from streams.wiring.console.rendering import page
from streams.wiring.console.security import Rejected

MOST_TYPED = 300
BLIND = "You have this part in the queue, to look at without help. Answer or skip it there first."


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One view. width, height: in px, None where the announcement is gone. region: (x, y, width, height) in px of the image
    that the heat map covers. threshold: above which the view is anomalous. boxes: of segmentation, with what they measure.
    masks: (who painted it, its address). paint_url: where this person may paint one.
    """

    view: str
    width: int | None
    height: int | None
    kind: str | None
    image_url: str
    heat_url: str | None
    region: tuple[int, int, int, int]
    score: float | None
    p_value: float | None
    threshold: float | None
    boxes: tuple[Mapping[str, Any], ...]
    masks: tuple[tuple[str, str], ...] = ()
    paint_url: str | None = None


def show(ask: Ask) -> Response:
    wanted, typed = ask.asked("id"), ask.asked("q")[:MOST_TYPED]
    if wanted:
        return _one(ask, wanted)
    if not typed:
        return page(ask, "find.html", typed="", found=ask.ports.questions.newest(), asked=False)
    found = ask.ports.questions.find(typed)
    if not found and ask.ports.questions.inspected(typed) is not None:  # announced, no verdict yet
        return RedirectResponse(address(typed), 303)
    if len(found) == 1:
        return RedirectResponse(address(found[0].inspection), 303)
    return page(ask, "find.html", 200 if found else 404, typed=typed, found=found, asked=True)


def address(inspection: str) -> str:
    return f"/inspection?{urlencode({'id': inspection})}"


def _one(ask: Ask, wanted: str) -> Response:
    """Not for who looks at it without help just now. Raises Rejected 409."""
    if ask.ports.reviews.keeps_blind(wanted, ask.who):
        raise Rejected(409, BLIND)
    found = ask.ports.questions.inspected(wanted)
    if found is None:
        return page(ask, "find.html", 404, typed=wanted[:MOST_TYPED], found=(), asked=True)
    done = DONE.get(ask.asked("done"), "")
    return page(ask, "inspection.html", one=found, done=done, pictures=_with_masks(ask, found), models=_models(found))


def _with_masks(ask: Ask, found: Any) -> list[Picture]:
    masks, paint = overlays(ask, found.inspection), paintable(ask, found.inspection)
    return [replace(one, masks=masks.get(one.view, ()), paint_url=paint.get(one.view)) for one in pictures(ask, found)]


def pictures(ask: Ask, found: Any) -> list[Picture]:
    """One of each view that the announcement or the evidence names."""
    views = sorted({*found.sizes, *(one.view for one in found.observed)})
    return [_picture(ask, found, view) for view in views]


def _picture(ask: Ask, found: Any, view: str) -> Picture:
    mine = [one for one in found.observed if one.view == view]
    anomaly = next((one for one in mine if one.stage == "anomaly"), None)
    width, height = found.sizes.get(view, (None, None))
    image = next((one.image for one in mine if one.image is not None), None)
    heat = anomaly is not None and anomaly.heat is not None and width is not None
    query = urlencode({"id": found.inspection, "view": view})
    return Picture(
        view=view,
        width=width,
        height=height,
        kind=None if image is None else image.content_type,
        image_url=f"/inspection/image?{query}",
        heat_url=f"/inspection/heat?{query}" if heat else None,
        region=covered(found.model_set, width or 0, height or 0),
        score=anomaly.score if anomaly else None,
        p_value=anomaly.p_value if anomaly else None,
        threshold=_threshold(ask, found, view),
        boxes=tuple(box for one in mine if one.stage == "segmentation" for box in one.instances),
    )


def _threshold(ask: Ask, found: Any, view: str) -> float | None:
    part = found.part
    return None if part is None else ask.ports.threshold(part.policy, part.model_set, view)


def covered(model_set: Any, width: int, height: int) -> tuple[int, int, int, int]:
    """The region of interest cut to the image, as preparation does, else the whole image."""
    model = model_set.model("anomaly") if model_set is not None else None
    roi = model.preparation.roi if model is not None else None
    if roi is None or roi.x0 >= width or roi.y0 >= height:
        return 0, 0, width, height
    return roi.x0, roi.y0, min(roi.x1, width) - roi.x0, min(roi.y1, height) - roi.y0


def _models(found: Any) -> dict[str, str]:
    """Digest of a model -> its name and version."""
    models = found.model_set.models if found.model_set is not None else ()
    return {model.ref.digest: f"{model.ref.name} {model.ref.version}" for model in models}
