"""policy.v1: versioned rules that turn evidence into a verdict, and where they are in force."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.common import Message, Share, Text
from schemas.ids import Name, Station
from schemas.segment_request import PointV1

GOOD = "good"


class AnomalyRuleV1(Message):
    """alpha: the share of good parts that may be called anomalous (false-reject rate aimed at)."""

    alpha: float = Field(gt=0, lt=1)


class ClassRuleV1(Message):
    """threshold: accepted only at or above this probability. geometry: the size of this defect decides, so measure it."""

    threshold: Share
    disposition: Literal["pass", "rework", "scrap", "review"]
    geometry: bool = False


class SeverityRuleV1(Message):
    """Where the measure is at least `at_least` (or at most `at_most`), the part gets this disposition.

    measure: of one instance, except count and total_area. Units: mm, mm2, or pixels where the name says px.
    labels: classes that it holds for; absent: all.
    """

    measure: Literal["length_mm", "width_mm", "area_mm2", "distance_mm", "total_area_mm2", "count", "length_px", "area_px"]
    at_least: float | None = Field(default=None, ge=0)
    at_most: float | None = Field(default=None, ge=0)
    disposition: Literal["pass", "rework", "scrap", "review"]
    labels: tuple[Name, ...] | None = None

    @model_validator(mode="after")
    def one_limit(self) -> SeverityRuleV1:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give either at_least or at_most")
        return self


class GeometryV1(Message):
    """Scale and limits. mm_per_px by view (`*` for all); u_scale: its relative standard uncertainty.

    coverage: a value nearer to a limit than coverage x its standard uncertainty goes to review.
    unknown_above_px: an unknown whose region is at least so many pixels large is measured too.
    """

    mm_per_px: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    u_scale: float = Field(default=0, ge=0, lt=1)
    coverage: float = Field(default=2, ge=0, le=10)
    unknown_above_px: int | None = Field(default=None, ge=1)
    critical: dict[str, PointV1] = Field(default_factory=dict)
    rules: tuple[SeverityRuleV1, ...] = ()


class ReactionV1(Message):
    """What passes get while a baseline is in this state. annotate: the verdict says so, nothing else.

    audit: audit_fraction of them go to blind review (the policy's own share where that is higher). hold: all go to review.
    """

    do: Literal["annotate", "audit", "hold"] = "annotate"
    audit_fraction: Share | None = None

    @model_validator(mode="after")
    def audit_says_how_many(self) -> ReactionV1:
        if (self.do == "audit") != (self.audit_fraction is not None):
            raise ValueError("audit_fraction belongs to `do: audit`, and to nothing else")
        return self


class BaselineRuleV1(Message):
    """What the state of a baseline means for verdicts, and how long a commissioned one is trusted.

    Of several views the strictest reaction counts. It meets parts that are delivered (production, rework, reinspection): a
    challenge, a setup or a study shows what the models say. Where a baseline was retired, or is not known: as provisional.
    false_alarm_every_parts: mean number of parts between false alarms of a score stream (ARL0).
    certificate_*: after so many parts, days, lots or tool changes a baseline must be commissioned or refreshed again.
    """

    provisional: ReactionV1 = ReactionV1()
    suspect: ReactionV1 = ReactionV1()
    stale: ReactionV1 = ReactionV1()
    false_alarm_every_parts: float = Field(default=1e7, ge=1e3, le=1e11)
    certificate_parts: int | None = Field(default=None, ge=1)
    certificate_days: float | None = Field(default=None, gt=0)
    certificate_lots: int | None = Field(default=None, ge=1)
    certificate_tool_changes: int | None = Field(default=None, ge=1)


class AuditStepV1(Message):
    """Of the passes whose smallest p-value (over the views) is at most p_at_most, this share goes to blind review."""

    p_at_most: float = Field(gt=0, le=1)
    audit_fraction: float = Field(gt=0, le=1)


class PolicyV1(Message):
    """The rules for a product, or for a product at one station. Engineers -> gateway, triage. Its digest is its version.

    unknown: what a normal part of unknown class gets. audit_fraction: share of the passes sent to blind review.
    audit_steps: larger shares of the stranger passes, from the strangest on; the first step that holds counts.
    """

    TYPE = "verdictline.policy.policy.v1"
    product: Name
    station: Station | None = None
    title: Text
    decide_within_s: float = Field(default=5, gt=0, le=3600)
    audit_fraction: Share = 0
    audit_steps: tuple[AuditStepV1, ...] | None = Field(default=None, min_length=1, max_length=20)
    views: Literal["strictest"] = "strictest"
    anomaly: AnomalyRuleV1 | None = None
    unknown: Literal["pass", "rework", "scrap", "review"] = "review"
    classes: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,63}$")], ClassRuleV1] = Field(default_factory=dict)
    geometry: GeometryV1 | None = None
    baseline: BaselineRuleV1 = BaselineRuleV1()

    @model_validator(mode="after")
    def good_is_not_a_defect(self) -> PolicyV1:
        if GOOD in self.classes and self.classes[GOOD].disposition != "pass":
            raise ValueError(f"classes.{GOOD}.disposition is {self.classes[GOOD].disposition!r}: the OK class passes")
        if any(rule.geometry for rule in self.classes.values()) and self.geometry is None:
            raise ValueError("a class says geometry: true, but there is no geometry section")
        return self

    @model_validator(mode="after")
    def every_pass_may_be_audited(self) -> PolicyV1:
        steps = self.audit_steps or ()
        if steps and (self.anomaly is None or self.audit_fraction == 0):
            raise ValueError("audit_steps need p-values (anomaly) and an audit_fraction above 0 for all other passes")
        limits, shares = [one.p_at_most for one in steps], [*(one.audit_fraction for one in steps), self.audit_fraction]
        if limits != sorted(set(limits)) or shares != sorted(shares, reverse=True):
            raise ValueError("audit_steps: p_at_most rises from step to step, and no stranger pass has a smaller share")
        return self


class PointerV1(Message):
    """The version in force at `current/<product>[/<station>]`: policy.v1, model-set.v1. digest: the version's key."""

    TYPE = "verdictline.policy.pointer.v1"
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    who: Text
    why: Text
