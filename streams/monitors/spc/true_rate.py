"""What the defect rate is, where an imperfect inspection counts it. Knows counts, no stream.

Two ways: from the apparent rate and what challenge parts say of the inspection (they are clearer than real defects, so its
sensitivity flatters), or, better, from reviewed rejects and a random audit of the passes. And how much of a jump a change of
software made, from the same parts judged by both. All intervals are 95 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from streams.judgement.conformal import at_most
from streams.monitors.shares import Share, exact_share

_Z = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Bad parts a part, with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What challenge parts showed: bad ones caught of those tried, good ones passed of those tried."""

    caught: int
    bad: int
    passed: int
    good: int

    def __post_init__(self) -> None:
        if not (0 <= self.caught <= self.bad and 0 <= self.passed <= self.good):
            raise ValueError(f"{self.caught} caught of {self.bad}, {self.passed} passed of {self.good}: more than were tried")


def rogan_gladen(apparent: float, sensitivity: float, specificity: float) -> float | None:
    """W. Rogan, B. Gladen, Am. J. Epidemiology 107 (1978) 71, clipped to 0..1.

    None where sensitivity + specificity is at most 1: an inspection no better than a coin estimates nothing.
    """
    useful = sensitivity + specificity - 1
    return min(1.0, max(0.0, (apparent + specificity - 1) / useful)) if useful > 0 else None


def lang_reiczigel(rejects: int, n: int, proof: Proof) -> Rate | None:
    """The true rate where sensitivity and specificity were themselves estimated: Z. Lang, J. Reiczigel,
    Preventive Veterinary Medicine 113 (2014) 13. The value is the interval's own centre estimate, before its shift.

    Covers 96 to 97 % of the time at rates of .2 to 5 %, where the delta method covers 92 to 95 % (see test_true_rate). None where
    nothing was inspected or tried, or the challenge parts show no better than a coin.
    """
    if not 0 <= rejects <= n:
        raise ValueError(f"{rejects} rejects of {n} inspected")
    if n == 0 or proof.bad == 0 or proof.good == 0:
        return None
    size = n + _Z * _Z
    apparent = (rejects + _Z * _Z / 2) / size
    sensitivity, specificity = (proof.caught + 1) / (proof.bad + 2), (proof.passed + 1) / (proof.good + 2)
    useful = sensitivity + specificity - 1
    if useful <= 0:
        return None
    t = min(1.0, max(0.0, (apparent + specificity - 1) / useful))
    noise_bad = sensitivity * (1 - sensitivity) / (proof.bad + 2)
    noise_good = specificity * (1 - specificity) / (proof.good + 2)
    shift = 2 * _Z * _Z * (t * noise_bad - (1 - t) * noise_good)
    noise = apparent * (1 - apparent) / size + (1 - t) ** 2 * noise_good + t * t * noise_bad
    width = _Z * math.sqrt(noise) / useful
    return Rate(value=t, low=max(0.0, t + shift - width), high=min(1.0, t + shift + width))


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Rejects, all reviewed, `confirmed` of them bad; passes, `audited` of them drawn at random, `bad` of those bad."""

    rejects: int
    confirmed: int
    passes: int
    audited: int
    bad: int

    def __post_init__(self) -> None:
        if not (0 <= self.confirmed <= self.rejects and 0 <= self.bad <= self.audited <= self.passes):
            raise ValueError(f"these counts do not fit into each other: {self}")


def audited_rate(audit: Audit) -> tuple[Rate, Share] | None:
    """(bad parts a part, the share of bad parts among the passes). Clopper-Pearson for the share; nothing left to chance where
    every pass was audited. None where nothing was inspected, or parts passed and none was audited: escapes are not known.
    """
    n = audit.rejects + audit.passes
    if n == 0 or (audit.passes and not audit.audited):
        return None
    escaped = exact_share(audit.bad, audit.audited)
    value = escaped.value or 0.0
    ends = (value, value) if audit.audited == audit.passes else (escaped.low, escaped.high)
    low, high = ((audit.confirmed + audit.passes * end) / n for end in ends)
    return Rate(value=(audit.confirmed + audit.passes * value) / n, low=low, high=high), escaped


def none_found_bound(audited: int, confidence: float = 0.95) -> float:
    """The most that the share can be where none of `audited` was bad: 1 - (1 - confidence)^(1 / audited). audited >= 1."""
    if audited < 1:
        raise ValueError("nothing was audited: the share can be anything")
    return float(-math.expm1(math.log(1 - confidence) / audited))


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareEffect:
    """The change of the reject rate that the software alone made. p: McNemar's exact test; interval: given how many differ."""

    n: int
    only_old: int
    only_new: int
    change: Rate
    p: float


def software_effect(only_old: int, only_new: int, n: int) -> SoftwareEffect:
    """From the same n parts, judged by both: only_old rejected by the old software only, only_new by the new only.

    Raises ValueError where more parts differ than there are, or there is none.
    """
    differ = only_old + only_new
    if only_old < 0 or only_new < 0 or not 0 < n or differ > n:
        raise ValueError(f"{only_old} and {only_new} of {n} parts differ")
    new = exact_share(only_new, differ)
    low, high = ((2 * end - 1) * differ / n for end in (new.low, new.high))
    fewer = min(only_old, only_new)
    p = min(1.0, 2 * at_most(fewer, differ, 0.5)) if fewer < differ else 1.0
    change = Rate(value=(only_new - only_old) / n, low=low, high=high)
    return SoftwareEffect(n=n, only_old=only_old, only_new=only_new, change=change, p=p)
