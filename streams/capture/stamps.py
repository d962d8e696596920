"""What a part is stamped with when it is taken: policy, model set, and the baseline that each view stands on.

A stamp makes a version take force from a recorded sequence on: whoever reads the part later obeys it and looks nothing up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from schemas.evidence import AnnouncedV1, BaselineStampV1

VIEWS_KEPT = 200


class Versions(Protocol):
    """What is in force for a product at a station: digests of policy and model set."""

    @property
    def policy(self) -> str: ...
    @property
    def model_set(self) -> str: ...
    @property
    def decide_within_s(self) -> float: ...


class Stamps(Protocol):
    """Where stamps come from: answers at once, from what it has read."""

    def stamp(self, product: str, station: str) -> Versions | None:
        """None: nothing is in force there. Raises Unavailable while it has not been able to read yet."""
        ...

    def baseline_stamp(self, model_set: str, station: str, view: str, acquisition: str) -> BaselineStampV1 | None:
        """None: the set has no anomaly model. Raises as `stamp`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Of one part. baselines: by view, where there is an anomaly model."""

    policy: str
    model_set: str
    decide_within_s: float
    baselines: Mapping[str, BaselineStampV1] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStamp:
    """A product's last stamp, as the outbox remembers it while Kafka is away.

    baselines: by `acquisition/view`, the last 200 under this model set. A view that was never seen under it gets none: what
    would be stamped is not known, and the model's own scores are the reference until Kafka is back.
    """

    policy: str
    model_set: str
    decide_within_s: float
    baselines: Mapping[str, BaselineStampV1] = field(default_factory=dict)

    def after(self, announced: AnnouncedV1) -> KeptStamp:
        """With what this part was stamped with."""
        return _kept(announced, self.baselines if self.model_set == announced.model_set else {})

    def of(self, acquisition: str, views: Iterable[str]) -> Stamp:
        found = {view: stamp for view in views if (stamp := self.baselines.get(f"{acquisition}/{view}")) is not None}
        return Stamp(policy=self.policy, model_set=self.model_set, decide_within_s=self.decide_within_s, baselines=found)

    def dump(self) -> dict[str, Any]:
        baselines = {key: stamp.model_dump(mode="json", exclude_none=True) for key, stamp in self.baselines.items()}
        versions = {"policy": self.policy, "model_set": self.model_set, "decide_within_s": self.decide_within_s}
        return {**versions, "baselines": baselines}

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Self:
        baselines = {key: BaselineStampV1.model_validate(stamp) for key, stamp in data.get("baselines", {}).items()}
        return cls(**{**data, "baselines": baselines})


def first_kept(announced: AnnouncedV1) -> KeptStamp:
    """Of a product that the station has not taken before."""
    return _kept(announced, {})


def stamp_now(stamps: Stamps, product: str, station: str, acquisition: str, views: Iterable[str]) -> Stamp | None:
    """What a part is stamped with; None: nothing is in force. Raises Unavailable while that is not known."""
    found = stamps.stamp(product, station)
    if found is None:
        return None
    asked = {view: stamps.baseline_stamp(found.model_set, station, view, acquisition) for view in views}
    return Stamp(
        policy=found.policy,
        model_set=found.model_set,
        decide_within_s=found.decide_within_s,
        baselines={view: stamp for view, stamp in asked.items() if stamp is not None},
    )


def _kept(announced: AnnouncedV1, before: Mapping[str, BaselineStampV1]) -> KeptStamp:
    baselines = {**before, **{f"{announced.acquisition}/{view}": stamp for view, stamp in announced.baselines.items()}}
    return KeptStamp(
        policy=announced.policy,
        model_set=announced.model_set,
        decide_within_s=announced.decide_within_s,
        baselines=dict(list(baselines.items())[-VIEWS_KEPT:]),
    )
