"""act.v1: who changed what, and why. Compaction never touches it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from schemas.common import Message, Text, Time
from schemas.ids import Digest


class ActV1(Message):
    """A recorded act. Whoever publishes a version or moves a pointer -> everyone who asks later."""

    TYPE = "verdictline.act.act.v1"
    act: Literal[
        "policy_in_force",
        "model_set_in_force",
        "baseline_in_force",
        "baseline_retired",
        "taxonomy_in_force",
        "spc_plan",
        "spc_freeze",
        "spc_remove",
        "spc_recompute",
    ]
    where: Annotated[str, StringConstraints(pattern=r"^current/.+", max_length=300)]
    digest: Digest
    who: Text
    why: Text
    at: Time
