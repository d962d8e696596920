"""A subgroup's facts: as published, and as the charts keep them. Knows no limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from schemas.envelope import from_millis
from schemas.spc import MeasuredV1, Quantity, StageV1, SubgroupV1
from streams.monitors.spc.part import DISPOSITIONS, UNITS, UNKNOWN, UNREVIEWED, Stage
from streams.monitors.spc.tally import Tally


class Measured(NamedTuple):
    n: int
    mean: float
    sd: float | None


class Lite(NamedTuple):
    """What limits and rules need of a subgroup. gaps: good parts and seconds between a nonconforming part and the one before it;
    the first of a stage has none before it.
    """

    number: int
    n: int
    bad: int
    defects: Mapping[str, int]
    instances: Mapping[str, int]
    units: int
    measures: Mapping[str, Measured]
    gaps: tuple[tuple[int, float], ...] = ()


def lite(tally: Tally) -> Lite:
    return Lite(
        tally.number,
        tally.n,
        tally.nonconforming,
        dict(tally.defects),
        dict(tally.instances),
        tally.units,
        {name: Measured(one.n, one.mean, one.sd) for name, one in tally.measures.items()},
        tuple((mark.good, mark.after_ms / 1000) for mark in tally.marks if mark.after_ms is not None),
    )


def stage_message(stage: Stage) -> StageV1:
    return StageV1(
        policy=stage.policy,
        model_set=stage.model_set,
        acquisition=stage.acquisition,
        baseline={view: digest for view, digest in stage.baseline if digest},
        calibration=dict(stage.calibration),
    )


def subgroup_id(station: str, product: str, series: str, stage_id: str, number: int) -> str:
    return f"{station}|{product}|{series}|{stage_id}|{number:06d}"


def message(tally: Tally, revision: int, *, where: tuple[str, str, str], stage: Stage, why: str = "") -> SubgroupV1:
    """Of a closed subgroup. where: station, product, series."""
    station, product, series = where
    defects = {UNKNOWN: 0, **tally.defects, UNREVIEWED: tally.counts[DISPOSITIONS.index("review")]}
    gaps = tuple(mark.good for mark in tally.marks)
    times = tuple(mark.after_ms / 1000 for mark in tally.marks if mark.after_ms is not None)
    return SubgroupV1(
        subgroup_id=subgroup_id(station, product, series, tally.stage_id, tally.number),
        revision=revision,
        station=station,
        product=product,
        lot=None if tally.lots else tally.lot,
        series=series,
        stage_id=tally.stage_id,
        stage=stage_message(stage),
        closed_by=tally.closed_by or "time",
        start=from_millis(tally.start_ms),
        end=from_millis(tally.end_ms),
        epoch=tally.epoch,
        first_n=tally.first,
        last_n=tally.last,
        n=tally.n,
        nonconforming=tally.nonconforming,
        counts=dict(zip(DISPOSITIONS, tally.counts, strict=True)),
        excluded=dict(tally.excluded),
        defects=defects,
        instances=dict(tally.instances),
        units=tally.units,
        gaps=gaps,
        gap_s=times,
        open_gap=None if tally.since is None else tally.since.good,
        characteristics=tuple(_measured(name, tally) for name in sorted(tally.measures)),
        baseline_state=tally.state,
        unplaced=tally.unplaced,
        why=why,
    )


def _measured(name: str, tally: Tally) -> MeasuredV1:
    one = tally.measures[name]
    quantity: Quantity = next(known for known in UNITS if name.split("-")[0] == known)
    unit = "mm2" if UNITS[quantity] == "mm2" else "mm" if UNITS[quantity] == "mm" else "1"
    return MeasuredV1(name=name, unit=unit, n=one.n, mean=one.mean, sd=one.sd, low=one.low, high=one.high, values=one.values)
