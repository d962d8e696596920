"""What triage knows of one inspection: announced, seen, judged. Knows no policy; `memory` turns it into bytes and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from schemas.common import Disposition, Purpose
from schemas.envelope import Received
from schemas.evidence import BaselineStampV1, ChallengeStampV1
from streams.judgement.facts import ViewFacts

FORGET_AFTER_MS = 600_000  # full state is kept so long after a verdict
Refused = Literal["unknown_policy", "unknown_model_set"]
HOLD_MS = 60_000  # evidence waits so long for its announcement
REST_MS = 7 * 86_400_000  # as long as evidence itself is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The announcement. frames: view -> (width, height) in pixels; announced_ms: append time; due_ms: log time that ends it.

    refused: which of the stamped versions nobody knew then: that stays so, whatever is published later.
    baselines: by view, as announced. challenge: the answer is known. gate_time: None where the line does not tell it.
    """

    inspection: str
    station: str
    product: str
    purpose: Purpose
    announced_ms: int
    due_ms: int
    lot: str | None = None
    tool: str | None = None
    serial: str | None = None
    visit: int = 1
    previous: str | None = None
    acquisition: str | None = None
    policy: str | None = None
    model_set: str | None = None
    captured_at: datetime | None = None
    gate_time: datetime | None = None
    refused: Refused | None = None
    frames: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    baselines: Mapping[str, BaselineStampV1] = field(default_factory=dict)
    challenge: ChallengeStampV1 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The effective verdict. waiting: given at the deadline, so late evidence may still say something.

    superseded, superseded_label: what the revision before it said.
    """

    revision: int
    disposition: Disposition
    decided_by: Literal["policy", "person"]
    at_ms: int
    waiting: bool = False
    label: str | None = None
    superseded: Disposition | None = None
    superseded_label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """seen: id of each piece of evidence (without the inspection) -> short digest of what it said."""

    job: Job
    seen: Mapping[str, str] = field(default_factory=dict)
    views: Mapping[str, ViewFacts] = field(default_factory=dict)
    given: Given | None = None

    @property
    def due_ms(self) -> int | None:
        """Log time at which something must be said: a verdict."""
        return self.job.due_ms if self.given is None else None

    @property
    def forget_ms(self) -> int | None:
        """Log time from which it may be forgotten."""
        return None if self.given is None else self.given.at_ms + FORGET_AFTER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Evidence that came without its announcement, whole, in the order of the log."""

    until_ms: int
    records: tuple[Received, ...]

    @property
    def due_ms(self) -> int | None:
        """Log time at which something must be said: that nobody has announced it."""
        return self.until_ms

    @property
    def forget_ms(self) -> int | None:
        """Log time from which it may be forgotten."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What stays of an inspection with more than one revision. seen: of its reviews only."""

    revision: int
    until_ms: int
    seen: Mapping[str, str] = field(default_factory=dict)

    @property
    def due_ms(self) -> int | None:
        """Log time at which something must be said: never."""
        return None

    @property
    def forget_ms(self) -> int | None:
        """Log time from which it may be forgotten."""
        return self.until_ms


State = Part | Held | Rest
