"""Which baseline a part is judged against, and the same ready to judge. Fitted baselines are kept: they never change.

By the part's stamp: the baseline that an act put in force, else one made of the model's own calibration scores. Both follow from
digests alone, so a replay judges alike. Knows who can look a digest up, not how.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from schemas.baseline import MOST_SCORES, BaselineV1, CertificateV1, SampleV1
from schemas.common import digest
from schemas.drift import ScoreStreamV1
from schemas.model_set import ModelSetV1, ModelV1
from schemas.policy import BaselineRuleV1, PolicyV1
from schemas.standing import Origin
from streams.judgement.conformal import threshold_for
from streams.monitors.baseline import Baseline
from streams.monitors.ordering import Scored
from streams.monitors.witnesses import Standards, standards

_KEPT = 2048  # fitted baselines of 100 kB; where more are in use at once, each is read and fitted again when its turn comes
_NO_LIMIT = CertificateV1()


class Library(Protocol):
    """Versions by digest; None: there is none."""

    def baseline(self, digest: str) -> BaselineV1 | None: ...

    def model_set(self, digest: str) -> ModelSetV1 | None: ...

    def policy(self, digest: str) -> PolicyV1 | None: ...


class Basis(NamedTuple):
    """What a stream stands on. stamp: as the gateway stamped; digest: of the BaselineV1, None where nothing can be judged.

    model_set: that the first part was judged by; of its scores, with arl0, a baseline of calibration scores was made.
    """

    stamp: str | None
    digest: str | None
    origin: Origin = "calibration"
    model_set: str = ""
    arl0: float = 0.0

    def holds(self, part: Scored) -> bool:
        """Whether this part stands on it too. Where nothing can be judged, another model set may be better."""
        return self.stamp == part.baseline and (self.digest is not None or self.model_set == part.model_set)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A basis ready to judge by."""

    baseline: Baseline
    certificate: CertificateV1
    standards: Standards


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What a part's stamp amounts to. made: a baseline of calibration scores, to be published; fault: why there is nothing."""

    basis: Basis
    made: BaselineV1 | None = None
    fault: str = ""


def fitted(sample: SampleV1) -> Baseline:
    """The baseline that a sample amounts to. Raises ValueError as `Baseline.fit`."""
    lots = [number for number, count in enumerate(sample.lots) for _ in range(count)]
    return Baseline.fit(
        sample.scores,
        lots or None,
        arl0=sample.arl0,
        deff=sample.deff,
        commissioned=sample.commissioned,
        time_ordered=sample.in_order,
    )


class References:
    """All streams of a process share it; those of the same model share a fitted baseline."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._calibrated = lru_cache(_KEPT)(self._calibrate)
        self._by_act = lru_cache(_KEPT)(self._look_up)

    def settle(self, stream: ScoreStreamV1, part: Scored) -> Settled:
        """The basis that this part's stamp names."""
        if part.baseline is None:
            return self._of_the_model(stream, part)
        found = self._library.baseline(part.baseline)
        if found is None or found.stream != stream:
            what = "is not on baseline.v1" if found is None else "belongs to another score stream"
            return Settled(basis=_nothing(part), fault=f"the stamped baseline {part.baseline} {what}")
        return Settled(basis=Basis(part.baseline, part.baseline, found.origin, part.model_set))

    def ground(self, view: str, basis: Basis) -> Ground | None:
        """None where nothing can be judged."""
        if basis.digest is None:
            return None
        if basis.stamp is not None:
            return self._by_act(basis.digest, basis.model_set, view)
        return self._calibrated(basis.model_set, view, basis.arl0)

    def threshold(self, view: str, part: Scored) -> float | None:
        """The score above which the part's policy calls it anomalous; None where it does not say."""
        policy = self._library.policy(part.policy) if part.policy else None
        model = self._model(part.model_set)
        scores = model.calibration.get(view) if model else None
        if policy is None or policy.anomaly is None or not scores:
            return None
        try:
            return threshold_for(policy.anomaly.alpha, scores)
        except ValueError:
            return None

    def _of_the_model(self, stream: ScoreStreamV1, part: Scored) -> Settled:
        model = self._model(part.model_set)
        if model is None or model.ref != stream.model:
            what = "is unknown, or has no anomaly model" if model is None else "has another version of the anomaly model"
            return Settled(basis=_nothing(part), fault=f"model set {part.model_set} {what}")
        if not (scores := model.calibration.get(stream.view)):
            return Settled(basis=_nothing(part), fault=f"the model has no calibration scores of view {stream.view!r}")
        if len(scores) > MOST_SCORES:
            fault = f"the model has {len(scores)} calibration scores of view {stream.view!r}, at most {MOST_SCORES} can be kept"
            return Settled(basis=_nothing(part), fault=fault)
        policy = self._library.policy(part.policy) if part.policy else None
        arl0 = (policy.baseline if policy else BaselineRuleV1()).false_alarm_every_parts
        made = BaselineV1(stream=stream, origin="calibration", sample=_sample(scores, arl0))
        return Settled(basis=Basis(None, digest(made), "calibration", part.model_set, arl0), made=made)

    def _model(self, model_set: str) -> ModelV1 | None:
        models = self._library.model_set(model_set)
        return models.model("anomaly") if models else None

    def _calibrate(self, model_set: str, view: str, arl0: float) -> Ground:
        model = self._model(model_set)
        if model is None:
            raise LookupError(f"model set {model_set} was on model-set.v1, and is not there any more")
        baseline = fitted(_sample(model.calibration[view], arl0))
        return Ground(baseline=baseline, certificate=_NO_LIMIT, standards=_standards(model, view, None, arl0))

    def _look_up(self, digest: str, model_set: str, view: str) -> Ground:
        found = self._library.baseline(digest)
        if found is None:
            raise LookupError(f"baseline {digest} was on baseline.v1, and is not there any more")
        held = _standards(self._model(model_set), view, found, found.sample.arl0)
        return Ground(baseline=fitted(found.sample), certificate=found.certificate, standards=held)


def _nothing(part: Scored) -> Basis:
    return Basis(part.baseline, None, model_set=part.model_set)


def _sample(scores: Sequence[float], arl0: float) -> SampleV1:
    return SampleV1(scores=tuple(scores), in_order=False, arl0=arl0)


def _standards(model: ModelV1 | None, view: str, own: BaselineV1 | None, arl0: float) -> Standards:
    """The image statistics of the baseline's own sample, else those that the model was fitted with."""
    tolerance = model.tolerance if model else 0.0
    if own is not None and own.image:
        return standards(own.image, len(own.sample.scores), arl0, tolerance)
    fitted_with = model.image.get(view) if model else None
    return standards(fitted_with.statistics if fitted_with else {}, fitted_with.n if fitted_with else 0, arl0, tolerance)
