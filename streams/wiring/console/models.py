"""Models: what is in force where, who said so and why, what came before; candidates that learned from labels, and their pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from schemas.model_set import ModelSetV1
from streams.wiring.console.ports import Ask
from streams.wiring.console.rendering import page
from streams.wiring.console.reviews import DECIDERS

MOST_ACTS = 200
_OF_MODELS = ("model_set_in_force", "policy_in_force", "taxonomy_in_force")
_MOST = 5


@dataclass(frozen=True, kw_only=True)
class Place:
    """candidates: (digest, models), the newest first. before: digest of what was in force before; notes: of the policy."""

    name: str
    models: Any | None
    policy: Any | None
    candidates: Sequence[tuple[str, ModelSetV1]]
    before: str | None
    notes: Sequence[str]


def show(ask: Ask) -> Response:
    return shown(ask)


def shown(ask: Ask, status: int = 200, fault: str | None = None) -> Response:
    """fault: what went wrong with an act."""
    found = ask.ports.questions.models()
    acts = [one for one in reversed(found.acts) if one.act in _OF_MODELS][:MOST_ACTS]
    places = [place(ask, found, name) for name in sorted({one.place for one in found.in_force})]
    may = ask.person is not None and ask.person.role in DECIDERS
    return page(ask, "models.html", status, places=places, acts=acts, may=may, fault=fault, done=ask.asked("done") or None)


def place(ask: Ask, found: Any, name: str) -> Place:
    models, policy = _of(found, name, "model_set"), _of(found, name, "policy")
    now = models.digest if models else None
    return Place(
        name=name,
        models=models,
        policy=policy,
        candidates=_candidates(found.versions, now)[:_MOST],
        before=before(found, name, now),
        notes=ask.ports.fits(policy.digest, models.digest)[1] if policy and models else [],
    )


def before(found: Any, name: str, now: str | None) -> str | None:
    """The digest that was in force there before this one, where its version is known."""
    acts = [one for one in found.acts if (one.act, one.place) == ("model_set_in_force", name) and one.digest != now]
    return acts[-1].digest if acts and acts[-1].digest in found.versions else None


def _candidates(versions: dict[str, ModelSetV1], now: str | None) -> list[tuple[str, ModelSetV1]]:
    """Those that were compared with what is in force."""
    rows = [(name, one) for name, one in versions.items() if one.learned is not None and one.learned.base == now]
    return sorted(rows, key=lambda row: _version(row[1]), reverse=True)


def _version(models: ModelSetV1) -> int:
    model = models.model("classification")
    return 0 if model is None else model.ref.version


def _of(found: Any, place: str, kind: str) -> Any | None:
    return next((one for one in found.in_force if (one.place, one.kind) == (place, kind)), None)
