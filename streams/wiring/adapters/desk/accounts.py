"""Users of the console, and the one-time links by which they set their password. Knows no page.

Every change is written together with the act that records it: both are in the database, or neither is. The last admin who is
not disabled stays one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, get_args

from sqlalchemy import Connection, Engine, Row, func, select

from schemas.label import Role
from streams.wiring.adapters.database.connection import reading, writing
from streams.wiring.adapters.database.rows import micros
from streams.wiring.adapters.desk.acts import Kind, user_act
from streams.wiring.adapters.desk.outgoing import put
from streams.wiring.adapters.desk.passwords import fault_of, fits, hashed
from streams.wiring.adapters.desk.tables import LINKS, SESSIONS, USERS

ROLES: tuple[Role, ...] = get_args(Role)
LINK_LASTS = timedelta(hours=24)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,79}")
_USED_UP = "This link was used already, or has expired. Ask an admin for another one."
_U, _L = USERS.c, LINKS.c


class Refused(ValueError):
    """The text is for the person who asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """ready: a password is set, or the provider knows who it is. at_provider: logs in there, where that is configured.

    stamp: of the password or of who it is at the provider: a session begins only while it is still that one.
    """

    name: str
    role: Role
    disabled: bool
    ready: bool
    at_provider: bool
    made_by: str
    stamp: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """name: whose; None: it makes a new user of this role."""

    name: str | None
    role: Role


def token_hash(token: str) -> str:
    """Tokens have 256 random bits: a plain hash is enough, and a copy of the database logs nobody in."""
    return hashlib.sha256(token.encode()).hexdigest()


class Accounts:
    """Every method raises Unavailable; those that change something raise Refused."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # ---------------------------------------------------------------- asking
    def users(self) -> tuple[User, ...]:
        with reading(self._engine) as connection:
            return tuple(_user(row) for row in connection.execute(select(USERS).order_by(_U.name)))

    def link(self, token: str, now: datetime) -> Link | None:
        """What this link is good for; None: it was used, has expired, or never was."""
        with reading(self._engine) as connection:
            return _link(connection, token, now)

    def check(self, name: str, password: str) -> User | None:
        """Who that is, where name and password fit."""
        with reading(self._engine) as connection:
            row = connection.execute(select(USERS).where(_U.name == name)).first()
        good = fits(password, None if row is None else row.password)
        return _user(row) if good and row is not None and not row.disabled else None

    # ---------------------------------------------------------------- links
    def first_link(self, now: datetime) -> str | None:
        """A one-time link's token that makes the first admin; None: there is one. Those made before stay good."""
        with writing(self._engine) as connection:
            if _admins(connection):
                return None
            return _new_link(connection, None, "admin", now)

    def use_link(self, token: str, name: str, password: str, now: datetime) -> User:
        """Set the password of the link's user, or make one of that name. The link is used up.

        A hash takes memory and time: it is computed only for whoever has a link.
        """
        if (fault := fault_of(password)) is not None:
            raise Refused(fault)
        if self.link(token, now) is None:
            raise Refused(_USED_UP)
        secret = hashed(password)
        with writing(self._engine) as connection:
            link = _link(connection, token, now)
            if link is None:
                raise Refused(_USED_UP)
            mine = link.name or name
            if link.name is None:
                _add(connection, mine, link.role, who=mine, why="the one-time admin link of the first start", now=now)
                connection.execute(LINKS.delete().where(_L.name.is_(None)))
            connection.execute(LINKS.delete().where(_L.token == token_hash(token)))
            connection.execute(USERS.update().where(_U.name == mine).values(password=secret))
            connection.execute(SESSIONS.delete().where(SESSIONS.c.name == mine))
            row = _row(connection, mine)
            if row.disabled:
                raise Refused(f"User {mine} is disabled.")
            _tell(connection, "user_password", row, who=mine, why="by a one-time link", now=now)
            return _user(row)

    # ---------------------------------------------------------------- changes
    def add(self, name: str, role: Role, *, who: str, why: str, now: datetime) -> str:
        """The token of the link by which the user sets a password."""
        with writing(self._engine) as connection:
            _add(connection, name, role, who=who, why=why, now=now)
            return _new_link(connection, name, role, now)

    def add_for_provider(self, name: str, role: Role, *, who: str, why: str, now: datetime) -> None:
        """A user without a link: who first comes from the provider under this name."""
        with writing(self._engine) as connection:
            _add(connection, name, role, who=who, why=why, now=now, at_provider=True)

    def reset(self, name: str, *, who: str, why: str, now: datetime) -> str:
        """Forget the password, end the sessions; the token of a new link. The provider's word does not count before."""
        values = {"password": None, "at_provider": False}
        with self._changing(name, values, "user_password", who=who, why=why, now=now) as (connection, row):
            return _new_link(connection, name, row.role, now)

    def to_provider(self, name: str, *, who: str, why: str, now: datetime) -> None:
        """Forget the password and who it was; from now on it is who first comes from the provider under this name."""
        values = {"password": None, "subject": None, "at_provider": True}
        with self._changing(name, values, "user_password", who=who, why=why, now=now):
            pass

    def give_role(self, name: str, role: Role, *, who: str, why: str, now: datetime) -> None:
        with self._changing(name, {"role": role}, "user_role", who=who, why=why, now=now):
            pass

    def disable(self, name: str, *, who: str, why: str, now: datetime) -> None:
        """Sessions and links end at once."""
        with self._changing(name, {"disabled": True}, "user_disabled", who=who, why=why, now=now):
            pass

    def enable(self, name: str, *, who: str, why: str, now: datetime) -> None:
        with self._changing(name, {"disabled": False}, "user_enabled", who=who, why=why, now=now):
            pass

    def from_provider(self, subject: str, name: str, role: Role | None, now: datetime) -> User:
        """Whom the provider means. The first time the name counts: that of a user whom an admin has added for the provider, or
        a new user of that role. Upper and lower case are one. role: of newcomers; None: an admin adds them.
        """
        with writing(self._engine) as connection:
            row = connection.execute(select(USERS).where(_U.subject == subject)).first()
            if row is None:
                row = _row(connection, _adopt(connection, subject, name, role, now))
        if row.disabled:
            raise Refused(f"User {row.name} is disabled.")
        return _user(row)

    @contextmanager
    def _changing(
        self, name: str, values: dict[str, Any], kind: Kind, *, who: str, why: str, now: datetime
    ) -> Iterator[tuple[Connection, Any]]:
        with writing(self._engine) as connection:
            _row(connection, name)
            before = _admins(connection)
            connection.execute(USERS.update().where(_U.name == name).values(**values))
            connection.execute(SESSIONS.delete().where(SESSIONS.c.name == name))
            connection.execute(LINKS.delete().where(_L.name == name))
            if before and not _admins(connection):
                raise Refused(f"{name} is the last admin: make somebody else one first.")
            row = _row(connection, name)
            _tell(connection, kind, row, who=who, why=why, now=now)
            yield connection, row


