"""Versions of the classes that this console has put in force, and what it has said of proposed ones.

A change waits in the outgoing records until Kafka has it, and then until the sink has stored it. So that nobody changes a version
that was changed meanwhile, each version has one step here: who comes second is told. Steps and records are written together.
Consoles with databases of their own do not know of each other's steps: there the pointer that came last is in force.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, Engine, select

from schemas.act import ActV1
from schemas.common import digest
from schemas.taxonomy import TaxonomyPointerV1, TaxonomyV1
from streams.wiring.adapters.database.connection import reading, writing
from streams.wiring.adapters.database.rows import micros
from streams.wiring.adapters.desk.acts import act_record, in_force
from streams.wiring.adapters.desk.outgoing import put
from streams.wiring.adapters.desk.tables import STEPS
from streams.wiring.adapters.shelf import where_of

Kind = Literal["taxonomy_in_force", "proposal_accepted", "proposal_rejected"]
_S = STEPS.c
_STALE = "Somebody else has changed this meanwhile. Nothing was changed: load the page again."


class Stale(ValueError):
    """The text is for the person who asked."""


class Taxonomies:
    """Every method raises Unavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ahead(self, product: str, stored: str | None) -> tuple[TaxonomyV1, ...]:
        """What was published here after the version that the sink has stored, in order; the last one is in force."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(STEPS).where(_S.place == where_of(product, None))).all()
        after = {row.before: row for row in rows}
        found, at = [], stored or ""
        while (row := after.pop(at, None)) is not None:
            found.append(TaxonomyV1.read(row.data.encode()))
            at = row.after
        return tuple(found)

    def publish(self, versions: Sequence[TaxonomyV1], *, who: str, why: str, now: datetime, accepts: str | None = None) -> str:
        """Put them in force, each the successor of the one before it; the digest of the last. accepts: id of a proposal.

        Raises Stale where another one has followed the version that they change, or where the proposal was decided.
        """
        said = _Said(who=who, why=why, at=now)
        with writing(self._engine) as connection:
            for version in versions:
                act = said.act("taxonomy_in_force", where_of(version.product, None), digest(version))
                _step(connection, act, version.previous or "", version.json_bytes().decode())
                for record in in_force(version, TaxonomyPointerV1(digest=act.digest, who=who, why=why), act):
                    put(connection, record, micros(now))
            if accepts is not None:
                _decide(connection, said.act("proposal_accepted", f"{act.where}/proposal/{accepts}", act.digest))
        return act.digest

    def reject(self, product: str, proposal: str, taxonomy: str, *, who: str, why: str, now: datetime) -> None:
        """Record that an engineer does not want this class. taxonomy: the version in force. Raises Stale."""
        said = _Said(who=who, why=why, at=now)
        with writing(self._engine) as connection:
            _decide(connection, said.act("proposal_rejected", f"{where_of(product, None)}/proposal/{proposal}", taxonomy))

    def decided(self, product: str) -> frozenset[str]:
        """Ids of the proposals that were accepted or rejected here."""
        place = f"{where_of(product, None)}/proposal/"
        with reading(self._engine) as connection:
            rows = connection.execute(select(_S.place).where(_S.place.startswith(place, autoescape=True)))
            return frozenset(found.removeprefix(place) for (found,) in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    who: str
    why: str
    at: datetime

    def act(self, kind: Kind, where: str, version: str) -> ActV1:
        return ActV1(act=kind, where=where, digest=version, who=self.who, why=self.why, at=self.at)


def _decide(connection: Connection, act: ActV1) -> None:
    _step(connection, act, "", "")
    put(connection, act_record(act), micros(act.at))


def _step(connection: Connection, act: ActV1, before: str, data: str) -> None:
    taken = select(_S.after).where(_S.place == act.where, _S.before == before)
    if connection.execute(taken).first() is not None:
        raise Stale(_STALE)
    values = {"place": act.where, "before": before, "after": act.digest, "data": data, "made_us": micros(act.at)}
    connection.execute(STEPS.insert(), values)
