"""A target as a row: what was asked, what was found, whether it is met. Knows no detector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from streams.workbench.drift_bench.estimate import Estimate


@dataclass(frozen=True, kw_only=True)
class Row:
    """id: number of the target and a letter; at_most: the goal is a ceiling, else a floor. The goal is met by the value, of a
    mean run length by its 95 % lower bound; nothing that could not be measured is met.
    """

    id: str
    name: str
    unit: Literal["parts", "share", "us", "ms", "bytes", "ratio", "runs", "sd"]
    found: Estimate
    goal: float
    at_most: bool = True
    stretch: float | None = None
    prototype: str = ""
    note: str = ""

    def reaches(self, goal: float) -> bool:
        """Whether the goal is met."""
        if self.at_most:
            return self.found.value <= goal
        value = self.found.value if self.found.low is None else self.found.low
        return goal <= value < math.inf


def dump(row: Row) -> dict[str, Any]:
    """As JSON data; what is not finite is null."""
    return {
        "id": row.id,
        "name": row.name,
        "unit": row.unit,
        "value": finite(row.found.value),
        "se": finite(row.found.se),
        "low": finite(row.found.low),
        "runs": row.found.runs,
        "goal": row.goal,
        "sense": "<=" if row.at_most else ">=",
        "met": row.reaches(row.goal),
        "stretch": row.stretch,
        "stretch_met": None if row.stretch is None else row.reaches(row.stretch),
        "prototype": row.prototype,
        "note": row.note,
    }


def finite(value: float | None) -> float | None:
    """Rounded to five digits, or None."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")


def shown(row: Mapping[str, Any], field: str) -> str:
    """A value of a row of the JSON, for people."""
    value = row[field]
    if value is None:
        return "–"
    match row["unit"]:
        case "share":
            return f"{100 * value:.1f} %"
        case "parts" if value >= 1e5:
            return f"{value:.1e}"
        case "us" | "sd" | "ratio" | "ms":
            return f"{value:.3g}"
    return f"{value:.0f}"
