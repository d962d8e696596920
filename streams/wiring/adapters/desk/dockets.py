"""Parts that people look at: who has them, what was said, and what that sends to Kafka, in one transaction. Knows no rule.

A part that nobody has looked at has no row. What nobody has touched for long is forgotten: the topics have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from schemas.envelope import Record
from schemas.label import LabelV1
from streams.wiring.adapters.database.connection import reading, writing
from streams.wiring.adapters.desk.outgoing import put
from streams.wiring.adapters.desk.tables import ANSWERS, DOCKETS, MASKED, TESTED

_D, _A, _M, _T = DOCKETS.c, ANSWERS.c, MASKED.c, TESTED.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A row of `dockets`; its columns are said there."""

    inspection: str
    state: str
    held_by: str | None
    held_until_ms: int | None
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One answer, by its number."""

    number: int
    inspection: str
    at_us: int


class Desk:
    """One transaction of the console's database."""

    def __init__(self, connection: Connection, now_us: int) -> None:
        self._connection, self._now_us = connection, now_us

    def find(self, inspection: str) -> Filed | None:
        row = self._connection.execute(select(DOCKETS).where(_D.inspection == inspection)).first()
        return None if row is None else _filed(row)

    def held(self, who: str) -> tuple[Filed, ...]:
        """What this person has or had, and nobody took since: the first one to look at first."""
        query = select(DOCKETS).where(_D.held_by == who).order_by(_D.held_until_ms, _D.inspection)
        return tuple(map(_filed, self._connection.execute(query)))

    def file(self, inspection: str, state: str, lease: tuple[str, int] | None, data: str) -> None:
        """Instead of what there is of this part. lease: whose, until when (ms)."""
        who, until_ms = lease or (None, None)
        self._connection.execute(DOCKETS.delete().where(_D.inspection == inspection))
        row = {"inspection": inspection, "state": state, "held_by": who, "held_until_ms": until_ms, "data": data}
        self._connection.execute(DOCKETS.insert(), {**row, "changed_us": self._now_us})

    def send(self, records: Sequence[Record]) -> None:
        for record in records:
            put(self._connection, record, self._now_us)

    def note(self, who: str, inspection: str) -> int:
        """That this person gave an answer; its number."""
        row = {"who": who, "inspection": inspection, "at_us": self._now_us, "undone": False}
        done = self._connection.execute(ANSWERS.insert(), row)
        assert done.inserted_primary_key is not None
        return int(done.inserted_primary_key[0])

    def last(self, who: str) -> Given | None:
        """Their newest answer that they did not take back."""
        query = select(ANSWERS).where(_A.who == who, _A.undone.is_(False)).order_by(_A.id.desc()).limit(1)
        row = self._connection.execute(query).first()
        return None if row is None else Given(number=row.id, inspection=row.inspection, at_us=row.at_us)

    def masked(self, inspection: str) -> tuple[LabelV1, ...]:
        """The last label with a mask that each person has sent from here of it, and of its views."""
        query = select(_M.said).where(_M.inspection == inspection).order_by(_M.said_us)
        return tuple(map(LabelV1.model_validate_json, self._connection.execute(query).scalars()))

    def keep_masked(self, label: LabelV1) -> None:
        """Instead of this person's last one."""
        view = label.view or ""
        mine = (_M.inspection == label.inspection, _M.who == label.who, _M.view == view)
        self._connection.execute(MASKED.delete().where(*mine))
        row = {"inspection": label.inspection, "who": label.who, "view": view, "said": label.json_bytes().decode()}
        self._connection.execute(MASKED.insert(), {**row, "said_us": self._now_us})

    def strike(self, number: int) -> None:
        """That answer was taken back."""
        self._connection.execute(ANSWERS.update().where(_A.id == number).values(undone=True))

    def tested(self, who: str) -> dict[str, int]:
        """Parts with a known answer that this person was given -> when last (us)."""
        query = select(_T.part, _T.at_us).where(_T.who == who)
        return {row.part: row.at_us for row in self._connection.execute(query)}

    def answers_since_test(self, who: str) -> int:
        """How many answers this person has given, taken back or not, since they were given the last such part, or ever."""
        last = select(func.coalesce(func.max(_T.answer), 0)).where(_T.who == who).scalar_subquery()
        query = select(func.count()).select_from(ANSWERS).where(_A.who == who, _A.id > last)
        return int(self._connection.execute(query).scalar_one())

    def is_looked_at(self, part: str, now_ms: int) -> bool:
        """Whether somebody has this part with a known answer now, in whatever inspection."""
        query = select(_T.part).join_from(TESTED, DOCKETS, _D.inspection == _T.inspection)
        return self._connection.execute(query.where(_T.part == part, _D.held_until_ms > now_ms)).first() is not None

    def test(self, who: str, part: str, inspection: str, instead_of: str) -> None:
        """That this person is given this part with a known answer, in the place of that inspection."""
        last = self._connection.execute(select(func.max(_A.id)).where(_A.who == who)).scalar_one() or 0
        self._connection.execute(TESTED.delete().where(_T.who == who, _T.part == part))
        row = {"who": who, "part": part, "inspection": inspection, "answer": last, "at_us": self._now_us}
        self._connection.execute(TESTED.insert(), {**row, "instead_of": instead_of})


class Dockets:
    """Every method raises Unavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def change(self, now_us: int) -> Iterator[Desk]:
        """All that is done in it, or nothing. One person at a time."""
        with writing(self._engine) as connection:
            yield Desk(connection, now_us)

    @contextmanager
    def look(self) -> Iterator[Desk]:
        """One snapshot, nothing to be changed."""
        with reading(self._engine) as connection:
            yield Desk(connection, 0)

    def since(self, changed_us: int, most: int) -> tuple[Filed, ...]:
        """Dockets that were changed since then."""
        with reading(self._engine) as connection:
            query = select(DOCKETS).where(_D.changed_us >= changed_us).order_by(_D.changed_us).limit(most)
            return tuple(map(_filed, connection.execute(query)))

    def unsettled(self) -> tuple[Filed, ...]:
        """Open and contested ones."""
        with reading(self._engine) as connection:
            return tuple(map(_filed, connection.execute(select(DOCKETS).where(_D.state != "decided"))))

    def answered(self, who: str, since_us: int) -> int:
        """How many answers this person has given since then."""
        with reading(self._engine) as connection:
            query = select(func.count()).select_from(ANSWERS).where(_A.who == who, _A.at_us >= since_us)
            return int(connection.execute(query).scalar_one())

    def forget(self, before_us: int, most: int = 1000) -> int:
        """What nobody has touched since then; at most so many dockets and answers, and every label with a mask.

        The newest answer stays: numbers go on.
        """
        with writing(self._engine) as connection:
            old = select(_D.inspection).where(_D.changed_us < before_us).limit(most)
            gone = connection.execute(DOCKETS.delete().where(_D.inspection.in_(old))).rowcount
            gone += connection.execute(MASKED.delete().where(_M.said_us < before_us)).rowcount
            newest = select(func.max(_A.id)).scalar_subquery()
            past = select(_A.id).where(_A.at_us < before_us, _A.id < newest).limit(most)
            return int(gone + connection.execute(ANSWERS.delete().where(_A.id.in_(past))).rowcount)


def _filed(row: Any) -> Filed:
    return Filed(**{name: getattr(row, name) for name in Filed.__dataclass_fields__})
