"""The scenarios: what happens to one station from which part on, what must be reported of it, and what must not.

Part numbers count from the start of the run. Up to `commissioned` the plant is as its baseline will know it; the baseline comes
into force there by a recorded act. Delays are those of the statistics' own targets with room for a pool of recorded pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, TypedDict

from streams.workbench.plant import Knobs
from streams.workbench.scenarios.course import QUIET, Course, Phase
from streams.workbench.scenarios.outcome import BASELINE, DEFECTS, MOVED, UP, Must

STATION = "plant-a/line-1/cam-1"
Refreshing = Literal["refused", "accepted"]


class _Pictures(TypedDict):
    """Of a scenario that is short enough for the whole pipeline."""

    feed: Literal["images"]
    parts: int
    commissioned: int
    masters_every: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """From part `begin` on the camera gives the picture of the part before it. noise: fresh sensor noise in it, grey levels."""

    begin: int
    noise: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """At part `at` somebody asks for a refresh with the production since `since`; what must become of it."""

    at: int
    since: int
    ends: Refreshing


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """parts: of the whole run. lot: parts of a lot. masters_every: parts after which the physical masters come, 0 for never.

    feed: `images` go through the whole pipeline; `recorded`: evidence of pictures that the served model has scored once goes
    through Kafka and the drift processor, because the run is long. training: knobs of the parts that the models are fitted on.
    dirty: the models' calibration scores must be flagged as holding defects. fails: kinds of proof of challenge parts that must.
    """

    name: str
    happens: str
    parts: int
    commissioned: int = 2000
    course: Course = field(default_factory=Course)
    feed: Literal["images", "recorded"] = "recorded"
    lot: int = 40
    masters_every: int = 50
    freeze: Freeze | None = None
    refreshes: tuple[Refresh, ...] = ()
    training: Knobs = field(default_factory=Knobs)
    dirty: bool = False
    must: tuple[Must, ...] = ()
    never: frozenset[str] = frozenset()
    fails: frozenset[Literal["digital", "physical"]] = frozenset()

    def __post_init__(self) -> None:
        late = [one.since for one in self.must if one.since + one.within > self.parts]
        if late or self.commissioned >= self.parts:
            raise ValueError(f"{self.name}: {self.parts} parts are too few for what begins at {late or self.commissioned}")

    @property
    def changes_at(self) -> int:
        """The first part that is not as the baseline knows it; the end where none is."""
        begins = [*(phase.begin for phase in self.course.phases), *([self.freeze.begin] if self.freeze else [])]
        return min((n for n in begins if n >= self.commissioned), default=self.parts)


def _after(begin: int, over: int = 0, **changes: Any) -> Course:
    return Course(phases=(Phase(begin=begin, knobs=replace(QUIET, **changes), over=over),))


def _must(kinds: frozenset[str], within: int, *causes: str, since: int = 3000) -> Must:
    return Must(kinds=kinds, within=within, since=since, causes=frozenset(causes))


_PROCESS = ("material_process", "unknown")  # while the shift is smaller than what masters repeat to, nobody can say more
_PICTURES: _Pictures = {"feed": "images", "parts": 800, "commissioned": 400, "masters_every": 20}
_IMAGE = frozenset({"image_moved"})
_STUCK = frozenset({"stuck"})
_RATE_UP = frozenset({"defect_rate_up"})
_ALL = (
    Scenario(
        name="light", happens="the lamp gives 10 % less light", course=_after(500, light_gain=0.9), **_PICTURES,
        must=(_must(_IMAGE, 60, "camera_light", since=500),), never=DEFECTS,
    ),
    Scenario(
        name="creep", happens="the tool wears, by one standard deviation of the scores over 20,000 parts", parts=16_000,
        masters_every=250, course=_after(3000, over=20_000, wear=0.2),
        must=(_must(MOVED, 8000, *_PROCESS),), never=_RATE_UP,
    ),
    Scenario(
        name="blur", happens="the lens is out of focus", course=_after(500, blur_px=1.0), **_PICTURES,
        must=(_must(UP, 60, "camera_light", since=500), _must(_IMAGE, 40, "camera_light", since=500)), never=DEFECTS,
    ),
    Scenario(
        name="material", happens="another batch of material", course=_after(500, texture=0.3), **_PICTURES,
        must=(_must(BASELINE, 200, "material_process", since=500),), never=DEFECTS,
    ),
    Scenario(
        name="tool-wear", happens="the tool wears out within 2,000 parts", parts=5500, masters_every=20,
        course=_after(3000, over=2000, wear=0.5), must=(_must(BASELINE, 2000, *_PROCESS),), never=_RATE_UP,
    ),
    Scenario(
        name="shifts", happens="by day the light is 6 % stronger than by night, as it was when the baseline was commissioned",
        parts=12_000, commissioned=8000, lot=500,
        course=Course(phases=(Phase(begin=500, knobs=replace(QUIET, light_gain=1.06), turns=500),)), never=BASELINE | DEFECTS,
    ),
    Scenario(
        name="frozen", happens="the camera sends one picture again and again", feed="images", parts=460, commissioned=300,
        freeze=Freeze(begin=400), must=(_must(_STUCK, 12, "camera_light", since=400),), never=BASELINE | DEFECTS,
    ),
    Scenario(
        name="frozen-noise", happens="the camera sends one picture again and again, with a little fresh noise",
        feed="images", parts=480, commissioned=300, freeze=Freeze(begin=400, noise=0.2),
        must=(_must(_STUCK, 40, "camera_light", since=400),), never=frozenset({"stale"}),
    ),
    Scenario(
        name="defect-rate", happens="the share of defects goes from 1 % to 5 %, then to 20 %", parts=7000,
        course=Course(
            phases=(
                Phase(begin=3000, knobs=replace(QUIET, defect_rate=0.05)),
                Phase(begin=5500, knobs=replace(QUIET, defect_rate=0.2)),
            )
        ),
        must=(_must(_RATE_UP, 2500, "material_process"),), never=BASELINE,
    ),
    Scenario(
        name="bursts", happens="the same defects as ever, but ten in a row", parts=12_000,
        course=Course(phases=(Phase(begin=3000, knobs=replace(QUIET, burst=10)),)), never=BASELINE,
    ),
    Scenario(
        name="unknown-defect", happens="a defect that no classifier was taught arrives, in 8 % of the parts", parts=5000,
        course=Course(phases=(Phase(begin=3000, knobs=replace(QUIET, defect_rate=0.08, unknown_share=1.0)),)),
        must=(_must(_RATE_UP, 800, "material_process"),), never=BASELINE,
    ),
    Scenario(
        name="poisoned-refresh", happens="the process has moved, and somebody asks for a refresh to silence the alarm",
        parts=6000, masters_every=20, course=_after(3000, wear=0.3), refreshes=(Refresh(at=6000, since=3200, ends="refused"),),
        must=(_must(BASELINE, 400, *_PROCESS),), never=_RATE_UP,
    ),
    Scenario(
        name="dirty-training", happens="five in a hundred of the good parts that the models are fitted on are defective",
        parts=3000, training=Knobs(dirty_normals=0.05), dirty=True, never=BASELINE,
    ),
    Scenario(
        name="lens-dirt", happens="dirt settles on the lens: physical masters show it, injected images do not",
        course=_after(500, dirt=0.5), **_PICTURES, fails=frozenset({"physical"}),
        must=(_must(BASELINE, 100, "camera_light", since=500), _must(_IMAGE, 300, "camera_light", since=500)), never=DEFECTS,
    ),
)  # fmt: skip
SCENARIOS: Mapping[str, Scenario] = MappingProxyType({scenario.name: scenario for scenario in _ALL})


def scenario_named(name: str) -> Scenario:
    """Raises ValueError for a scenario that there is not."""
    if name not in SCENARIOS:
        raise ValueError(f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    return SCENARIOS[name]
