"""Score streams for tests of the drift monitor: versions in memory, evidence without Kafka."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from schemas.baseline import BaselineV1, SampleV1
from schemas.common import Message, digest
from schemas.drift import DriftEventV1, ScoreStreamV1
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from streams.monitors.ordering import Scored
from streams.monitors.references import References
from streams.monitors.stream import Rules, expire, step
from streams.monitors.stream_state import StreamState, dump, load
from tests.helpers.scores import DIGEST, score_evidence
from tests.helpers.stage_models import full_set

EVERY_MS = 10_000
END_MS = 10**12
SHIFT = 1.5
STREAM = ScoreStreamV1(
    station="a/b/c", view="v1", product="disc", acquisition=DIGEST, model=score_evidence(0).model
)  # what score_evidence says


@dataclass
class Shelf:
    """Versions by digest, as a registry gives them."""

    baselines: dict[str, BaselineV1] = field(default_factory=dict)
    model_sets: dict[str, ModelSetV1] = field(default_factory=dict)
    policies: dict[str, PolicyV1] = field(default_factory=dict)

    def baseline(self, digest: str) -> BaselineV1 | None:
        return self.baselines.get(digest)

    def model_set(self, digest: str) -> ModelSetV1 | None:
        return self.model_sets.get(digest)

    def policy(self, digest: str) -> PolicyV1 | None:
        return self.policies.get(digest)

    def put(self, message: BaselineV1 | ModelSetV1 | PolicyV1) -> str:
        """Its digest."""
        named = digest(message)
        match message:
            case BaselineV1():
                self.baselines[named] = message
            case ModelSetV1():
                self.model_sets[named] = message
            case PolicyV1():
                self.policies[named] = message
        return named


def normal(count: int, *, seed: int, shift: float = 0.0) -> list[float]:
    return list(map(float, np.random.default_rng(seed).normal(shift, 1, count)))


def models(calibration: Iterable[float], **changes: object) -> ModelSetV1:
    """A model set with these calibration scores of view v1. changes: of the anomaly model."""
    return full_set("disc", **{"ref": STREAM.model, "calibration": {"v1": tuple(sorted(calibration))}, **changes})


def commissioned(scores: Iterable[float], **changes: object) -> BaselineV1:
    sample = SampleV1(scores=tuple(scores), in_order=True, arl0=1e6, commissioned=True)
    return BaselineV1(stream=STREAM, origin="commissioned", sample=sample).model_copy(update=changes)


def parts(scores: Iterable[float | None], model_set: str, *, first: int = 0, **stamps: str | None) -> list[Scored]:
    """Consecutive parts, one every 100 ms. None: of another purpose. stamps: lot, tool, baseline, policy."""
    return [
        Scored(5, n, 100 * n, score, 0.5, model_set=model_set, **stamps)  # type: ignore[arg-type]
        for n, score in enumerate(scores, first)
    ]


def told(shelf: Shelf, arriving: Iterable[Scored], *, restart: bool = False) -> tuple[StreamState, list[Message]]:
    """The stream's last state and all that was said, windows closed at the end. restart: state saved and read at every part."""
    rules = Rules(id=digest(STREAM), references=References(shelf), every_ms=EVERY_MS)
    state = StreamState(STREAM)
    said: list[Message] = []
    for part in arriving:
        outcome = step(load(dump(state)) if restart else state, part, rules)
        state = outcome.state
        said += outcome.messages
    outcome = expire(state, END_MS, rules)
    return outcome.state, [*said, *outcome.messages]


def events(said: Iterable[Message]) -> list[DriftEventV1]:
    return [message for message in said if isinstance(message, DriftEventV1)]
