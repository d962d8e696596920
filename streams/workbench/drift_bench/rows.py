"""A target as a row: what was asked, what was found, whether it is met. Knows no detector."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streams.workbench.drift_bench.estimate import Estimate

LEFT_OUT = "runs left out"  # in a note: an event came before the change
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, kw_only=True)
class Row:
    """target: its number; at_most: the goal is a ceiling, else a floor. The goal is met by the value, of a mean run length by its
    95 % lower bound; nothing that could not be measured is met.
    """

    target: int
    name: str
    found: Estimate
    goal: float
    unit: Literal["parts", "share", "us", "ms", "bytes", "ratio", "runs"] = "parts"
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


def dump(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """As JSON data in the order of the targets, whose rows get letters; what is not finite is null."""
    found = []
    for target in sorted({row.target for row in rows}):
        some = [row for row in rows if row.target == target]
        letters = _LETTERS if len(some) > 1 else [""]
        found += [{"id": f"{target}{letter}", **_dump(row)} for row, letter in zip(some, letters, strict=False)]
    return found


def _dump(row: Row) -> dict[str, Any]:
    return {
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
    """A figure of a row of the JSON, for people."""
    value = row[field]
    if value is None:
        return "–"
    match row["unit"]:
        case "share":
            return f"{100 * value:.1f} %"
        case "us" | "ms" | "ratio":
            return f"{value:.3g}"
    return f"{value:.1e}" if value >= 1e5 else f"{value:.0f}"
