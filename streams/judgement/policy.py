"""From what was seen to a disposition: the table of anomaly and class, sizes, several views. Pure; the verdict's only rules.

Knows no time, no Kafka and no revision.

    |            | good accepted          | defect accepted               | unknown        | no classifier |
    | normal     | pass                   | its disposition               | policy.unknown*| pass          |
    | anomalous  | review                 | its disposition, never pass   | review         | review        |
    | no anomaly | pass, if >= 20 ok parts| its disposition, pass likewise| review         | -             |

    * review, where the most probable class has no rule
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.common import Disposition
from schemas.policy import GOOD
from streams.judgement.facts import UNKNOWN, Asked, Code, Judgement, Kind, ViewFacts, Why, strictness
from streams.judgement.rules import LEAST_OK_PARTS, Rules, check, rules_of
from streams.judgement.severity import Severity, severity

__all__ = ["Rules", "accept", "accepted", "check", "geometry_wanted", "judge", "judge_view", "rules_of"]


def accept(rules: Rules, probabilities: Mapping[str, float], offset: int) -> Kind:
    """The class that is accepted: above its own threshold; a defect before good, then the most probable; else `unknown`."""
    best = max(sorted(probabilities), key=lambda name: probabilities[name])
    label = accepted({name: rule.threshold for name, rule in rules.policy.classes.items()}, probabilities)
    shown = best if label == UNKNOWN else label
    return Kind(offset=offset, label=label, best=best, probability=probabilities[shown])


def accepted(thresholds: Mapping[str, float], probabilities: Mapping[str, float]) -> str:
    """The label of `accept`. A class without a threshold is not accepted."""
    above = [name for name in sorted(probabilities) if name in thresholds and probabilities[name] >= thresholds[name]]
    defects = [name for name in above if name != GOOD]
    return max(defects or above, key=lambda name: probabilities[name], default=UNKNOWN)


def geometry_wanted(rules: Rules, view: str, facts: ViewFacts) -> Asked | None:
    """Why the size must be known before this view can be judged, None where it need not."""
    geometry = rules.policy.geometry
    if geometry is None or facts.kind is None or rules.model_set.model("segmentation") is None:
        return None
    rule = rules.policy.classes.get(facts.kind.label)
    if rule is not None:
        return "class" if rule.geometry else None
    if geometry.unknown_above_px is None or not _strange_enough(rules, view, facts, geometry.unknown_above_px):
        return None
    return "unknown"


def judge_view(rules: Rules, view: str, facts: ViewFacts) -> Judgement:
    """One view, whose required stages are all observed. Where geometry decides and is not there: review, `not_measured`."""
    label = facts.kind.label if facts.kind else None
    disposition, why = _by_table(rules, view, facts)
    if geometry_wanted(rules, view, facts) is None:
        return Judgement(disposition=disposition, label=label, reasons=(why,))
    if facts.shape is None:
        missing = Why(
            code="not_measured", view=view, stage="segmentation", detail="its size decides, and was not measured in time"
        )
        return Judgement(disposition="review", label=label, reasons=(why, missing))
    assert rules.policy.geometry is not None  # geometry_wanted
    sized = severity(rules.policy.geometry, facts.shape.instances, label or UNKNOWN, disposition, view)
    return _sized(rules, view, facts, why, sized)


def judge(rules: Rules, views: Mapping[str, ViewFacts]) -> Judgement:
    """All views: the strictest wins, and names the label; reasons of every view that does not pass."""
    judged = {view: judge_view(rules, view, facts) for view, facts in sorted(views.items())}
    decided = max(judged.values(), key=lambda one: strictness(one.disposition))
    if decided.disposition == "pass":
        return Judgement(disposition="pass", label=decided.label, reasons=_pass_reasons(judged))
    reasons = [why for one in judged.values() if one.disposition != "pass" for why in one.reasons]
    return Judgement(disposition=decided.disposition, label=decided.label, reasons=tuple(reasons))


def _by_table(rules: Rules, view: str, facts: ViewFacts) -> tuple[Disposition, Why]:
    anomalous, label = _anomalous(rules, view, facts), facts.kind.label if facts.kind else None
    if label is None:
        return ("review", _strange(rules, view, facts, "anomalous")) if anomalous else ("pass", _normal(view))
    if label == UNKNOWN:
        if anomalous:
            return "review", _strange(rules, view, facts, "unknown_defect")
        return _of_unknown(rules, facts, anomalous), _class(view, facts, "unknown_class", _no_rule(rules, facts))
    if label == GOOD:
        if anomalous:
            return "review", _strange(rules, view, facts, "contradiction")
        return _unless_few(rules, view, anomalous, "pass", _normal(view))
    disposition: Disposition = rules.policy.classes[label].disposition
    if disposition != "pass":
        return disposition, _class(view, facts, "defect")
    if anomalous:
        return "review", _strange(rules, view, facts, "never_pass")
    return _unless_few(rules, view, anomalous, "pass", _class(view, facts, "defect"))


def _sized(rules: Rules, view: str, facts: ViewFacts, why: Why, sized: Severity) -> Judgement:
    """A measured view. What was found anomalous never passes for being small, nor what has too few good parts behind it."""
    label = facts.kind.label if facts.kind else None
    disposition, reasons = sized.disposition, (why, *sized.reasons)
    if disposition == "pass":
        anomalous = _anomalous(rules, view, facts)
        if anomalous:
            disposition, reasons = "review", (*reasons, _strange(rules, view, facts, "never_pass"))
        elif label == UNKNOWN and anomalous is None:
            disposition = "review"
        else:
            disposition, last = _unless_few(rules, view, anomalous, "pass", why)
            reasons = (*reasons, last) if last != why else reasons
    return Judgement(disposition=disposition, label=label, reasons=reasons)


def _anomalous(rules: Rules, view: str, facts: ViewFacts) -> bool | None:
    """None: there is no anomaly model."""
    threshold = rules.threshold(view)
    return None if facts.anomaly is None or threshold is None else facts.anomaly.score > threshold


def _unless_few(rules: Rules, view: str, anomalous: bool | None, disposition: Disposition, why: Why) -> tuple[Disposition, Why]:
    """Without an anomaly model a pass rests on the classifier's good class alone, and that on its good parts."""
    model = rules.model_set.model("classification")
    ok_parts = model.ok_parts if model and GOOD in model.classes else 0
    if anomalous is not None or ok_parts >= LEAST_OK_PARTS:
        return disposition, why
    detail = f"no anomaly model, and the good class was fitted on {ok_parts} good parts, not on {LEAST_OK_PARTS}"
    return "review", Why(code="few_ok_parts", view=view, stage="classification", detail=detail)