def _adopt(connection: Connection, subject: str, name: str, role: Role | None, now: datetime) -> str:
    """The user's own name. Raises Refused."""
    known = connection.execute(select(USERS).where(func.lower(_U.name) == name.lower())).first()
    if known is None and role is not None:
        _add(connection, name, role, who=name, why="first login at the provider", now=now, at_provider=True, subject=subject)
        return name
    if known is None or not known.at_provider or known.subject is not None:
        raise Refused(f"The provider says that you are {name}. Ask an admin to add that name as one who logs in at the provider.")
    connection.execute(USERS.update().where(_U.name == known.name).values(subject=subject))
    return str(known.name)


def _add(connection: Connection, name: str, role: Role, *, who: str, why: str, now: datetime, **values: Any) -> None:
    if not _NAME.fullmatch(name):
        raise Refused("A name has 1 to 80 letters, digits or . _ @ + - and begins with a letter or digit.")
    if connection.execute(select(_U.name).where(func.lower(_U.name) == name.lower())).first() is not None:
        raise Refused(f"There is a user {name} already.")
    empty = {"password": None, "subject": None, "at_provider": False, "disabled": False}
    mine = {"name": name, "role": role, "made_us": micros(now), "made_by": who}
    connection.execute(USERS.insert(), {**empty, **mine, **values})
    _tell(connection, "user_added", _row(connection, name), who=who, why=why, now=now)


def _tell(connection: Connection, kind: Kind, row: Any, *, who: str, why: str, now: datetime) -> None:
    put(connection, user_act(kind, row.name, row.role, row.disabled, who=who, why=why, at=now), micros(now))


def _new_link(connection: Connection, name: str | None, role: Role, now: datetime) -> str:
    token = secrets.token_urlsafe(32)
    ends = micros(now + LINK_LASTS)
    row = {"token": token_hash(token), "name": name, "role": role, "made_us": micros(now), "ends_us": ends}
    connection.execute(LINKS.insert(), row)
    return token


def _link(connection: Connection, token: str, now: datetime) -> Link | None:
    row = connection.execute(select(LINKS).where(_L.token == token_hash(token), _L.ends_us > micros(now))).first()
    return None if row is None else Link(name=row.name, role=row.role)


def _row(connection: Connection, name: str) -> Any:
    row = connection.execute(select(USERS).where(_U.name == name)).first()
    if row is None:
        raise Refused(f"There is no user {name}.")
    return row


def _admins(connection: Connection) -> int:
    """Who is not disabled."""
    enabled = select(func.count()).where(_U.role == "admin", _U.disabled.is_(False))
    return int(connection.execute(enabled).scalar_one())


def _user(row: Row[Any] | Any) -> User:
    return User(
        name=row.name,
        role=row.role,
        disabled=bool(row.disabled),
        ready=row.password is not None or row.subject is not None,
        at_provider=bool(row.at_provider),
        made_by=row.made_by,
        stamp=stamp(row),
    )


def stamp(row: Row[Any] | Any) -> str:
    """Of a user's row: another one after the password or the provider's subject has changed."""
    return token_hash(f"{row.password} {row.subject}")
