"""Pictures of a scenario, scored once by the served model: what a long run draws its evidence from. Knows no Kafka and no Triton.

A run of 20,000 parts would take an hour to render and to score. Its pictures are few: for every look of the course some good
parts, some defective ones, and the masters. Drawing from them again and again keeps what a look does to scores and statistics.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from schemas.evidence import ImageStatsV1
from streams.evidence.image_stats import RgbImage, image_stats
from streams.workbench.plant import Knobs, RenderedView, master, plant
from streams.workbench.scenarios.table import Scenario

MASTERS = 2
_APART = 10_000_000  # numbers of the pool's parts, far from those of any run


class Shot(NamedTuple):
    """One picture: its digest, its raw score, what the image says."""

    sha256: str
    score: float
    stats: ImageStatsV1


class Look(NamedTuple):
    """Pictures under one light, lens, material and tool. masters: by master."""

    good: tuple[Shot, ...]
    known: tuple[Shot, ...]
    strange: tuple[Shot, ...]
    masters: tuple[tuple[Shot, ...], ...]


Pool = Mapping[Knobs, Look]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """The station's one view and the served model: `prepare` as its recipe says, `score` as it answers, its thumbnail."""

    view: str
    prepare: Callable[[bytes], RgbImage]
    score: Callable[[RgbImage], float]
    thumbnail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Pictures a look: of good parts, of defective ones of known and of unknown kinds, of each master."""

    good: int = 120
    known: int = 40
    strange: int = 20
    master: int = 12


def record(scenario: Scenario, seed: int, station: str, eye: Eye, sizes: Sizes | None = None) -> dict[Knobs, Look]:
    """Render and score every look of the scenario; 50 ms a picture."""
    sizes = sizes or Sizes()
    looks = scenario.course.looks()
    return {knobs: _look(knobs, index, seed, station, eye, sizes) for index, knobs in enumerate(looks)}


def _look(knobs: Knobs, index: int, seed: int, station: str, eye: Eye, sizes: Sizes) -> Look:
    first = _APART * (1 + index)

    def parts(count: int, offset: int, **changes: float) -> tuple[Shot, ...]:
        mood = replace(knobs, **changes)  # type: ignore[arg-type]
        numbers = range(first + offset, first + offset + count)
        return tuple(_shot(plant(seed, station, n, mood).views, eye) for n in numbers)

    return Look(
        good=parts(sizes.good, 0, defect_rate=0),
        known=parts(sizes.known, 10_000, defect_rate=1, unknown_share=0),
        strange=parts(sizes.strange, 20_000, defect_rate=1, unknown_share=1),
        masters=tuple(
            tuple(_shot(master(seed, station, which, first + k, knobs).views, eye) for k in range(sizes.master))
            for which in range(MASTERS)
        ),
    )


def _shot(views: tuple[RenderedView, ...], eye: Eye) -> Shot:
    data = next(view.encoded for view in views if view.name == eye.view)
    pixels = eye.prepare(data)
    return Shot(hashlib.sha256(data).hexdigest(), eye.score(pixels), image_stats(pixels, eye.thumbnail))
