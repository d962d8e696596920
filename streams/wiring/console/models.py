"""Models: which model sets and policies are in force where, who said so and why, and what came before them."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from streams.wiring.console.ports import Ask
from streams.wiring.console.rendering import page

_OF_MODELS = ("model_set_in_force", "policy_in_force", "taxonomy_in_force")
MOST_ACTS = 200


def show(ask: Ask) -> Response:
    found = ask.ports.questions.models()
    places = sorted({one.place for one in found.in_force})
    acts = [one for one in reversed(found.acts) if one.act in _OF_MODELS][:MOST_ACTS]
    rows = [(place.removeprefix("current/"), _of(found, place, "model_set"), _of(found, place, "policy")) for place in places]
    return page(ask, "models.html", rows=rows, acts=acts, versions=found.versions)


def _of(found: Any, place: str, kind: str) -> Any | None:
    return next((one for one in found.in_force if (one.place, one.kind) == (place, kind)), None)
