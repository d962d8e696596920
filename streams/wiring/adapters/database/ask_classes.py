"""Questions about the classes of defects: which version is in force, and which classes have been proposed. Reads only.

What an old label's class means today is `streams.review.taxonomy`'s to say; here are the versions that it follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, select

from schemas.taxonomy import ClassProposalV1, TaxonomyV1
from streams.fates import Unavailable
from streams.wiring.adapters.database.ask_parts import time_of
from streams.wiring.adapters.database.tables import ACTS, IN_FORCE, PROPOSALS, TAXONOMIES

Fate = Literal["open", "accepted", "rejected", "withdrawn"]
_FATES: Mapping[str, Fate] = {"proposal_accepted": "accepted", "proposal_rejected": "rejected"}
_T, _F, _P, _A = TAXONOMIES.c, IN_FORCE.c, PROPOSALS.c, ACTS.c


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
