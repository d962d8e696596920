"""How classes change: the next version of a taxonomy from acts, and what an old label means today. Pure; knows no image.

Nothing is rewritten. A label names the version that it was given under; the acts from there to the version in force say what
has become of its class. After a split that is open: the part needs a new look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.common import digest
from schemas.label import LabelV1
from schemas.taxonomy import ClassV1, TaxonomyActV1, TaxonomyV1

Fate = Literal["current", "ambiguous", "retired", "no_class", "unknown_version"]
States = dict[str, Literal["active", "retired"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """What an old class is now. label: the class where it is one, active or retired; candidates: of an ambiguous one.

    no_class: the label has none. unknown_version: it was given under a version that does not lead to the one in force.
    """

    fate: Fate
    label: str | None = None
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The version in force, and what each class of each version before it has become: digest -> class -> today."""

    current: str
    meanings: Mapping[str, Mapping[str, Today]]


def lineage_of(versions: Mapping[str, TaxonomyV1], current: str) -> Lineage:
    """versions: by digest. Raises KeyError where the version in force is not among them; older ones may be missing."""
    taxonomy = versions[current]
    ends = {one.id: frozenset({one.id}) for one in taxonomy.classes}
    active = {one.id for one in taxonomy.classes if one.state == "active"}
    meanings: dict[str, Mapping[str, Today]] = {}
    at: str | None = current
    while at is not None and at in versions and at not in meanings:
        meanings[at] = {one.id: _today(ends[one.id], active) for one in versions[at].classes if one.id in ends}
        ends, at = _before(versions[at].acts, ends), versions[at].previous
    return Lineage(current=current, meanings=meanings)


def follow(label: LabelV1, lineage: Lineage) -> Today:
    """What this label's class is today."""
    return meaning(label.label, label.taxonomy, lineage)


def meaning(label: str | None, taxonomy: str | None, lineage: Lineage) -> Today:
    """What this class of that version is today."""
    if label is None or taxonomy is None:
        return Today(fate="no_class")
    found = lineage.meanings.get(taxonomy, {}).get(label)
    return Today(fate="unknown_version") if found is None else found


def evolve(previous: TaxonomyV1, acts: Sequence[TaxonomyActV1], named: Mapping[str, ClassV1]) -> TaxonomyV1:
    """The next version. named: the classes that acts add, rename, merge into or split into, as they are to be called.

    Raises ValueError with what is wrong: an act that does not fit, a class without its name, two of one name.
    """
    states: States = {one.id: one.state for one in previous.classes}
    for act in acts:
        states = _apply(act, states)
    known = {one.id: one for one in previous.classes}
    if missing := sorted(states.keys() - known.keys() - named.keys()):
        raise ValueError(f"how is class {missing[0]!r} called? No name was given")
    changed = {id for act in acts for id in act.into}
    classes = [
        (named[id] if id in changed and id in named else known[id]).model_copy(update={"state": state})
        for id, state in states.items()
    ]
    return TaxonomyV1.model_validate(
        {"product": previous.product, "classes": tuple(classes), "previous": digest(previous), "acts": tuple(acts)}
    )


def check_successor(previous: TaxonomyV1, following: TaxonomyV1) -> list[str]:
    """Why `following` is not what its acts make of `previous`: a plain line a fault."""
    if following.previous != digest(previous) or following.product != previous.product:
        return ["it does not follow the version in force: somebody changed the classes meanwhile, or it is another product's"]
    try:
        made = evolve(previous, following.acts, {one.id: one for one in following.classes})
    except ValueError as error:
        return [str(error)]
    same = {one.id: one for one in made.classes} == {one.id: one for one in following.classes}
    return [] if same else ["its classes are not what its acts make of the version before"]


def _apply(act: TaxonomyActV1, states: States) -> States:
    for id in act.of:
        if states.get(id) != "active":
            raise ValueError(f"{act.act}: {id!r} is no active class")
    fresh = [id for id in act.into if id not in act.of]
    for id in fresh:
        if id in states:
            raise ValueError(f"{act.act}: the id {id!r} is taken, and ids are never used again")
    left = {id: "retired" for id in act.of if id not in act.into}
    return {**states, **left, **dict.fromkeys(fresh, "active")}  # type: ignore[dict-item]


def _before(acts: Sequence[TaxonomyActV1], ends: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Where the classes of the version before end, given where those after its acts do."""
    found = dict(ends)
    for act in reversed(acts):
        if act.act in ("merge", "split"):
            reached = frozenset().union(*(found.get(id, frozenset({id})) for id in act.into))
            found.update(dict.fromkeys(act.of, reached))
    return found


def _today(ends: frozenset[str], active: set[str]) -> Today:
    if len(ends) > 1:
        return Today(fate="ambiguous", candidates=tuple(sorted(ends)))
    (label,) = ends
    return Today(fate="current" if label in active else "retired", label=label)
