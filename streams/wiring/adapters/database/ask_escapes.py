"""Questions for the bound on escapes: passes, with what probability they are audited, what audits found. Reads only."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from streams.wiring.adapters.database.tables import PASSES, POLICIES
from streams.wiring.adapters.database.tally import drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """n production passes of the policy. hour: of their verdicts, since 1970; 0: of all that retention has removed.

    probability: of an audit; 0 where no pass of theirs is drawn. good, bad: drawn and answered; waiting: drawn, and not answered
    yet; lapsed: removed before anybody answered.
    """

    product: str
    probability: float
    hour: int
    n: int
    good: int
    bad: int
    waiting: int
    lapsed: int


def passes(connection: Connection) -> tuple[Passes, ...]:
    """Work: as many rows as hours are kept, and the audited parts that are kept."""
    looked = drawn().subquery().c
    groups = (looked.product, looked.probability, looked.hour, looked.state)
    found = {tuple(row[:4]): row.n for row in connection.execute(select(*groups, func.count().label("n")).group_by(*groups))}
    return tuple(
        Passes(
            product=row.product,
            probability=row.probability,
            hour=row.hour,
            n=row.n,
            good=row.good + found.get((row.product, row.probability, row.hour, "good"), 0),
            bad=row.bad + found.get((row.product, row.probability, row.hour, "bad"), 0),
            waiting=found.get((row.product, row.probability, row.hour, "open"), 0),
            lapsed=row.unanswered,
        )
        for row in connection.execute(select(PASSES).order_by(PASSES.c.product, PASSES.c.hour, PASSES.c.probability))
    )


def audit_fractions(connection: Connection) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = {}
    for product, data in connection.execute(select(POLICIES.c.product, POLICIES.c.data).order_by(POLICIES.c.log_offset)):
        found.setdefault(product, []).append(float(json.loads(data).get("audit_fraction", 0)))
    return {product: tuple(fractions) for product, fractions in found.items()}
