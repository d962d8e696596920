"""Records of what the console puts in force: acts, and the versions and pointers that they tell of. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

from schemas.act import ActV1
from schemas.codec import CONSOLE, keyed
from schemas.common import Message, canonical
from schemas.envelope import Record, rfc3339

Kind = Literal["user_added", "user_role", "user_password", "user_disabled", "user_enabled"]


def user_act(kind: Kind, name: str, role: str, disabled: bool, *, who: str, why: str, at: datetime) -> Record:
    version = hashlib.sha256(canonical({"disabled": disabled, "name": name, "role": role})).hexdigest()
    act = ActV1(act=kind, where=f"current/users/{name}", digest=version, who=who, why=why, at=at)
    return act_record(act)


def act_record(act: ActV1) -> Record:
    return keyed(
        act, id=f"{act.where}/{act.act}/{rfc3339(act.at)}/act", key=act.where, subject=act.where, time=act.at, source=CONSOLE
    )


def in_force(version: Message, pointer: Message, act: ActV1) -> list[Record]:
    """A version, the pointer that names it, and the act, in the order in which they have to arrive. act.where: the pointer."""
    once = f"{act.where}/{act.digest}/{rfc3339(act.at)}"
    return [
        keyed(version, id=act.digest, key=act.digest, subject=act.where, time=act.at, source=CONSOLE),
        keyed(pointer, id=once, key=act.where, subject=act.where, time=act.at, source=CONSOLE),
        keyed(act, id=f"{once}/act", key=act.where, subject=act.where, time=act.at, source=CONSOLE),
    ]
