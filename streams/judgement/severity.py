"""What a defect's size makes of a part: severity rules with a guard band at each limit. Knows geometry, no probability.

Guard band: JCGM 106:2012, section 8.3: a value nearer to a limit than its expanded uncertainty proves neither side.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.common import Disposition
from schemas.evidence import InstanceV1
from schemas.policy import GeometryV1, SeverityRuleV1
from streams.judgement.facts import Code, Why, strictness

WHOLE = ("count", "total_area_mm2")  # of all instances together


@dataclass(frozen=True, slots=True, kw_only=True)
class Severity:
    disposition: Disposition
    reasons: tuple[Why, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """u: standard uncertainty in the unit of the value."""

    value: float
    u: float


def severity(geometry: GeometryV1, instances: tuple[InstanceV1, ...], label: str, otherwise: Disposition, view: str) -> Severity:
    """The strictest of what the instances get. An instance that no rule meets gets what all together get, else `otherwise`.

    label: the accepted class, for rules that name classes (an instance's own label counts too). A limit that is nearer than
    coverage x u, and a measure that is not there (no scale, no critical feature), give review. No instance at all: review.
    """
    if not instances:
        return _review("no_instance", view, f"{label} was seen, but no region of it was found")
    whole = _met(geometry, [r for r in geometry.rules if r.measure in WHOLE], instances, label, view)
    rules = [rule for rule in geometry.rules if rule.measure not in WHOLE]
    default = whole or Severity(disposition=otherwise, reasons=())
    verdicts = [_met(geometry, rules, (instance,), label, view) or default for instance in instances]
    verdicts += [whole] if whole else []
    worst = max(verdicts, key=lambda one: strictness(one.disposition)).disposition
    reasons = dict.fromkeys(why for one in verdicts if one.disposition == worst for why in one.reasons)
    return Severity(disposition=worst, reasons=tuple(reasons)[:5])


def _met(
    geometry: GeometryV1, rules: list[SeverityRuleV1], instances: tuple[InstanceV1, ...], label: str, view: str
) -> Severity | None:
    """The strictest of the rules that hold for these instances, None where none does."""
    met = [one for rule in rules if (one := _outcome(geometry, rule, instances, label, view)) is not None]
    return max(met, key=lambda one: strictness(one.disposition), default=None)


def _outcome(
    geometry: GeometryV1, rule: SeverityRuleV1, instances: tuple[InstanceV1, ...], label: str, view: str
) -> Severity | None:
    meant = tuple(one for one in instances if rule.labels is None or one.label in rule.labels or label in rule.labels)
    if not meant:
        return None
    measured = _measure(rule, meant)
    if measured is None:
        return _review("not_measured", view, f"{rule.measure} is not known here: no scale, or no critical feature")
    limit = rule.at_least if rule.at_least is not None else rule.at_most
    assert limit is not None  # the schema: exactly one of the two
    said = f"{rule.measure} {measured.value:.4g} (u {measured.u:.2g}), limit {limit:g}"
    if abs(measured.value - limit) < geometry.coverage * measured.u:
        return _review("near_limit", view, said)
    holds = measured.value >= limit if rule.at_least is not None else measured.value <= limit
    return Severity(disposition=rule.disposition, reasons=(_why("size", view, said),)) if holds else None


def _measure(rule: SeverityRuleV1, instances: tuple[InstanceV1, ...]) -> _Measured | None:
    """Of one instance, or of all: a common scale is off in the same direction everywhere, so uncertainties add up."""
    if rule.measure == "count":
        return _Measured(value=len(instances), u=0)
    if rule.measure == "total_area_mm2":
        areas = [one.area_mm2 for one in instances]
        if any(area is None for area in areas):
            return None
        return _Measured(value=sum(area or 0 for area in areas), u=sum(one.u_area_mm2 or 0 for one in instances))
    value = getattr(instances[0], rule.measure)
    return None if value is None else _Measured(value=value, u=getattr(instances[0], f"u_{rule.measure}", None) or 0)


def _review(code: Code, view: str, detail: str) -> Severity:
    return Severity(disposition="review", reasons=(_why(code, view, detail),))


def _why(code: Code, view: str, detail: str) -> Why:
    return Why(code=code, view=view, stage="segmentation", detail=detail)
