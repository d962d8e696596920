"""verdict.v1: the only topic that an SPC or MES consumer must read. Only triage writes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.common import Disposition, Message, ModelRef, Purpose, Share, Stage, Text, Time
from schemas.evidence import BaselineStampV1, ChallengeStampV1, InstanceV1, Reason
from schemas.ids import Digest, Inspection, Name, Station


class WhyV1(Message):
    """One reason. detail: what a person needs to understand it."""

    code: Reason
    view: Name | None = None
    stage: Stage | None = None
    detail: str = Field(default="", max_length=1000)


class UsedV1(Message):
    """One piece of evidence that decided, and what it said. offset: of its record in evidence.v1."""

    stage: Stage
    view: Name
    offset: int = Field(ge=0)
    model: ModelRef
    score: float | None = None
    p_value: float | None = None
    label: Name | None = None
    probability: float | None = None
    instances: tuple[InstanceV1, ...] = ()


class VerdictV1(Message):
    """One verdict. Effective is the highest revision of an inspection.

    label: the accepted class or `unknown`, of the view that decided. late: after the deadline a machine never releases.
    audit: this pass was drawn for blind review; audit_probability: how likely that was, on every pass that could be drawn.
    calibration: digest of the calibration scores, per view.
    announced_at: append time of the announcement; decided_at: append time of the record that decided.
    baselines: by view, as announced. false_reject_rate_valid: the policy's alpha holds, because every baseline is active;
    absent where no anomaly model took part. challenge: the answer was known. tool: what made the part, as announced.
    supersedes, supersedes_label: what the revision before this one said. gate_time: when the gate opens or closes (captured_at +
    the announced gate_time_s), where the line tells it: after it nothing may be released on the strength of this verdict alone.
    """

    TYPE = "verdictline.verdict.verdict.v1"
    inspection: Inspection
    revision: int = Field(ge=1)
    station: Station
    product: Name
    lot: Text | None = None
    tool: Text | None = None
    serial: Text | None = None
    visit: int = Field(default=1, ge=1)
    previous: Inspection | None = None
    purpose: Purpose
    acquisition: Digest | None = None
    disposition: Disposition
    label: Name | None = None
    supersedes: Disposition | None = None
    supersedes_label: Name | None = None
    reasons: tuple[WhyV1, ...] = Field(min_length=1)
    decided_by: Literal["policy", "person"]
    who: Text | None = None
    late: bool = False
    audit: bool = False
    audit_probability: Share | None = None
    policy: Digest | None = None
    model_set: Digest | None = None
    calibration: dict[str, Digest] = Field(default_factory=dict)
    evidence: tuple[UsedV1, ...] = ()
    captured_at: Time | None = None
    gate_time: Time | None = None
    baselines: dict[Name, BaselineStampV1] = Field(default_factory=dict)
    false_reject_rate_valid: bool | None = None
    challenge: ChallengeStampV1 | None = None
    announced_at: Time
    decided_at: Time
