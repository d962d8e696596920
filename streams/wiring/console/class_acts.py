"""What engineers do to the classes of a product. An act is a new version; nothing is rewritten.

A form names the version that it was made for: whoever comes second is told, and sees the classes as they are now. Each act says
why, and is on act.v1 with who and when.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from schemas.taxonomy import TaxonomyV1
from streams.review import changes
from streams.wiring.console.classes import shown
from streams.wiring.console.ports import Ask
from streams.wiring.console.security import Rejected, why_of
from streams.wiring.console.standing import Standing, standing

MOST_TOLD = 1000
CHANGED = "Somebody has changed the classes since this page was loaded. Nothing was changed; below they are as they are now."


def begin(ask: Ask) -> Response:
    """Write down what the models in force know."""
    return _changed(ask, lambda before: [])


def add(ask: Ask) -> Response:
    return _changed(ask, lambda before: [changes.added(before, _field(ask, "name"), _description(ask))])


def rename(ask: Ask) -> Response:
    return _changed(ask, lambda before: [changes.renamed(before, _field(ask, "id"), _field(ask, "name"), _description(ask))])


def merge(ask: Ask) -> Response:
    ids = [name.removeprefix("of-") for name in ask.form if name.startswith("of-")]
    return _changed(ask, lambda before: [changes.merged(before, ids, _field(ask, "name"))])


def split(ask: Ask) -> Response:
    names = [line.strip() for line in _field(ask, "names").splitlines() if line.strip()]
    return _changed(ask, lambda before: [changes.split(before, _field(ask, "id"), names)])


def retire(ask: Ask) -> Response:
    return _changed(ask, lambda before: [changes.retired(before, _field(ask, "id"))])


def accept(ask: Ask) -> Response:
    """The proposed class is added; its members are labelled by who proposed it (`unknowns`)."""
    found = _open_proposal(ask)
    return _changed(ask, lambda before: [changes.added(before, found.proposal.name)], accepts=found.id)


def reject(ask: Ask) -> Response:
    product, found, now = _product(ask), _open_proposal(ask), _now(ask)
    if _field(ask, "version") != now.digest:
        return shown(ask, product, 409, CHANGED)
    try:
        ask.ports.taxonomies.reject(product, found.id, now.digest, who=ask.who, why=why_of(ask.form), now=ask.now)
    except ValueError as error:
        return shown(ask, product, 409, str(error))
    return _back(product, now.digest)


def _changed(ask: Ask, make: Callable[[TaxonomyV1], list[TaxonomyV1]], accepts: str | None = None) -> Response:
    """make: from what is in force to the versions after it."""
    product, now, why = _product(ask), _now(ask), why_of(ask.form)
    if _field(ask, "version") != now.digest:
        return shown(ask, product, 409, CHANGED)
    try:
        versions = [*([] if now.written else [now.taxonomy]), *make(now.taxonomy)]
        if not versions:
            raise ValueError("The classes are written down already.")
    except ValueError as error:
        return shown(ask, product, 400, f"{error} Nothing was changed.")
    try:
        done = ask.ports.taxonomies.publish(versions, who=ask.who, why=why, now=ask.now, accepts=accepts)
    except ValueError as error:
        return shown(ask, product, 409, str(error))
    return _back(product, done)


def _back(product: str, version: str) -> Response:
    return RedirectResponse(f"/classes?{urlencode({'product': product, 'done': version})}", 303)


def _product(ask: Ask) -> str:
    return _field(ask, "product")


def _now(ask: Ask) -> Standing:
    """Raises Rejected 404."""
    product = _product(ask)
    found = standing(ask.ports, product) if product in ask.ports.questions.served() else None
    if found is None:
        raise Rejected(404, "There is no such product. Nothing was changed.")
    return found


def _open_proposal(ask: Ask) -> Any:
    """Raises Rejected 404, 409."""
    product, wanted = _product(ask), _field(ask, "proposal")
    found = next((one for one in ask.ports.questions.proposals(product) if one.id == wanted), None)
    if found is None:
        raise Rejected(404, "There is no such proposal. Nothing was changed.")
    if found.fate != "open" or found.proposal.name is None:
        raise Rejected(409, "This proposal was decided already, or taken back. Nothing was changed.")
    return found


def _field(ask: Ask, name: str) -> str:
    return ask.form.get(name, "")


def _description(ask: Ask) -> str:
    """Raises ValueError."""
    found = " ".join(_field(ask, "description").split())
    if len(found) > MOST_TOLD or not found.isprintable():
        raise ValueError(f"A description has at most {MOST_TOLD} characters, all of them visible.")
    return found
