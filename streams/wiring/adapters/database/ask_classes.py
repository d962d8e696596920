"""Questions about the classes of defects: which version is in force, which were proposed, what was labelled. Reads only.

What an old label's class means today is `streams.review.taxonomy`'s to say; here are the versions that it follows. A label stands
while it has an answer and nobody took it back; what was said of a challenge is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal, or_, select

from schemas.label import LabelV1
from schemas.taxonomy import ClassProposalV1, TaxonomyV1
from streams.fates import Unavailable
from streams.wiring.adapters.database.ask_monitors import Act, act_of
from streams.wiring.adapters.database.ask_parts import time_of
from streams.wiring.adapters.database.standing import of_a_part
from streams.wiring.adapters.database.tables import ACTS, IN_FORCE, LABELS, MODEL_SETS, POLICIES, PROPOSALS, TAXONOMIES

Fate = Literal["open", "accepted", "rejected", "withdrawn"]
_FATES: Mapping[str, Fate] = {"proposal_accepted": "accepted", "proposal_rejected": "rejected"}
Pair = tuple[str, str]  # a class, and the taxonomy version that a label of it names
MOST_EXAMPLES, MOST_ACTS = 4, 50
_L, _T, _F, _P, _A = LABELS.c, TAXONOMIES.c, IN_FORCE.c, PROPOSALS.c, ACTS.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """The version in force, who said so and why. versions: every one of the product, by digest: `lineage_of` takes them."""

    product: str
    digest: str
    taxonomy: TaxonomyV1
    versions: Mapping[str, TaxonomyV1]
    who: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposed class, and what an engineer said of it. version: once accepted, the taxonomy version whose last act adds it."""

    id: str
    proposal: ClassProposalV1
    fate: Fate
    version: str | None = None
    who: str | None = None
    why: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A product that has something in force. classes: that its models know; dispositions: class -> what its policies make of it,
    several where stations differ.
    """

    classes: tuple[str, ...]
    dispositions: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """So many standing labels say this, under this version."""

    answer: str
    label: str | None
    taxonomy: str | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    inspection: str
    view: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Standing labels of a class as it is today. parts: physical ones. examples: of different inspections, the newest."""

    labels: int
    parts: int
    examples: tuple[Example, ...]


def served(connection: Connection) -> dict[str, Served]:
    """By product, in the order of their names: whatever has a model set, a policy or classes in force."""
    rows = connection.execute(select(IN_FORCE.c.kind, IN_FORCE.c.place, IN_FORCE.c.digest)).all()
    names = sorted({row.place.removeprefix("current/").partition("/")[0] for row in rows})
    wanted = [row.digest for row in rows]
    models = connection.execute(select(MODEL_SETS.c.product, MODEL_SETS.c.data).where(MODEL_SETS.c.digest.in_(wanted))).all()
    rules = connection.execute(select(POLICIES.c.product, POLICIES.c.data).where(POLICIES.c.digest.in_(wanted))).all()
    return {
        name: Served(
            classes=_known([data for product, data in models if product == name]),
            dispositions=_dispositions([data for product, data in rules if product == name]),
        )
        for name in names
    }


def _known(model_sets: Sequence[str]) -> tuple[str, ...]:
    """Of their classifiers. Read as plain JSON: the calibration scores are many, and not asked for."""
    models = (model for data in model_sets for model in json.loads(data)["models"] if model["stage"] == "classification")
    return tuple(sorted({label for model in models for label in model.get("classes", ())}))


