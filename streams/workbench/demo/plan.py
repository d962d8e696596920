"""What a demonstration sends: which stations, which parts of each, how fast, and what was true of them. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from streams.workbench.plant import Knobs


@dataclass(frozen=True, kw_only=True)
class StationPlan:
    """Parts first <= n < end of one station, so many a second. views: their names, in order."""

    name: str
    product: str
    views: tuple[str, ...]
    first: int
    end: int
    rate_per_s: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """folder: a data set on disk instead of the simulated plant. fit_share: its share of groups that only fits.

    stays: when all parts are made, the gateway goes on serving its metrics until it is told to end.
    """

    seed: int
    stations: tuple[StationPlan, ...]
    knobs: Knobs = field(default_factory=Knobs)
    folder: Path | None = None
    fit_share: float = 0.5
    stays: bool = False

    @property
    def parts(self) -> int:
        return sum(station.end - station.first for station in self.stations)

    def write(self, path: Path) -> None:
        data = asdict(self) | {"knobs": _knobs(self.knobs), "folder": str(self.folder) if self.folder else None}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stations = tuple(StationPlan(**{**row, "views": tuple(row["views"])}) for row in data["stations"])
        kinds = data["knobs"].pop("kinds")
        knobs = Knobs(**data["knobs"], kinds=None if kinds is None else frozenset(kinds))
        folder = data["folder"]
        return cls(
            seed=data["seed"],
            stations=stations,
            knobs=knobs,
            folder=Path(folder) if folder else None,
            fit_share=data["fit_share"],
            stays=data["stays"],
        )


def _knobs(knobs: Knobs) -> dict[str, Any]:
    values = {f.name: getattr(knobs, f.name) for f in fields(knobs)}
    return values | {"kinds": None if knobs.kinds is None else sorted(knobs.kinds)}


def shares(parts: int, stations: Sequence[str]) -> dict[str, int]:
    """Parts dealt out evenly; the first stations get one more where it does not divide."""
    base, rest = divmod(parts, len(stations))
    return {name: base + (index < rest) for index, name in enumerate(stations)}
