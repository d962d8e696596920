"""A long run as the anomaly processor would have reported it, drawn from a pool of scored pictures. Pure; knows no Kafka.

Golden parts take numbers of the station like any part: before every `masters_every`-th part the physical masters come, and the
golden image is injected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from schemas.common import ImageRef, ModelRef, Purpose
from schemas.evidence import AnomalyV1, ChallengeStampV1
from schemas.ids import inspection_id
from streams.judgement.conformal import p_value
from streams.workbench.plant import Knobs
from streams.workbench.scenarios.line import lot
from streams.workbench.scenarios.pool import MASTERS, Look, Pool, Shot
from streams.workbench.scenarios.table import Scenario

GOLDEN = MASTERS + 1  # a visit: the masters, then the injected image
_DRAW, _RUN = 6, 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What every piece of evidence repeats. epoch: of the station's numbers. calibration: ascending scores of the view."""

    station: str
    view: str
    product: str
    acquisition: str
    model: ModelRef
    model_set: str
    policy: str
    trunk_id: str
    calibration: tuple[float, ...]
    epoch: int


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """The evidence of a scenario, the same for the same seed."""

    scenario: Scenario
    pool: Pool
    stamp: Stamp
    seed: int

    def evidence(self, begin: int, end: int, baseline: str | None) -> Iterator[AnomalyV1]:
        """Of parts begin <= n < end and the golden parts before them. baseline: digest of the one in force, as stamped."""
        for n in range(begin, end):
            if visits(self.scenario, n):
                yield from (self._golden(which, n, baseline) for which in range(GOLDEN))
            yield self._part(n, baseline)

    def _part(self, n: int, baseline: str | None) -> AnomalyV1:
        rng = np.random.default_rng([_DRAW, self.seed, n])
        look = self.pool[self.scenario.course.look(n, rng)]
        shots = _drawn(look, self.scenario.course.knobs(n), n, self.seed, rng)
        return self._said(number(self.scenario, n), n, shots[int(rng.integers(len(shots)))], baseline)

    def _golden(self, which: int, n: int, baseline: str | None) -> AnomalyV1:
        rng = np.random.default_rng([_DRAW, self.seed, n, which])
        injected = which == MASTERS
        look = next(iter(self.pool.values())) if injected else self.pool[self.scenario.course.look(n, rng)]
        shots = look.good[:1] if injected else look.masters[which]
        stamp = ChallengeStampV1(
            set=f"golden/{n}", part=f"golden-{which}", proof="digital" if injected else "physical", kind="golden"
        )
        place = number(self.scenario, n) - GOLDEN + which
        return self._said(place, n, shots[int(rng.integers(len(shots)))], baseline, stamp)

    def _said(self, place: int, n: int, shot: Shot, baseline: str | None, challenge: ChallengeStampV1 | None = None) -> AnomalyV1:
        stamp = self.stamp
        purpose: Purpose = "production" if challenge is None else "challenge"
        return AnomalyV1(
            inspection=str(inspection_id(stamp.station, stamp.epoch, place)),
            station=stamp.station,
            view=stamp.view,
            product=stamp.product,
            acquisition=stamp.acquisition,
            purpose=purpose,
            model_set=stamp.model_set,
            model=stamp.model,
            image=ImageRef(uri=f"file:///recorded/{shot.sha256}", sha256=shot.sha256, bytes=1, content_type="image/jpeg"),
            latency_ms=0,
            lot=lot(stamp.product, n, self.scenario),
            policy=stamp.policy,
            baseline=baseline,
            challenge=challenge,
            score=shot.score,
            p_value=p_value(shot.score, stamp.calibration),
            calibration_n=len(stamp.calibration),
            heat_map="",
            trunk_id=stamp.trunk_id,
            image_stats=shot.stats,
        )


def visits(scenario: Scenario, n: int) -> bool:
    """Golden parts come before part n."""
    return bool(scenario.masters_every) and n > 0 and n % scenario.masters_every == 0


def number(scenario: Scenario, n: int) -> int:
    """The station's number of part n."""
    return n + (GOLDEN * (n // scenario.masters_every) if scenario.masters_every else 0)


def part_of(scenario: Scenario, number: int) -> int:
    """The part of a station's number; of a golden part, the one that follows it."""
    if not scenario.masters_every:
        return number
    visit, inside = divmod(number, scenario.masters_every + GOLDEN)
    return visit * scenario.masters_every + min(inside, scenario.masters_every)


def _drawn(look: Look, knobs: Knobs, n: int, seed: int, rng: np.random.Generator) -> tuple[Shot, ...]:
    """Good, or one of the two sorts of defects, with the plant's shares and bursts."""
    chance, strange = rng.random(2)
    if knobs.burst > 1:
        chance = float(np.random.default_rng([_RUN, seed, n // knobs.burst]).random())
    if chance >= knobs.defect_rate:
        return look.good
    return look.strange if strange < knobs.unknown_share else look.known
