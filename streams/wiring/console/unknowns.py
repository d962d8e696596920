"""Unknowns: defects of a kind that nobody has named, in clusters across lines; naming one at once, and taking that back.

A form names the cluster by its digest. Members are numbered in the order of their ids, so that a number means the same part
however often the cluster is made anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from streams.review.clusters import borderline, to_look_at
from streams.wiring.console.naming import Choice, Who, classes_of, name_cluster, undo
from streams.wiring.console.ports import Ask
from streams.wiring.console.rendering import page
from streams.wiring.console.reviews import DECIDERS, REVIEWERS
from streams.wiring.console.security import Rejected
from streams.wiring.console.standing import Standing, standing

MOST_SHOWN, MOST_CARDS, MOST_WHY, MOST_LOOKED_MS = 120, 60, 200, 3_600_000
STALE = "This cluster is no longer what you have seen: parts have come or were answered. Nothing was changed."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One member. number: of its place among the members by id; said: `in`, `out` or empty, as the form had it."""

    number: int
    inspection: str
    view: str
    station: str
    serial: str | None
    said: str = ""


def show(ask: Ask) -> Response:
    groups, stale = ask.ports.unknowns.now()
    taken = ask.ports.namings.taken()
    namings = ask.ports.namings.newest()
    products = {one.proposal.product for one in namings if one.proposal.name is None}
    now = {product: standing(ask.ports, product) for product in products}
    free = [one for one in groups.groups if not any(member.inspection in taken for member in one.cluster.members)]
    return page(
        ask,
        "unknowns.html",
        cards=[(one, _examples(one)) for one in free[:MOST_CARDS]],
        more=max(0, len(free) - MOST_CARDS),
        alone=groups.alone,
        stale=stale,
        waits=len(taken & ask.ports.unknowns.still_unknown(sorted(taken))),
        namings=[(one, _class_of(one, now.get(one.proposal.product))) for one in namings],
        said=ask.asked("done"),
        may_name=_may(ask),
    )


def cluster(ask: Ask) -> Response:
    found = ask.ports.unknowns.find(ask.asked("id")[:64])
    if found is None:
        raise Rejected(404, "There is no such cluster now: parts have come, or were named. The page Unknowns has those of now.")
    return _shown(ask, found)


def name(ask: Ask) -> Response:
    found = ask.ports.unknowns.find(ask.form.get("cluster", "")[:64])
    if found is None:
        raise Rejected(409, f"{STALE} The page Unknowns has the clusters of now.")
    assert ask.person is not None
    try:
        choice = _choice(ask, found)
        done = name_cluster(ask.ports, found, choice, Who(name=ask.who, role=ask.person.role), ask.now)
    except ValueError as error:
        return _shown(ask, found, 400, str(error))
    return _back(done)


def take_back(ask: Ask) -> Response:
    wanted = ask.form.get("proposal", "")[:64]
    try:
        undo(ask.ports, wanted, ask.who, _text(ask, "why", MOST_WHY), ask.now)
    except ValueError as error:
        raise Rejected(409, f"{error} Nothing was changed.") from error
    return _back(wanted)


def _shown(ask: Ask, found: Any, status: int = 200, fault: str | None = None) -> Response:
    first, rest = _tiles(ask, found)
    try:
        classes = classes_of(ask.ports, found.product)
    except ValueError:
        classes = None
    active = [] if classes is None else [one for one in classes.taxonomy.classes if one.state == "active"]
    return page(
        ask,
        "cluster.html",
        status,
        one=found,
        cluster=found.cluster,
        first=first,
        rest=rest,
        hidden=len(found.cluster.members) - len(first) - len(rest),
        classes=sorted(active, key=lambda one: one.name.casefold()),
        written=classes is not None and classes.written,
        may_name=_may(ask) and classes is not None,
        adds=ask.person is not None and ask.person.role in DECIDERS,
        form=ask.form,
        drawn_ms=ask.form.get("drawn_ms", "") or _millis(ask.now),
        fault=fault,
    )


def _tiles(ask: Ask, found: Any) -> tuple[list[Tile], list[Tile]]:
    """(to look at before the cluster is named, the rest as far as it is shown): the least firm first."""
    numbers = _numbers(found)
    weakest = [one.inspection for one in sorted(found.cluster.members, key=lambda one: (one.membership, one.inspection))]
    first = borderline(found.cluster, to_look_at(found.cluster))
    rest = [one for one in weakest if one not in set(first)][:MOST_SHOWN]
    about = ask.ports.questions.members([*first, *rest])

    def tile(one: str, said: str) -> Tile:
        known = about.get(one)
        station = one.partition(":")[0] if known is None else known.station
        serial = None if known is None else known.serial
        return Tile(number=numbers[one], inspection=one, view=found.views[one], station=station, serial=serial, said=said)

    return (
        [tile(one, ask.form.get(f"b-{numbers[one]}", "")) for one in first],
        [tile(one, "out" if ask.form.get(f"o-{numbers[one]}") else "") for one in rest],
    )


def _numbers(found: Any) -> dict[str, int]:
    return {one: n for n, one in enumerate(sorted(member.inspection for member in found.cluster.members))}


def _choice(ask: Ask, found: Any) -> Choice:
    """Raises ValueError with a text for the person."""
    numbers = _numbers(found)
    first = borderline(found.cluster, to_look_at(found.cluster))
    answers = {one: ask.form.get(f"b-{numbers[one]}", "") for one in first}
    if missing := sum(said not in ("in", "out") for said in answers.values()):
        raise ValueError(f"Say of each of the doubtful parts whether it belongs: {missing} of {len(first)} are missing.")
    out = {one for one, said in answers.items() if said == "out"}
    out |= {one for one, n in numbers.items() if ask.form.get(f"o-{n}") and one not in answers}
    why = _text(ask, "why", MOST_WHY)
    if not why:
        raise ValueError("Say why: it is recorded with the naming.")
    return Choice(
        label=ask.form.get("label") or None,
        name=ask.form.get("name") or None,
        why=why,
        borderline=tuple(first),
        left_out=frozenset(out),
        looked_ms=_looked_ms(ask, len(first)),
    )


def _looked_ms(ask: Ask, parts: int) -> int:
    """The time since the page was drawn, shared among the parts that had to be looked at."""
    drawn = ask.form.get("drawn_ms", "")
    since = _millis(ask.now) - int(drawn) if drawn.isascii() and drawn.isdigit() and len(drawn) < 16 else 0
    return min(max(since, 0), MOST_LOOKED_MS) // max(1, parts)


def _examples(found: Any) -> list[tuple[str, str]]:
    """(inspection, view) of some members: the typical one, then the firmest."""
    ids = dict.fromkeys([found.cluster.typical, *(one.inspection for one in found.cluster.members[:8])])
    return [(one, found.views[one]) for one in list(ids)[:5]]


def _class_of(naming: Any, now: Standing | None) -> str:
    """What the naming's class is called: today, where it exists."""
    if naming.proposal.name is not None:
        return str(naming.proposal.name)
    return str(naming.proposal.label) if now is None else now.called(naming.proposal.label)


def _may(ask: Ask) -> bool:
    return ask.person is not None and ask.person.role in REVIEWERS


def _text(ask: Ask, field: str, most: int) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in ask.form.get(field, ""))[:most].strip()


def _millis(now: datetime) -> int:
    return int(now.timestamp() * 1000)


def _back(proposal: str) -> Response:
    return RedirectResponse(f"/unknowns?{urlencode({'done': proposal})}", 303)
