"""The plant of a scenario: pure, as the plant itself; the n-th part of a seed is always the same one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from streams.workbench.plant import Labelled, Part, PlantStation, RenderedView, master, plant, product_at, stations, training_set
from streams.workbench.plant.canvas import again, encode
from streams.workbench.scenarios.table import Scenario

_NOISE = 5
_CLEAR = 2.0  # contrast


@dataclass(frozen=True, kw_only=True)
class ScenarioPlant:
    """One station's parts as the scenario has them."""

    seed: int
    scenario: Scenario

    def stations(self, lines: int = 1) -> tuple[PlantStation, ...]:
        return stations(lines)

    def part(self, station: str, n: int) -> Part:
        course, freeze = self.scenario.course, self.scenario.freeze
        own = plant(self.seed, station, n, course.knobs(n))
        own = replace(own, lot=lot(own.product, n, self.scenario))
        if freeze is None or n < freeze.begin:
            return own
        shown = plant(self.seed, station, freeze.begin - 1, course.knobs(freeze.begin - 1))
        return replace(own, views=tuple(_repeated(view, n, freeze.noise) for view in shown.views))

    def master(self, station: str, which: int, n: int) -> Part:
        """A physical golden part, put before the camera just before part n."""
        return master(self.seed, station, which, n, self.scenario.course.knobs(n))

    def defective(self, station: str, which: int, n: int) -> Part:
        """The same of a master with a defect that nobody can overlook, of the first kind that the models know."""
        kind, knobs = product_at(station).known[0], replace(self.scenario.course.knobs(n), contrast=_CLEAR)
        return master(self.seed, station, which, n, knobs, (kind,))

    def training_set(self, product: str, per_class: int, good: int) -> list[Labelled]:
        return training_set(self.seed, product, per_class, good, self.scenario.training)


def lot(product: str, n: int, scenario: Scenario) -> str:
    return f"{product}-{n // scenario.lot:05d}"


def _repeated(view: RenderedView, n: int, noise: float) -> RenderedView:
    """The same file, or the same picture with noise of its own."""
    if not noise:
        return view
    suffix = {"image/jpeg": ".jpg", "image/png": ".png"}[view.content_type]
    return replace(view, encoded=encode(again(view.image, np.random.default_rng([_NOISE, n]), noise), suffix))
