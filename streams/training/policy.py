"""The policy that a fit starts with: thresholds from groups left out, dispositions on the safe side. Knows no image."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.ids import Name, Station
from schemas.policy import GOOD, AnomalyRuleV1, ClassRuleV1, PolicyV1
from streams.judgement.conformal import smallest_alpha
from streams.training.fitted import Fitted


def starting_policy(fitted: Fitted, station: Station | None = None) -> PolicyV1:
    """alpha is the smallest that every view's calibration can give, not below 0.01; known defects are rework.

    Whoever knows the part edits it: which defects are scrap, where geometry decides, how much time there is, and what becomes
    of passes while a baseline is in doubt. Until then they are annotated: a new station has no commissioned baseline, and
    would hold everything.
    """
    anomaly = fitted.model("anomaly")
    alpha = None if anomaly is None else max(smallest_alpha(len(scores)) for scores in anomaly.calibration.values())
    return PolicyV1(
        product=fitted.product,
        station=station,
        title=f"{fitted.product}: as fitted",
        anomaly=None if alpha is None else AnomalyRuleV1(alpha=alpha),
        classes=_rules(fitted.thresholds),
    )


def _rules(thresholds: Mapping[str, float]) -> dict[Name, ClassRuleV1]:
    return {
        name: ClassRuleV1(threshold=threshold, disposition="pass" if name == GOOD else "rework")
        for name, threshold in sorted(thresholds.items())
    }
