"""Clusters of unknowns that were named here, and what that sends to Kafka, in one transaction each. Knows no rule.

A part is in one naming at most that counts: of two people who name it at once the second is told. What was sent stays here for a
while, so that undoing and naming again work before the sink has stored it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Select, func, select
from sqlalchemy.dialects.sqlite import insert

from schemas.act import ActV1
from schemas.codec import CONSOLE, keyed, record_of
from schemas.envelope import rfc3339
from schemas.label import LabelV1
from schemas.taxonomy import ClassProposalV1
from streams.wiring.adapters.database.connection import portions, reading, writing
from streams.wiring.adapters.database.rows import micros
from streams.wiring.adapters.desk.acts import act_record
from streams.wiring.adapters.desk.outgoing import put
from streams.wiring.adapters.desk.tables import NAMED, NAMINGS

State = Literal["waiting", "applied", "undone", "rejected"]
KEPT = timedelta(days=35)
_N, _M = NAMINGS.c, NAMED.c


class Refused(ValueError):
    """The text is for the person who asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """label, taxonomy: once it is applied. at_us: when it was named."""

    id: str
    proposal: ClassProposalV1
    cluster: str
    state: State
    label: str | None
    taxonomy: str | None
    at_us: int


class Namings:
    """Every method raises Unavailable; those that change something raise Refused."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # ---------------------------------------------------------------- changes
    def name(self, proposal: ClassProposalV1, cluster: str, drafts: Sequence[LabelV1], now: datetime) -> None:
        """drafts: of each member, what the proposer would say of it. The labels themselves come with `apply`."""
        with writing(self._engine) as connection:
            _forget(connection, micros(now - KEPT))
            _refuse_a_second(connection, proposal)
            row = {"proposal": proposal.id, "product": proposal.product, "cluster": cluster, "who": proposal.who}
            made = {"state": "waiting", "data": proposal.json_bytes().decode(), "made_us": micros(now)}
            connection.execute(NAMINGS.insert(), {**row, **made})
            for draft in drafts:
                _take(connection, proposal.id, draft, micros(now))
            _tell(connection, proposal, proposal.why, now)

    def apply(self, id: str, label: str, taxonomy: str, labels: Sequence[LabelV1], now: datetime) -> None:
        """The class is there: the labels go out."""
        with writing(self._engine) as connection:
            _step(connection, id, ("waiting",), {"state": "applied", "label": label, "taxonomy": taxonomy})
            _say(connection, id, labels, now)

    def undo(self, withdrawn: ClassProposalV1, labels: Sequence[LabelV1], why: str, now: datetime) -> None:
        """labels: what takes back those that stand."""
        with writing(self._engine) as connection:
            _step(connection, withdrawn.id, ("waiting", "applied"), {"state": "undone"})
            _say(connection, withdrawn.id, labels, now)
            connection.execute(NAMED.update().where(_M.proposal == withdrawn.id).values(active=False))
            _tell(connection, withdrawn, why, now)

    def reject(self, id: str) -> None:
        """An engineer did not want this class: its members are free again."""
        with writing(self._engine) as connection:
            _step(connection, id, ("waiting",), {"state": "rejected"})
            connection.execute(NAMED.update().where(_M.proposal == id).values(active=False))

    # ---------------------------------------------------------------- asking
    def newest(self, most: int = 50) -> Sequence[Naming]:
        return self._found(select(NAMINGS).order_by(_N.made_us.desc(), _N.proposal).limit(most))

    def waiting(self) -> Sequence[Naming]:
        return self._found(select(NAMINGS).where(_N.state == "waiting").order_by(_N.made_us))

    def find(self, id: str) -> Naming | None:
        return next(iter(self._found(select(NAMINGS).where(_N.proposal == id))), None)

    def drafts(self, id: str) -> dict[str, LabelV1]:
        """By inspection."""
        query = select(_M.inspection, _M.draft).where(_M.proposal == id)
        with reading(self._engine) as connection:
            return {one: LabelV1.model_validate_json(draft) for one, draft in connection.execute(query)}

    def said(self, inspections: Sequence[str]) -> dict[str, list[LabelV1]]:
        """The labels that were sent from here of each part, in the order in which they were."""
        found: dict[str, list[LabelV1]] = {}
        with reading(self._engine) as connection:
            for some in portions(inspections):
                query = select(_M.inspection, _M.said).where(_M.inspection.in_(some), _M.said.is_not(None)).order_by(_M.said_us)
                for inspection, data in connection.execute(query):
                    found.setdefault(inspection, []).append(LabelV1.model_validate_json(data))
        return found

    def taken(self) -> frozenset[str]:
        """Parts that are in a naming that counts."""
        with reading(self._engine) as connection:
            return frozenset(connection.execute(select(_M.inspection).where(_M.active)).scalars())

    def _found(self, query: Select[Any]) -> Sequence[Naming]:
        with reading(self._engine) as connection:
            return [_naming(row) for row in connection.execute(query)]


def _naming(row: Any) -> Naming:
    return Naming(
        id=row.proposal,
        proposal=ClassProposalV1.model_validate_json(row.data),
        cluster=row.cluster,
        state=row.state,
        label=row.label,
        taxonomy=row.taxonomy,
        at_us=row.made_us,
    )


def _refuse_a_second(connection: Connection, proposal: ClassProposalV1) -> None:
    """Who had some of its members first keeps them. Naming again what was undone takes the place of the naming before."""
    for some in portions(proposal.members):
        query = select(_N.who, func.count()).join(NAMED, _M.proposal == _N.proposal).where(_M.inspection.in_(some), _M.active)
        for who, n in connection.execute(query.group_by(_N.who)):
            raise Refused(f"{who} has just named {n} of these parts. Nothing was changed.")
    before = connection.execute(select(_N.state).where(_N.proposal == proposal.id)).scalar_one_or_none()
    if before == "rejected":
        raise Refused("An engineer has rejected this proposal. Nothing was changed: give it another name.")
    if before is not None:
        connection.execute(NAMINGS.delete().where(_N.proposal == proposal.id))


def _step(connection: Connection, id: str, of: tuple[State, ...], values: dict[str, Any]) -> None:
    """Raises Refused unless it is in one of these states."""
    done = connection.execute(NAMINGS.update().where(_N.proposal == id, _N.state.in_(of)).values(values))
    if done.rowcount != 1:
        raise Refused("This was undone or decided meanwhile. Nothing was changed.")


def _take(connection: Connection, proposal: str, draft: LabelV1, now_us: int) -> None:
    """What was said of it in a naming before stays known: the next label takes that back."""
    values = {"active": True, "draft": draft.json_bytes().decode()}
    row = insert(NAMED).values(inspection=draft.inspection, proposal=proposal, said=None, said_us=now_us, **values)
    connection.execute(row.on_conflict_do_update(index_elements=["inspection", "proposal"], set_=values))


def _say(connection: Connection, id: str, labels: Sequence[LabelV1], now: datetime) -> None:
    for label in labels:
        values = {"said": label.json_bytes().decode(), "said_us": micros(now)}
        mine = (_M.proposal == id, _M.inspection == label.inspection)
        connection.execute(NAMED.update().where(*mine).values(values))
        record = record_of(label, id=label.id, station=label.station, subject=label.inspection, time=label.answered_at)
        put(connection, record, micros(now))


def _tell(connection: Connection, proposal: ClassProposalV1, why: str, now: datetime) -> None:
    """The proposal under its key, and the act that says who made it or took it back."""
    key, place = f"proposal/{proposal.id}", f"current/{proposal.product}"
    put(connection, keyed(proposal, id=f"{key}/{rfc3339(now)}", key=key, subject=place, time=now, source=CONSOLE), micros(now))
    act = ActV1(
        act="proposal_withdrawn" if proposal.withdrawn else "proposal_made",
        where=f"{place}/{key}",
        digest=proposal.taxonomy,
        who=proposal.who,
        why=why,
        at=now,
    )
    put(connection, act_record(act), micros(now))


def _forget(connection: Connection, before_us: int) -> None:
    """What is settled and old: the topics have it."""
    old = select(_N.proposal).where(_N.made_us < before_us, _N.state != "waiting")
    connection.execute(NAMED.delete().where(_M.proposal.in_(old)))
    connection.execute(NAMINGS.delete().where(_N.made_us < before_us, _N.state != "waiting"))
