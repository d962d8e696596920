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
from dataclasses import dataclass
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
_U, _L = USERS.c, LINKS.c


class Refused(ValueError):
    """The text is for the person who asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """ready: a password is set, or the provider knows who it is."""

    name: str
    role: Role
    disabled: bool
    ready: bool
    made_by: str


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
        """A one-time link's token that makes the first admin; None: there are users. Those made before stay good."""
        with writing(self._engine) as connection:
            if _count(connection):
                return None
            return _new_link(connection, None, "admin", now)

    def use_link(self, token: str, name: str, password: str, now: datetime) -> User:
        """Set the password of the link's user, or make one of that name. The link is used up."""
        if (fault := fault_of(password)) is not None:
            raise Refused(fault)
        secret = hashed(password)
        with writing(self._engine) as connection:
            link = _link(connection, token, now)
            if link is None:
                raise Refused("This link was used already, or has expired. Ask an admin for another one.")
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

    def reset(self, name: str, *, who: str, why: str, now: datetime) -> str:
        """Forget the password, end the sessions; the token of a new link."""
        with self._changing(name, {"password": None}, "user_password", who=who, why=why, now=now) as (connection, row):
            return _new_link(connection, name, row.role, now)

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
        """Whom the provider means. The first time the name counts: that of a user whom an admin has added and who has neither
        password nor subject; or a new user of that role. role: of newcomers; None: an admin adds them.
        """
        with writing(self._engine) as connection:
            row = connection.execute(select(USERS).where(_U.subject == subject)).first()
            if row is None:
                self._adopt(connection, subject, name, role, now)
                row = _row(connection, name)
        if row.disabled:
            raise Refused(f"User {row.name} is disabled.")
        return _user(row)

    @staticmethod
    def _adopt(connection: Connection, subject: str, name: str, role: Role | None, now: datetime) -> None:
        known = connection.execute(select(USERS).where(_U.name == name)).first()
        if known is None and role is not None:
            _add(connection, name, role, who=name, why="first login at the provider", now=now, subject=subject)
        elif known is not None and known.password is None and known.subject is None:
            connection.execute(USERS.update().where(_U.name == name).values(subject=subject))
            connection.execute(LINKS.delete().where(_L.name == name))
        else:
            raise Refused(f"The provider says that you are {name}. Ask an admin to add a user of that name, without a password.")

    @contextmanager
    def _changing(
        self, name: str, values: dict[str, Any], kind: Kind, *, who: str, why: str, now: datetime
    ) -> Iterator[tuple[Connection, Any]]:
        with writing(self._engine) as connection:
            _row(connection, name)
            connection.execute(USERS.update().where(_U.name == name).values(**values))
            connection.execute(SESSIONS.delete().where(SESSIONS.c.name == name))
            connection.execute(LINKS.delete().where(_L.name == name))
            admins = select(func.count()).where(_U.role == "admin", _U.disabled.is_(False))
            if not connection.execute(admins).scalar_one():
                raise Refused(f"{name} is the last admin: make somebody else one first.")
            row = _row(connection, name)
            _tell(connection, kind, row, who=who, why=why, now=now)
            yield connection, row


def _add(connection: Connection, name: str, role: Role, *, who: str, why: str, now: datetime, subject: str | None = None) -> None:
    if not _NAME.fullmatch(name):
        raise Refused("A name has 1 to 80 letters, digits or . _ @ + - and begins with a letter or digit.")
    if connection.execute(select(_U.name).where(func.lower(_U.name) == name.lower())).first() is not None:
        raise Refused(f"There is a user {name} already.")
    values = {"name": name, "role": role, "password": None, "subject": subject, "disabled": False}
    connection.execute(USERS.insert(), {**values, "made_us": micros(now), "made_by": who})
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


def _count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(USERS)).scalar_one())


def _user(row: Row[Any] | Any) -> User:
    ready = row.password is not None or row.subject is not None
    return User(name=row.name, role=row.role, disabled=bool(row.disabled), ready=ready, made_by=row.made_by)
