"""What triage keeps of each piece of evidence: the few numbers that a judgement needs. Knows no policy and no Kafka."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.common import Disposition, Region, Stage
from schemas.evidence import InstanceV1
from schemas.ids import Name

UNKNOWN = "unknown"
Code = Literal[
    "all_good",
    "anomalous",
    "bad_announcement",
    "bad_evidence",
    "baseline_provisional",
    "baseline_retired",
    "baseline_stale",
    "baseline_suspect",
    "containment",
    "contradiction",
    "defect",
    "few_ok_parts",
    "late",
    "late_pass",
    "missing_evidence",
    "missing_view",
    "near_limit",
    "never_pass",
    "no_instance",
    "not_measured",
    "person",
    "policy_mismatch",
    "size",
    "stage_failed",
    "unknown_class",
    "unknown_defect",
    "unknown_model_set",
    "unknown_policy",
    "wrong_model",
]
Asked = Literal["class", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangeness:
    """The anomaly stage's answer. region: where it is strange, pixels of the stored image; area_px: of the strange cells."""

    offset: int
    score: float
    region: Region | None = None
    area_px: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The classification stage's answer. label: the accepted class, or `unknown`; best: the most probable class."""

    offset: int
    label: str
    best: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The segmentation stage's answer."""

    offset: int
    instances: tuple[InstanceV1, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A stage that cannot observe. code: why this is so, in the verdict's words."""

    stage: Stage
    code: Code
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewFacts:
    """What is known of one view. asked: geometry was requested, and why."""

    anomaly: Strangeness | None = None
    kind: Kind | None = None
    shape: Shape | None = None
    asked: Asked | None = None
    failures: tuple[Failure, ...] = ()

    def observed(self, stage: Stage) -> Strangeness | Kind | Shape | None:
        return {"anomaly": self.anomaly, "classification": self.kind, "segmentation": self.shape}[stage]

    def failure(self, stage: Stage) -> Failure | None:
        return next((failure for failure in self.failures if failure.stage == stage), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One reason of a judgement."""

    code: Code
    view: Name | None = None
    stage: Stage | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the evidence amounts to. label: the accepted class or `unknown`, of the view that decided."""

    disposition: Disposition
    label: str | None
    reasons: tuple[Why, ...]


STRICTNESS: tuple[Disposition, ...] = ("pass", "review", "rework", "scrap", "no_verdict")


def strictness(disposition: Disposition) -> int:
    """Ascending: pass, review, rework, scrap, no_verdict.

    What is known outweighs what is not: a defect that is scrap on one view stays scrap whatever a person would see on
    another; a part for rework is inspected again afterwards. Without evidence nothing is known: no_verdict.
    """
    return STRICTNESS.index(disposition)
