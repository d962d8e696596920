"""Which challenge parts may be shown to a reviewer: what could be told from production, or is not certain, is left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from streams.wiring.adapters.database import ask_parts, ask_report
from streams.wiring.adapters.database.ask_console import Questions
from streams.wiring.adapters.database.ask_known import known_parts
from streams.wiring.adapters.database.connection import reading
from streams.wiring.adapters.database.scope import Scope
from streams.wiring.adapters.database.store import Store
from tests.helpers.database import write
from tests.helpers.history import history, part
from tests.helpers.known import RAN_AT, Rabbit, rabbits

FIT = Rabbit(n=121, name="m1", image="1")
NOW = RAN_AT + timedelta(minutes=1)


def found(engine: Engine, *shown: Rabbit, begin: timedelta = timedelta(hours=6)) -> dict[str, str]:
    """inspection -> the part that it shows."""
    write(Store(engine), [*history(120), *rabbits(*shown)])
    with reading(engine) as connection:
        return {one.inspection: one.part for one in known_parts(connection, NOW - begin, NOW)}


def test_showings_of_one_image_are_one_part_and_masters_go_by_their_name(engine: Engine) -> None:
    again, other = replace(FIT, n=122, name="m1-again"), replace(FIT, n=123, name="m2", image="2")
    masters = [Rabbit(n=n, name="m9", image=str(n % 10), proof="physical") for n in (124, 125)]
    parts = found(engine, FIT, again, other, *masters, replace(FIT, n=126, name="g1", kind="golden", image="3"))
    assert len(parts) == 6
    assert parts[FIT.inspection] == parts[again.inspection] != parts[other.inspection]
    assert {parts[one.inspection] for one in masters} == {"master/disc/m9"}


@pytest.mark.parametrize(
    "odd",
    [
        replace(FIT, n=122, name="painted", kind="graded"),
        replace(FIT, n=122, name="retired", registered=(("retired", True),)),
        replace(FIT, n=122, name="expired", registered=(("expires_at", NOW),)),
        replace(FIT, n=122, name="other-views", views=("v1", "v2", "v3")),
        replace(FIT, n=190, name="far-from-production"),
    ],
    ids=lambda one: one.name,
)
def test_what_could_be_told_or_is_not_certain_is_left_out(engine: Engine, odd: Rabbit) -> None:
    assert set(found(engine, FIT, odd)) == {FIT.inspection}


def test_only_those_of_the_last_hours(engine: Engine) -> None:
    assert found(engine, FIT, begin=timedelta(seconds=30)) == {}


def test_a_challenge_on_review_waits_for_nobody(engine: Engine) -> None:
    write(Store(engine), list(history(120)))
    before = _waiting(engine)
    write(Store(engine), rabbits(FIT, replace(FIT, n=122, name="unknown", score=0.99, seen="good")))
    with reading(engine) as connection:
        judged = ask_parts.part(connection, part(122))
    assert judged is not None
    assert judged.disposition == "review"
    assert _waiting(engine) == before


def _waiting(engine: Engine) -> object:
    with reading(engine) as connection:
        named = {one.inspection for one in ask_parts.open_reviews(connection, Scope(purposes=()))}
        counted = ask_report.waiting(connection, Scope(purposes=()))
    return named, counted, Questions(engine).lines(RAN_AT).open_reviews
