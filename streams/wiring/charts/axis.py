"""Axes: where a value lies between two ends, and which values are worth a tick."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

Kind = Literal["linear", "log", "time"]
_STEPS_S = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """From low to high in the unit of `label`. log: both above 0. time: seconds since 1970; zone: in which its ticks are told."""

    label: str
    low: float
    high: float
    kind: Kind = "linear"
    zone: tzinfo = UTC

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"axis {self.label!r} from {self.low} to {self.high}: low must be below high")
        if self.kind == "log" and self.low <= 0:
            raise ValueError(f"axis {self.label!r} from {self.low}: a logarithm needs values above 0")

    def share(self, value: float) -> float:
        """0 at low, 1 at high; outside it goes on."""
        if self.kind == "log":
            value = max(value, self.low * 1e-3)
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, many: int = 6) -> list[tuple[float, str]]:
        """(value, its text), about so many."""
        if self.kind == "time":
            return _time_ticks(self.low, self.high, many, self.zone)
        if self.kind == "log":
            return [(value, f"{value:g}") for value in _log_ticks(self.low, self.high, many)]
        step = _nice((self.high - self.low) / many)
        first = math.ceil(self.low / step - 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        last = math.floor(self.high / step + 1e-9)
        return [(k * step, f"{k * step:,.{digits}f}") for k in range(first, last + 1)]


def axis(label: str, values: Iterable[float], *, kind: Kind = "linear", least: Sequence[float] = ()) -> Axis:
    """Around the finite ones of `values` and all of `least`, with a little air. Raises ValueError where there is no value."""
    found = [value for value in (*values, *least) if math.isfinite(value)]
    if not found:
        raise ValueError(f"axis {label!r}: no value to show")
    low, high = min(found), max(found)
    if kind == "log":
        return Axis(label=label, low=low / 1.15, high=high * 1.15, kind=kind)
    air = 0.04 * (high - low) or max(abs(high), 1.0) * 0.1
    return Axis(label=label, low=low if low in least else low - air, high=high + air, kind=kind)


def _nice(step: float) -> float:
    """1, 2 or 5 times a power of ten, at least `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _log_ticks(low: float, high: float, many: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**d for d in decades for f in factors if low <= f * 10.0**d <= high]
        if len(found) <= many + 1:
            break
    return found


def _time_ticks(low: float, high: float, many: int, zone: tzinfo) -> list[tuple[float, str]]:
    """At whole steps of the zone's clock, as it stands at `low`."""
    step = next((s for s in _STEPS_S if (high - low) / s <= many), _STEPS_S[-1])
    start = datetime(1970, 1, 1, tzinfo=UTC)
    off = (start + timedelta(seconds=low)).astimezone(zone).utcoffset() or timedelta()
    first = math.ceil((low + off.total_seconds()) / step) * step - off.total_seconds()
    form = "%Y-%m-%d" if step >= 86_400 else "%H:%M:%S" if step < 60 else "%H:%M"
    values = [first + k * step for k in range(math.floor((high - first) / step) + 1)]
    return [(value, f"{(start + timedelta(seconds=value)).astimezone(zone):{form}}") for value in values]
