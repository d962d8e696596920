"""act.v1: who changed what, and why. Compaction never touches it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from schemas.common import Message, Text, Time
from schemas.ids import Digest


class ActV1(Message):
    """A recorded act. Whoever publishes a version, moves a pointer or changes a user -> everyone who asks later.

    where: the pointer; of a user of the console `current/users/<name>`; of a proposed class
    `current/<product>/proposal/<its id>`. digest: of the version that is in force there; of a user SHA-256 of the canonical
    JSON of {disabled, name, role} as they are now; of a proposal the taxonomy version: accepted, the one that has its class,
    made or withdrawn, the one that was in force when it was made.
    """

    TYPE = "verdictline.act.act.v1"
    act: Literal[
        "policy_in_force",
        "model_set_in_force",
        "baseline_in_force",
        "baseline_retired",
        "taxonomy_in_force",
        "proposal_made",
        "proposal_withdrawn",
        "proposal_accepted",
        "proposal_rejected",
        "spc_plan",
        "spc_freeze",
        "spc_remove",
        "spc_recompute",
        "user_added",
        "user_role",
        "user_password",
        "user_disabled",
        "user_enabled",
    ]
    where: Annotated[str, StringConstraints(pattern=r"^current/.+", max_length=300)]
    digest: Digest
    who: Text
    why: Text
    at: Time