def _dispositions(policies: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for rules in (json.loads(data).get("classes", {}) for data in policies):
        for label, rule in rules.items():
            found.setdefault(label, set()).add(rule["disposition"])
    return {label: tuple(sorted(said)) for label, said in found.items()}


def labelled(connection: Connection, product: str) -> tuple[Labelled, ...]:
    groups = (_L.answer, _L.label, _L.taxonomy)
    query = select(*groups, func.count().label("n")).where(_L.product == product, of_a_part()).group_by(*groups)
    return tuple(Labelled(**row) for row in connection.execute(query).mappings())


def gathered(connection: Connection, product: str, groups: Mapping[str, Sequence[Pair]]) -> dict[str, Gathered]:
    """groups: what the class is called today -> the pairs that have become it. Those without a label are left out."""
    whens = [(_any(pairs), literal(name)) for name, pairs in groups.items() if pairs]
    if not whens:
        return {}
    today = case(*whens).label("today")
    mine = (_L.product == product, _L.answer == "defect", of_a_part())
    each = select(today, _L.physical, _L.inspection, _L.data, _L.at_us, _L.label_id).where(*mine).subquery().c
    counts = select(each.today, func.count().label("n"), func.count(each.physical.distinct()).label("parts"))
    newest = func.row_number().over(partition_by=each.today, order_by=(each.at_us.desc(), each.label_id))
    ranked = select(each.today, each.data, newest.label("rank")).where(each.today.is_not(None)).subquery().c
    looked: dict[str, list[str]] = {}
    for name, data in connection.execute(
        select(ranked.today, ranked.data).where(ranked.rank <= 3 * MOST_EXAMPLES).order_by(ranked.rank)
    ):
        looked.setdefault(name, []).append(data)
    rows = connection.execute(counts.where(each.today.is_not(None)).group_by(each.today))
    return {row.today: Gathered(labels=row.n, parts=row.parts, examples=_examples(looked[row.today])) for row in rows}


def _examples(labels: Sequence[str]) -> tuple[Example, ...]:
    """One of each inspection, in the given order."""
    each: dict[str, Example] = {}
    for one in (LabelV1.read(data.encode()) for data in labels):
        each.setdefault(one.inspection, Example(inspection=one.inspection, view=one.views[0].view))
    return tuple(each.values())[:MOST_EXAMPLES]


def _any(pairs: Sequence[Pair]) -> ColumnElement[bool]:
    return or_(*(and_(_L.label == label, _L.taxonomy == version) for label, version in pairs))


def taxonomy(connection: Connection, product: str) -> Taxonomy | None:
    """None: nobody has written the product's classes down yet. Raises Unavailable where the version in force is not here."""
    pointer = connection.execute(select(IN_FORCE).where(_F.kind == "taxonomy", _F.place == f"current/{product}")).first()
    if pointer is None:
        return None
    rows = connection.execute(select(_T.digest, _T.data).where(_T.product == product))
    versions = {digest: TaxonomyV1.read(data.encode()) for digest, data in rows}
    if pointer.digest not in versions:
        raise Unavailable(
            f"the classes in force of {product} ({pointer.digest[:12]}) are not in the database: db rebuild reads them"
        )
    return Taxonomy(
        product=product,
        digest=pointer.digest,
        taxonomy=versions[pointer.digest],
        versions=versions,
        who=pointer.who,
        why=pointer.why,
        at=time_of(pointer.at_us),
    )


def proposals(connection: Connection, product: str) -> tuple[Proposal, ...]:
    """The newest first. Of several acts about one the first counts."""
    place = f"current/{product}/proposal/"
    acts = connection.execute(
        select(ACTS).where(_A.place.startswith(place, autoescape=True), _A.act.in_(_FATES)).order_by(_A.log_offset.desc())
    )
    decided = {row.place.removeprefix(place): row for row in acts}
    rows = connection.execute(select(PROPOSALS).where(_P.product == product).order_by(_P.at_us.desc(), _P.proposal_id))
    return tuple(_proposal(row.data, decided.get(row.proposal_id)) for row in rows)


def _proposal(data: str, act: Any | None) -> Proposal:
    said = ClassProposalV1.read(data.encode())
    if act is None:
        return Proposal(id=said.id, proposal=said, fate="withdrawn" if said.withdrawn else "open")
    return Proposal(
        id=said.id,
        proposal=said,
        fate="withdrawn" if said.withdrawn else _FATES[act.act],
        version=act.digest if act.act == "proposal_accepted" else None,
        who=act.who,
        why=act.why,
        at=time_of(act.at_us),
    )


def acts(connection: Connection, product: str) -> tuple[Act, ...]:
    """About the product's classes, the newest first."""
    about = select(ACTS).where(
        or_(
            and_(_A.place == f"current/{product}", _A.act == "taxonomy_in_force"),
            and_(_A.place.startswith(f"current/{product}/proposal/", autoescape=True), _A.act.in_(_FATES)),
        )
    )
    rows = connection.execute(about.order_by(_A.log_offset.desc()).limit(MOST_ACTS))
    return tuple(map(act_of, rows))
