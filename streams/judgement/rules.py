"""One policy and one model set, made ready: thresholds as scores, what is required, and whether the two fit each other.

Knows no inspection and no evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.common import Stage
from schemas.ids import Digest
from schemas.model_set import ModelSetV1
from schemas.policy import GOOD, PolicyV1
from streams.judgement.conformal import calibration_digest, p_value, threshold_for
from streams.judgement.facts import UNKNOWN

LEAST_OK_PARTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """thresholds, calibrations: by view. required: stages that every view needs. faults: why the pair can judge nothing."""

    policy: PolicyV1
    model_set: ModelSetV1
    faults: tuple[str, ...]
    required: tuple[Stage, ...]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    calibrations: Mapping[str, Digest] = field(default_factory=dict)

    def threshold(self, view: str) -> float | None:
        """The score above which this view is anomalous."""
        return self.thresholds.get(view)

    def calibration(self, view: str) -> Digest | None:
        return self.calibrations.get(view)

    def p_value(self, view: str, score: float) -> float:
        model = self.model_set.model("anomaly")
        return p_value(score, model.calibration.get(view, ()) if model else ())


def rules_of(policy: PolicyV1, model_set: ModelSetV1) -> Rules:
    faults = tuple(mismatch(policy, model_set))
    anomaly = model_set.model("anomaly")
    thresholds: dict[str, float] = {}
    if anomaly and policy.anomaly and not faults:
        thresholds = {view: threshold_for(policy.anomaly.alpha, scores) for view, scores in anomaly.calibration.items()}
    stages: tuple[Stage, ...] = ("anomaly", "classification")
    return Rules(
        policy=policy,
        model_set=model_set,
        faults=faults,
        required=tuple(stage for stage in stages if model_set.model(stage)),
        thresholds=thresholds,
        calibrations={view: calibration_digest(scores) for view, scores in anomaly.calibration.items()} if anomaly else {},
    )


def check(policy: PolicyV1, model_set: ModelSetV1) -> list[str]:
    """What whoever publishes one of them should put right first: one plain line a fault, none where they fit."""
    return [*mismatch(policy, model_set), *unruled(policy, model_set)]


def mismatch(policy: PolicyV1, model_set: ModelSetV1) -> list[str]:
    """Why this policy can judge nothing of what these models say."""
    checks = (_check_product, _check_anomaly, _check_reserved, _check_geometry)
    return [fault for one in checks for fault in one(policy, model_set)]


def unruled(policy: PolicyV1, model_set: ModelSetV1) -> list[str]:
    """Classes that only one of the two knows. Parts are judged all the same: models and policies change one after the other.

    What a classifier takes for a class without a rule is unknown, and goes to review; a rule without a class never applies.
    """
    model = model_set.model("classification")
    known = set(model.classes) if model else set()
    unknown = [f"classes.{name}: no classifier knows this class" for name in sorted(set(policy.classes) - known)]
    return unknown + [f"classes: the classifier's class {name!r} has no rule" for name in sorted(known - set(policy.classes))]


def _check_product(policy: PolicyV1, model_set: ModelSetV1) -> list[str]:
    if policy.product != model_set.product:
        return [f"the policy is for product {policy.product!r}, the models are for {model_set.product!r}"]
    if not model_set.model("anomaly") and not model_set.model("classification"):
        return ["neither an anomaly model nor a classifier: nothing could ever be judged"]
    return []


def _check_anomaly(policy: PolicyV1, model_set: ModelSetV1) -> list[str]:
    model = model_set.model("anomaly")
    if model is None:
        return ["anomaly: the policy has an alpha, but there is no anomaly model"] if policy.anomaly else []
    if policy.anomaly is None:
        return ["anomaly: there is an anomaly model, but the policy has no alpha for it"]
    if not model.calibration:
        return ["anomaly: the model has no calibration scores"]
    faults = []
    for view, scores in model.calibration.items():
        if list(scores) != sorted(scores):
            faults.append(f"anomaly: the calibration scores of view {view!r} are not sorted")
        try:
            threshold_for(policy.anomaly.alpha, scores)
        except ValueError as error:
            faults.append(f"anomaly.alpha: view {view!r}: {error}")
    return faults


def _check_reserved(policy: PolicyV1, model_set: ModelSetV1) -> list[str]:
    model = model_set.model("classification")
    return [f"classes.{UNKNOWN}: this is what no class is called"] if model and UNKNOWN in model.classes else []


def _check_geometry(policy: PolicyV1, model_set: ModelSetV1) -> list[str]:
    geometry, model = policy.geometry, model_set.model("segmentation")
    if geometry is None:
        return []
    measured = [name for name, rule in policy.classes.items() if rule.geometry]
    faults = [f"classes.{name}: a good part has no geometry" for name in measured if name == GOOD]
    if model is None and (measured or geometry.unknown_above_px):
        faults.append("geometry: something shall be measured, but there is no segmentation model")
    if not geometry.mm_per_px and any("mm" in rule.measure for rule in geometry.rules):
        faults.append("geometry.rules: limits in mm, but mm_per_px is empty")
    if not geometry.critical and any(rule.measure == "distance_mm" for rule in geometry.rules):
        faults.append("geometry.rules: distance_mm has a limit, but no critical feature is given")
    known = set(policy.classes) | (set(model.classes) if model else set())
    named = {label for rule in geometry.rules for label in rule.labels or ()}
    return faults + [f"geometry.rules: no model knows the class {label!r}" for label in sorted(named - known)]
