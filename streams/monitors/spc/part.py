"""A verdict as the subgroups need it: its place in the station's sequence, what it counts as, what it stands on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from schemas.common import BaselineState, Disposition, canonical
from schemas.envelope import taken_at, to_millis
from schemas.evidence import InstanceV1
from schemas.ids import parse_inspection
from schemas.spc import Quantity
from schemas.verdict import VerdictV1

DISPOSITIONS: tuple[Disposition, ...] = ("pass", "rework", "scrap", "review", "no_verdict")
NONCONFORMING = frozenset({"rework", "scrap"})
UNKNOWN, UNREVIEWED = "unknown", "unreviewed"
UNITS: Mapping[Quantity, str] = {"length": "mm", "width": "mm", "area": "mm2", "distance": "mm", "count": "1"}
_WORST: Mapping[BaselineState, int] = {"active": 0, "retired": 1, "provisional": 2, "suspect": 3, "stale": 4}


class Said(NamedTuple):
    """What a verdict says of a part. label: of a nonconforming one; `unknown` where it has none."""

    disposition: Disposition
    label: str | None = None


class Part(NamedTuple):
    """One verdict. at_ms: append time; heard_ms: log time when it came; captured_ms: see `taken_at`.

    stage: digest of what it was judged with (see `stages`). instances: by class, None where nobody could count them.
    measures: by quantity, and by quantity and class, the part's value. before: what the revision before this one said.
    """

    epoch: int
    n: int
    at_ms: int
    captured_ms: int
    product: str
    purpose: str
    said: Said
    revision: int = 1
    lot: str | None = None
    stage: str = ""
    state: BaselineState | None = None
    instances: tuple[tuple[str, int], ...] | None = None
    measures: tuple[tuple[str, float], ...] = ()
    before: Said | None = None
    heard_ms: int = 0

    @property
    def production(self) -> bool:
        return self.purpose == "production"


class Stage(NamedTuple):
    """What a part was judged with. Baselines: by view, "" where the view had none in force. None, absent: not known of it."""

    policy: str | None = None
    model_set: str | None = None
    acquisition: str | None = None
    baseline: tuple[tuple[str, str], ...] = ()
    calibration: tuple[tuple[str, str], ...] = ()


def part_of(verdict: VerdictV1, at_ms: int) -> tuple[Part, Stage]:
    """at_ms: append time of its record."""
    place = parse_inspection(verdict.inspection)
    stage = Stage(
        verdict.policy,
        verdict.model_set,
        verdict.acquisition,
        tuple(sorted((view, stamp.baseline or "") for view, stamp in verdict.baselines.items())),
        tuple(sorted(verdict.calibration.items())),
    )
    instances = _instances(verdict)
    part = Part(
        epoch=place.epoch,
        n=place.n,
        at_ms=at_ms,
        captured_ms=to_millis(taken_at(verdict.captured_at, verdict.announced_at)),
        product=verdict.product,
        purpose=verdict.purpose,
        said=Said(verdict.disposition, verdict.label),
        revision=verdict.revision,
        lot=verdict.lot,
        stage=stage_digest(stage),
        state=worst(stamp.state for stamp in verdict.baselines.values()),
        instances=_counted(verdict, instances),
        measures=tuple(sorted(measures(instances).items())) if instances else (),
        before=None if verdict.supersedes is None else Said(verdict.supersedes, verdict.supersedes_label),
    )
    return part, stage


def counts_as(said: Said) -> str | None:
    """Its bar among the defects; None for a part that is none."""
    if said.disposition == "review":
        return UNREVIEWED
    return (said.label or UNKNOWN) if said.disposition in NONCONFORMING else None


def worst(states: Iterable[BaselineState | None]) -> BaselineState | None:
    """Of several baselines the one that says least."""
    return max((state for state in states if state is not None), key=_WORST.__getitem__, default=None)


@lru_cache(maxsize=4096)
def stage_digest(stage: Stage) -> str:
    return blake2b(canonical(stage), digest_size=8).hexdigest()


def measure_name(quantity: Quantity, label: str | None) -> str:
    return quantity if label is None else f"{quantity}-{label}"[:63]


def measures(instances: Iterable[InstanceV1]) -> dict[str, float]:
    """Of one part, in mm, mm2 and 1: the largest of its instances, the smallest distance, their number; also by class."""
    found: dict[str, float] = {}
    for one in instances:
        for label in (None, one.label):
            sizes: tuple[tuple[Quantity, float | None], ...] = (
                ("length", one.length_mm),
                ("width", one.width_mm),
                ("area", one.area_mm2),
            )
            for quantity, value in sizes:
                if value is not None:
                    name = measure_name(quantity, label)
                    found[name] = max(value, found.get(name, value))
            if one.distance_mm is not None:
                name = measure_name("distance", label)
                found[name] = min(one.distance_mm, found.get(name, one.distance_mm))
            name = measure_name("count", label)
            found[name] = found.get(name, 0) + 1
    return found


def _instances(verdict: VerdictV1) -> list[InstanceV1]:
    return [one for used in verdict.evidence if used.stage == "segmentation" for one in used.instances]


def _counted(verdict: VerdictV1, instances: Iterable[InstanceV1]) -> tuple[tuple[str, int], ...] | None:
    """A passed part has none; of another they are known where it was segmented."""
    found: dict[str, int] = {}
    for one in instances:
        found[one.label] = found.get(one.label, 0) + 1
    segmented = any(used.stage == "segmentation" for used in verdict.evidence)
    return tuple(sorted(found.items())) if segmented or verdict.disposition == "pass" else None
