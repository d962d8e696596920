"""What an engineer may do to the classes of a product, each act as the version that it makes of the one before. Pure.

Names are what people read, and may change; ids are made of the first name and are for ever. Everything that is refused is a
ValueError whose text is for the person who asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Sequence

from schemas.taxonomy import RESERVED, ClassV1, TaxonomyActV1, TaxonomyV1
from streams.review.taxonomy import evolve

MOST_CLASSES, MOST_LETTERS, MOST_SPLIT = 1000, 80, 20


def first(product: str, known: Iterable[str]) -> TaxonomyV1:
    """known: ids of the classes that the models in force know; `good` is no class of defects."""
    ids = sorted(set(known) - set(RESERVED))
    return TaxonomyV1(product=product, classes=tuple(ClassV1(id=id, name=id) for id in ids))


def added(before: TaxonomyV1, name: str, description: str = "") -> TaxonomyV1:
    new = _new(before, [name], description)
    return evolve(before, [TaxonomyActV1(act="add", into=tuple(new))], new)


def renamed(before: TaxonomyV1, id: str, name: str, description: str = "") -> TaxonomyV1:
    old = _active(before, id)
    called = _called(before, name, but={id})
    if (called, description) == (old.name, old.description):
        raise ValueError(f"It is called {called} already.")
    new = old.model_copy(update={"name": called, "description": description})
    return evolve(before, [TaxonomyActV1(act="rename", of=(id,), into=(id,))], {id: new})


def merged(before: TaxonomyV1, ids: Sequence[str], name: str) -> TaxonomyV1:
    """name: of one of them, which stays then, or another one: then a new class takes the place of all."""
    old = [_active(before, id) for id in dict.fromkeys(ids)]
    if len(old) < 2:
        raise ValueError("To merge takes two classes or more.")
    kept = next((one.id for one in old if one.name.casefold() == name.strip().casefold()), None)
    new = {} if kept is not None else _new(before, [name], "", leaving={one.id for one in old})
    into = (kept,) if kept is not None else tuple(new)
    return evolve(before, [TaxonomyActV1(act="merge", of=tuple(one.id for one in old), into=into)], new)


def split(before: TaxonomyV1, id: str, names: Sequence[str]) -> TaxonomyV1:
    """Its old labels become ambiguous: those parts need a new look."""
    _active(before, id)
    if not 2 <= len(names) <= MOST_SPLIT:
        raise ValueError(f"To split takes 2 to {MOST_SPLIT} names, one a line.")
    new = _new(before, names, "", leaving={id})
    return evolve(before, [TaxonomyActV1(act="split", of=(id,), into=tuple(new))], new)


def retired(before: TaxonomyV1, id: str) -> TaxonomyV1:
    _active(before, id)
    return evolve(before, [TaxonomyActV1(act="retire", of=(id,))], {})


def told(version: TaxonomyV1, before: TaxonomyV1 | None) -> str:
    """What its acts did, in the names of then. before: the version that it names, where that is known."""
    said = [_told(act, _names(act.of, before), _names(act.into, version)) for act in version.acts]
    return "; ".join(said) or f"{len(version.classes)} classes written down"


def _told(act: TaxonomyActV1, of: str, into: str) -> str:
    return {
        "add": f"{into} added",
        "rename": f"{of} renamed {into}" if of != into else f"{into} described anew",
        "merge": f"{of} merged into {into}",
        "split": f"{of} split into {into}",
        "retire": f"{of} retired",
    }[act.act]


def _names(ids: Sequence[str], version: TaxonomyV1 | None) -> str:
    found = {one.id: one.name for one in version.classes} if version else {}
    return ", ".join(found.get(id, id) for id in ids)


def id_of(name: str, taken: Container[str]) -> str:
    """An id that nobody has, of a-z, 0-9, `_` and `-`, as like the name as that allows."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:55] or "class"
    free = (stem if n == 1 else f"{stem}-{n}" for n in range(1, MOST_CLASSES + len(RESERVED) + 2))
    return next(id for id in free if id not in taken and id not in RESERVED)


def _new(before: TaxonomyV1, names: Sequence[str], description: str, leaving: Container[str] = ()) -> dict[str, ClassV1]:
    """leaving: classes whose names become free."""
    if len(before.classes) + len(names) > MOST_CLASSES:
        raise ValueError(f"A product has at most {MOST_CLASSES} classes, retired ones among them.")
    taken = {one.id for one in before.classes}
    found: dict[str, ClassV1] = {}
    for name in names:
        called = _called(before, name, but=leaving)
        if called.casefold() in {one.name.casefold() for one in found.values()}:
            raise ValueError(f"{called} is there twice.")
        id = id_of(called, taken | found.keys())
        found[id] = ClassV1(id=id, name=called, description=description)
    return found


def _called(before: TaxonomyV1, name: str, but: Container[str]) -> str:
    """but: ids of classes whose names do not count."""
    found = name.strip()
    if not found or len(found) > MOST_LETTERS or not found.isprintable():
        raise ValueError(f"A name has 1 to {MOST_LETTERS} characters, all of them visible.")
    if found.casefold() in RESERVED:
        raise ValueError(f"{found} is no class of defects: the word means something else.")
    for one in before.classes:
        if one.state == "active" and one.name.casefold() == found.casefold() and one.id not in but:
            raise ValueError(f"There is a class {one.name} already.")
    return found


def _active(before: TaxonomyV1, id: str) -> ClassV1:
    found = before.find(id)
    if found is None or found.state != "active":
        raise ValueError("There is no such class any more.")
    return found
