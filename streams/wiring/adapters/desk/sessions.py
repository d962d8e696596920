"""Who is logged in, and how often a login failed. The cookie holds a token, the database its hash. Knows no page.

A session ends 12 h after it began, after 4 h without a request, and when it seems to begin in the future by more than a
minute: a clock that was set back must not lengthen it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, func, select

from schemas.label import Role
from streams.wiring.adapters.database.connection import reading, writing
from streams.wiring.adapters.database.rows import micros
from streams.wiring.adapters.desk.accounts import User, stamp, token_hash
from streams.wiring.adapters.desk.tables import ATTEMPTS, SESSIONS, USERS

LASTS, IDLE, SKEW = timedelta(hours=12), timedelta(hours=4), timedelta(minutes=1)
WINDOW, OF_BOTH, OF_EITHER = timedelta(minutes=15), 5, 50
_TOUCH = timedelta(minutes=1)
_S, _U, _A = SESSIONS.c, USERS.c, ATTEMPTS.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who asks. csrf: what each of the session's forms must carry."""

    name: str
    role: Role
    csrf: str


class Sessions:
    """Every method raises Unavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, user: User, now: datetime) -> str | None:
        """The token for the cookie; None: the user was changed after it was checked who that is. Forgets what has ended."""
        token = secrets.token_urlsafe(32)
        row = {"token": token_hash(token), "name": user.name, "csrf": secrets.token_urlsafe(32)}
        with writing(self._engine) as connection:
            known = connection.execute(select(USERS).where(_U.name == user.name)).first()
            if known is None or known.disabled or stamp(known) != user.stamp:
                return None
            connection.execute(SESSIONS.delete().where(_S.made_us < micros(now - LASTS)))
            connection.execute(ATTEMPTS.delete().where(_A.at_us < micros(now - WINDOW)))
            connection.execute(SESSIONS.insert(), {**row, "made_us": micros(now), "seen_us": micros(now)})
        return token

    def person(self, token: str, now: datetime) -> Person | None:
        """Whose session that is; None: it has ended, or never was. Counts as a request."""
        return self._person(token, now, touch=_TOUCH)

    def still(self, token: str, now: datetime) -> Person | None:
        """As `person`, for an answer that goes on: a page that is left open is no request."""
        return self._person(token, now, touch=LASTS)

    def _person(self, token: str, now: datetime, touch: timedelta) -> Person | None:
        query = select(_S.made_us, _S.seen_us, _S.csrf, _U.name, _U.role, _U.disabled).join(USERS, _U.name == _S.name)
        with reading(self._engine) as connection:
            row = connection.execute(query.where(_S.token == token_hash(token))).first()
        if row is None or row.disabled or not micros(now - LASTS) < row.made_us <= micros(now + SKEW):
            return None
        if row.seen_us < micros(now - IDLE):
            return None
        if row.seen_us < micros(now - touch):
            with writing(self._engine) as connection:
                connection.execute(SESSIONS.update().where(_S.token == token_hash(token)).values(seen_us=micros(now)))
        return Person(name=row.name, role=row.role, csrf=row.csrf)

    def end(self, token: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(SESSIONS.delete().where(_S.token == token_hash(token)))

    def attempt(self, name: str, address: str, now: datetime) -> int | None:
        """A login's number, which counts as failed until `fitted`; None: this name from this address must wait (5 failures
        within 15 minutes), or either of them alone (50). Counted and written in one transaction: many at once are as many.

        So that nobody can keep another from logging in by a handful of wrong passwords.
        """
        recent = select(func.count()).where(_A.at_us > micros(now - WINDOW))
        mine, here = _A.name == name, _A.address == address
        with writing(self._engine) as connection:
            of_both = connection.execute(recent.where(mine, here)).scalar_one()
            most = max(connection.execute(recent.where(one)).scalar_one() for one in (mine, here))
            if of_both >= OF_BOTH or most >= OF_EITHER:
                return None
            row = {"name": name, "address": address, "at_us": micros(now)}
            return int(connection.execute(ATTEMPTS.insert().returning(_A.id), row).scalar_one())

    def fitted(self, attempt: int) -> None:
        """That login was none that failed."""
        with writing(self._engine) as connection:
            connection.execute(ATTEMPTS.delete().where(_A.id == attempt))
