"""What engineers do to models: put a candidate in force, or what was in force before; and the page that a candidate comes with.

A form names what was in force when it was loaded: where that has changed, nothing happens. Each act is on act.v1.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from schemas.model_set import ModelSetV1
from streams.fates import Unprocessable
from streams.wiring.console import models
from streams.wiring.console.ports import Ask
from streams.wiring.console.security import Rejected, why_of

_CHANGED = "Somebody has put other models in force since this page was loaded. Nothing was changed; below is what holds now."
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"


def report(ask: Ask) -> Response:
    """As it was written when the candidate was made; nothing in it can run or load."""
    found = ask.ports.questions.models().versions.get(ask.asked("candidate"))
    if found is None or found.learned is None or found.learned.report.content_type != "text/html":
        raise Rejected(404, "There is no such candidate.")
    try:
        data = ask.ports.read_image(found.learned.report)
    except Unprocessable as error:
        raise Rejected(404, f"Its page is no longer kept: {error.detail}") from error
    return Response(data, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})


def promote(ask: Ask) -> Response:
    _, place = _place(ask)
    wanted = ask.form.get("candidate", "")
    chosen = next((one for name, one in place.candidates if name == wanted), None)
    return _put(ask, place, wanted, chosen)


def roll_back(ask: Ask) -> Response:
    found, place = _place(ask)
    chosen = found.versions.get(place.before) if place.before else None
    return _put(ask, place, place.before or "", chosen)


def _put(ask: Ask, place: models.Place, wanted: str, chosen: ModelSetV1 | None) -> Response:
    why = why_of(ask.form)
    if place.models is None or ask.form.get("now") != place.models.digest:
        return models.shown(ask, 409, _CHANGED)
    if chosen is None:
        raise Rejected(404, "There is no such model set. Nothing was changed.")
    faults = ask.ports.fits(place.policy.digest, wanted)[0] if place.policy else []
    if faults:
        return models.shown(ask, 409, f"Nothing was changed: {'; '.join(faults)}.")
    ask.ports.model_sets.put_in_force(chosen, who=ask.who, why=why, now=ask.now)
    return RedirectResponse(f"/models?{urlencode({'done': wanted})}", 303)


def _place(ask: Ask) -> tuple[Any, models.Place]:
    """Raises Rejected 404."""
    found, name = ask.ports.questions.models(), ask.form.get("place", "")
    if name not in {one.place for one in found.in_force}:
        raise Rejected(404, "Nothing is in force there. Nothing was changed.")
    return found, models.place(ask, found, name)