def _strange_enough(rules: Rules, view: str, facts: ViewFacts, least_px: int) -> bool:
    """Of an unknown: without a heat map the whole image counts; a normal view has no strange region."""
    anomalous = _anomalous(rules, view, facts)
    return anomalous is None or (anomalous and facts.anomaly is not None and facts.anomaly.area_px >= least_px)


def _normal(view: str) -> Why:
    return Why(code="all_good", view=view)


def _strange(rules: Rules, view: str, facts: ViewFacts, code: Code) -> Why:
    assert facts.anomaly is not None  # it was found anomalous
    score, threshold = facts.anomaly.score, rules.threshold(view)
    said = f"score {score:.4g} above {threshold:.4g}, p {rules.p_value(view, score):.4g}"
    kind = f"; {facts.kind.best} at {facts.kind.probability:.3f}{_no_rule(rules, facts)}" if facts.kind else ""
    return Why(code=code, view=view, stage="anomaly", detail=said + kind)


def _of_unknown(rules: Rules, facts: ViewFacts, anomalous: bool | None) -> Disposition:
    """Not strange, and of no class that is accepted. What looks most like a class without a rule is not the policy's unknown:
    nobody has said what becomes of it."""
    return rules.policy.unknown if anomalous is False and not _no_rule(rules, facts) else "review"


def _no_rule(rules: Rules, facts: ViewFacts) -> str:
    assert facts.kind is not None  # it has a label
    return "" if facts.kind.best in rules.policy.classes else ", for which the policy has no rule"


def _class(view: str, facts: ViewFacts, code: Code, more: str = "") -> Why:
    assert facts.kind is not None  # it has a label
    shown = facts.kind.best if facts.kind.label == UNKNOWN else facts.kind.label
    return Why(code=code, view=view, stage="classification", detail=f"{shown} at {facts.kind.probability:.3f}{more}")


def _pass_reasons(judged: Mapping[str, Judgement]) -> tuple[Why, ...]:
    """One reason is enough where every view is simply good."""
    reasons = tuple(why for one in judged.values() for why in one.reasons)
    return (Why(code="all_good"),) if all(why.code == "all_good" for why in reasons) else reasons
