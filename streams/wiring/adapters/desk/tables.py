"""The console's own tables. Times are `*_us`: microseconds since 1970, UTC. Knows no page.

* users: password: of argon2, None until one is set; subject: who it is at the OIDC provider, None where passwords are used.
  at_provider: an admin has said that this user logs in there; nobody else is whom the provider calls by that name.
* sessions: token: SHA-256 of what the cookie holds. links: one-time links, token likewise; user: None makes a new one.
* attempts: logins that failed, for the rate limit. outgoing: records that Kafka has not acknowledged; headers: JSON, base64.
* steps: what was put in force here: place (of the act), the digest before (empty: none) and after, the version as JSON.
* dockets: parts that somebody has looked at; data: the docket as JSON; state: open, decided, contested; held_by: who has the part
  until held_until_ms (of the console's clock). answers: who answered of which part, so that it can be undone; undone: it was.
* tested: which part with a known answer each person was given last when, in which inspection, and instead of which one (the draw
  can be repeated); answer: the number of the answer that they had given before it (0: none), whatever their clock said.
* namings: clusters of unknowns that were named here: the proposal as JSON, the cluster's digest; state: waiting (for its class),
  applied (with label and taxonomy), undone, rejected. named: their members. active: while the naming counts: a part is in one
  such naming at most; draft: the label without its class, said: the last label that was sent, both JSON.
* masked: the last label with a mask that a person sent of a view, or of the part (view is empty), as JSON.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text, false

META = MetaData()


def _text(name: str, *, key: bool = False, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, primary_key=key, nullable=nullable)


def _us(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, BigInteger, nullable=nullable)


def _number() -> Column[Any]:
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


USERS = Table(
    "users",
    META,
    _text("name", key=True),
    _text("role"),
    _text("password", nullable=True),
    _text("subject", nullable=True),
    Column("at_provider", Boolean(create_constraint=False), nullable=False, server_default=false()),
    Column("disabled", Boolean(create_constraint=False), nullable=False),
    _us("made_us"),
    _text("made_by"),
    Index("users_subject", "subject", unique=True),
)
SESSIONS = Table(
    "sessions",
    META,
    _text("token", key=True),
    _text("name"),
    _text("csrf"),
    _us("made_us"),
    _us("seen_us"),
    Index("sessions_name", "name"),
)
LINKS = Table(
    "links",
    META,
    _text("token", key=True),
    _text("name", nullable=True),
    _text("role"),
    _us("made_us"),
    _us("ends_us"),
)
ATTEMPTS = Table("attempts", META, _number(), _text("name"), _text("address"), _us("at_us"), Index("attempts_at", "at_us"))
OUTGOING = Table(
    "outgoing",
    META,
    _number(),
    _text("topic"),
    Column("key", LargeBinary, nullable=True),
    Column("value", LargeBinary, nullable=True),
    _text("headers"),
    _us("made_us"),
    sqlite_autoincrement=True,  # a number is never given again, not even when the table was empty
)
NAMINGS = Table(
    "namings",
    META,
    _text("proposal", key=True),
    _text("product"),
    _text("cluster"),
    _text("who"),
    _text("state"),
    *(_text(name, nullable=True) for name in ("label", "taxonomy")),
    _text("data"),
    _us("made_us"),
    Index("namings_made", "made_us"),
)
NAMED = Table(
    "named",
    META,
    _text("inspection", key=True),
    _text("proposal", key=True),
    Column("active", Boolean(create_constraint=False), nullable=False),
    _text("draft"),
    _text("said", nullable=True),
    _us("said_us"),
    Index("named_proposal", "proposal"),
)
MASKED = Table(
    "masked",
    META,
    _text("inspection", key=True),
    _text("who", key=True),
    _text("view", key=True),
    _text("said"),
    _us("said_us"),
    Index("masked_said", "said_us"),
)
STEPS = Table("steps", META, _text("place", key=True), _text("before", key=True), _text("after"), _text("data"), _us("made_us"))
DOCKETS = Table(
    "dockets",
    META,
    _text("inspection", key=True),
    _text("state"),
    _text("held_by", nullable=True),
    Column("held_until_ms", BigInteger, nullable=True),
    _us("changed_us"),
    _text("data"),
    Index("dockets_held_by", "held_by"),
    Index("dockets_changed", "changed_us"),
)
ANSWERS = Table(
    "answers",
    META,
    _number(),
    _text("who"),
    _text("inspection"),
    _us("at_us"),
    Column("undone", Boolean(create_constraint=False), nullable=False),
    Index("answers_who", "who", "at_us"),
    Index("answers_inspection", "inspection"),
)
TESTED = Table(
    "tested",
    META,
    _text("who", key=True),
    _text("part", key=True),
    _text("inspection"),
    Column("answer", BigInteger, nullable=False),
    _us("at_us"),
    _text("instead_of", nullable=True),
    Index("tested_part", "part"),
)
