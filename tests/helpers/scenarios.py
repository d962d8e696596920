"""Scenarios without a renderer: made-up scores and image statistics in place of pictures, drawn as a recorded run draws them."""

from __future__ import annotations

import numpy as np

from schemas.baseline import ReferenceV1
from schemas.common import digest
from schemas.evidence import ImageStatsV1
from schemas.model_set import ImageReferenceV1, ModelSetV1
from schemas.policy import BaselineRuleV1, PolicyV1
from streams.workbench.scenarios import Scenario
from streams.workbench.scenarios.pool import MASTERS, Look, Pool, Shot
from streams.workbench.scenarios.recorded import RecordedRun, Stamp
from streams.workbench.scenarios.table import STATION
from tests.helpers.stage_models import full_set

ACQUISITION = "ab" * 32
USUAL = {"light": (80.0, 3.0), "contrast": (56.0, 2.0), "sharpness": (670.0, 90.0)}


def shots(count: int, seed: int, shift: float = 0.0, **off: float) -> tuple[Shot, ...]:
    chance = np.random.default_rng(seed)
    found = []
    for k in range(count):
        values = {name: float(chance.normal(mean + off.get(name, 0), sd)) for name, (mean, sd) in USUAL.items()}
        found.append(Shot(f"{seed:032x}{k:032x}", float(chance.normal(1.5 + shift, 0.3)), ImageStatsV1(**values)))
    return tuple(found)


def look(seed: int, shift: float = 0.0, **off: float) -> Look:
    masters = tuple(
        tuple(
            shot._replace(score=1.6 + (shot.score - 1.5 - shift) / 3 + shift) for shot in shots(12, seed + 20 + k, shift, **off)
        )
        for k in range(MASTERS)
    )
    return Look(shots(120, seed, shift, **off), shots(40, seed + 10, 2.5), shots(20, seed + 11, 3.0), masters)


MODELS = full_set(
    "disc",
    calibration={"face": tuple(sorted(shot.score for shot in shots(160, 99)))},
    image={
        "face": ImageReferenceV1(n=160, statistics={name: ReferenceV1(mean=mean, sd=sd) for name, (mean, sd) in USUAL.items()})
    },
)
POLICY = PolicyV1(product="disc", title="t", baseline=BaselineRuleV1(false_alarm_every_parts=1e6))


def run(scenario: Scenario, *looks: Look, seed: int = 1, models: ModelSetV1 = MODELS, station: str = STATION) -> RecordedRun:
    pool: Pool = dict(zip(scenario.course.looks(), looks, strict=True))
    model = models.model("anomaly")
    assert model is not None
    stamp = Stamp(
        station=station,
        view="face",
        product="disc",
        acquisition=ACQUISITION,
        model=model.ref,
        model_set=digest(models),
        policy=digest(POLICY),
        trunk_id="t",
        calibration=model.calibration["face"],
        epoch=1_795_471_200_123,
    )
    return RecordedRun(scenario=scenario, pool=pool, stamp=stamp, seed=seed)
