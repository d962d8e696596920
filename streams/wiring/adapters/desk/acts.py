"""The act that records a change of a user, as a record of act.v1. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

from schemas.act import ActV1
from schemas.codec import SCHEMA_BASE, enveloped
from schemas.common import canonical
from schemas.envelope import Envelope, Record, rfc3339

Kind = Literal["user_added", "user_role", "user_password", "user_disabled", "user_enabled"]
SOURCE = "urn:verdictline:console"


def user_act(kind: Kind, name: str, role: str, disabled: bool, *, who: str, why: str, at: datetime) -> Record:
    version = hashlib.sha256(canonical({"disabled": disabled, "name": name, "role": role})).hexdigest()
    act = ActV1(act=kind, where=f"current/users/{name}", digest=version, who=who, why=why, at=at)
    envelope = Envelope(
        id=f"{act.where}/{kind}/{rfc3339(at)}/act",
        source=SOURCE,
        type=act.TYPE,
        subject=act.where,
        time=at,
        partitionkey=act.where,
        dataschema=SCHEMA_BASE + act.TYPE,
    )
    return enveloped(envelope, act.json_bytes())
