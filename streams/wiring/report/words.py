"""Numbers and times as people read them: with units, no more digits than they carry. Knows no message."""

from __future__ import annotations

from datetime import timedelta

from streams.monitors.shares import Share
from streams.monitors.spc.true_rate import Rate


def count(n: int, one: str, many: str | None = None) -> str:
    """`1,234 parts`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def percent(value: float | None) -> str:
    """`1.2 %`, below 1 % two digits that count, below .01 % ppm."""
    if value is None:
        return "–"
    size = abs(value)
    if 0 < size < 1e-4:
        return f"{value * 1e6:.0f} ppm"
    return f"{100 * value:.{2 if 0 < size < 0.01 else 1}f} %"


def interval(low: float, high: float) -> str:
    """`0.7 to 1.9 %`: 95 %, where nothing else is said."""
    if 0 < high < 1e-4:
        return f"{low * 1e6:.0f} to {high * 1e6:.0f} ppm"
    digits = 2 if high < 0.01 else 1
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f} %"


def shared(found: Share) -> str:
    """`12 of 480: 2.5 % (1.3 to 4.3 %)`."""
    if found.value is None:
        return "0 of 0"
    return f"{found.events:,} of {found.n:,}: {percent(found.value)} ({interval(found.low, found.high)})"


def rated(found: Rate | None) -> str:
    """`1.3 % (0.7 to 1.9 %)`."""
    return "not known" if found is None else f"{percent(found.value)} ({interval(found.low, found.high)})"


def signed(change: float) -> str:
    """A difference of two shares in points, `+1.20`, `−0.35`."""
    return minus(f"{100 * change:+.2f}")


def minus(number: str) -> str:
    """With the sign that is as wide as a plus."""
    return number.replace("-", "−")


def chart(characteristic: str) -> str:
    """`class-scratch` is the chart of scratches."""
    return characteristic.removeprefix("class-").replace("_", " ")


def lasting(found: timedelta) -> str:
    """`2 d 3 h`, `3 h 12 min`, `4 min`."""
    minutes = max(0, round(found.total_seconds() / 60))
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def listed(names: list[str], most: int = 3) -> str:
    """`a, b, c and 4 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def short(digest: str | None) -> str:
    return "none" if digest is None else digest[:8]
