"""Evidence that a suspected shift is over: tables against an alternative weaker than the one that raised the suspicion.

Running the CUSUM's own table backwards would add what each part paid, and call a shift over that lies between the null and the
table. So the backward table tells the null from a weak shift, and pays for itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from streams.monitors.tables import UNIT, Alternative, Direction, increments, pay, ratios

H = 7 * UNIT
WEAK = {
    "up": (Alternative(direction="up", shift=0.25), Alternative(direction="up", shift=0.4)),
    "down": (Alternative(direction="down", shift=-0.25), Alternative(direction="down", shift=-0.4)),
    "shrink": (Alternative(direction="shrink", scale=0.8), Alternative(direction="shrink", scale=0.6)),
    "spread": (Alternative(direction="spread", scale=1.25), Alternative(direction="spread", scale=1.6)),
}


def table(masses: Sequence[float], body: int, direction: Direction, *, n: int, deff: float, conf: float) -> tuple[int, ...]:
    """What a score in each bin adds to the evidence that the shift in this direction is over.

    The weak alternative where the reference can tell it from the null (its mean gain is over twice what it pays), else the
    weakest that the CUSUMs have.
    """
    weak, coarse = WEAK[direction]
    nats, price, gain = _backward(masses, body, weak, n=n, deff=deff, conf=conf)
    if gain <= 2 * price:
        nats, price, gain = _backward(masses, body, coarse, n=n, deff=deff, conf=conf)
    return increments(nats, price, deff)


def _backward(
    masses: Sequence[float], body: int, alternative: Alternative, *, n: int, deff: float, conf: float
) -> tuple[list[float], float, float]:
    """Nats of each bin for "over", their price, and their mean under the null."""
    found = ratios(masses, body, alternative)
    nats = [-math.log(value) for value in found.values]
    variance = math.fsum(p / value for p, value in zip(found.null, found.values, strict=True)) - 1
    gain = math.fsum(p * value for p, value in zip(found.null, nats, strict=True))
    return nats, pay(max(0.0, variance), deff, n, conf), gain
