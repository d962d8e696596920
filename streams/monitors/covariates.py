"""What images say beside their scores: whether light, contrast, sharpness or place moved, since when, by how much.

Each statistic is standardised by its reference and drives two CUSUMs for a shift of one standard deviation (E. S. Page,
Continuous inspection schemes, Biometrika 41 (1954) 100). All in whole numbers, so that a state that was saved goes on to the
last bit. The threshold follows from the mean number of parts between two false warnings, for independent normal parts; a
deviation counts for 3 sd at most, so that one odd image says little. What a plant does every day (daylight, lots) must be in
the reference.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from schemas.baseline import ReferenceV1
from schemas.evidence import ImageStatsV1
from streams.monitors.thresholds import PER_OCTAVE, octave_of, threshold

NAMES = ("light", "contrast", "sharpness", "shift_x_px", "shift_y_px")
UNIT = 1024  # a standard deviation
NAMED = 7.0  # height (sd) from which a statistic is named at an alarm of the scores: 1 % of the alarms name one that did not move
_SHIFT, _CONF = 0.5, 1.645  # half the shift looked for; one-sided 95 % for mean and sd of the reference
_CLIP, _FAR = 3 * UNIT, 100 * UNIT
_SMALLEST = {"light": 0.5, "contrast": 0.25, "sharpness": 1.0, "shift_x_px": 0.1, "shift_y_px": 0.1}  # what a camera resolves
_TRACK = struct.Struct("<iiIIqqb")
_VERSION = 1
_CELLS = 160


class Track(NamedTuple):
    """One statistic. up, down: CUSUMs in 1/1024 sd; *_n, *_sum: parts and deviations since each left zero.

    said: 1 or -1 from a warning until its CUSUM is back at zero.
    """

    up: int = 0
    down: int = 0
    up_n: int = 0
    down_n: int = 0
    up_sum: int = 0
    down_sum: int = 0
    said: int = 0


Covariates = tuple[Track, ...]  # in the order of NAMES
START: Covariates = (Track(),) * len(NAMES)
SIZE = 1 + len(NAMES) * _TRACK.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Of one statistic. sd: of the reference, widened by what its own size leaves open; tax: in 1/1024 sd, a part's share."""

    mean: float
    sd: float
    tax: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """scales: in the order of NAMES, None where the statistic is not known. warn: height of a warning, 1/1024 sd."""

    scales: tuple[Scale | None, ...]
    warn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A statistic: mean of the reference, mean since, their difference in its sd, parts since; height: of its CUSUM, in sd."""

    name: str
    before: float
    now: float
    sd: float
    since: int
    height: float


def reference(statistics: Mapping[str, ReferenceV1], n: int, arl0: float) -> Reference:
    """n: images it was taken from; arl0: mean number of parts between two false warnings of any of the statistics."""
    known = tuple(_scale(name, statistics[name], n) if name in statistics else None for name in NAMES)
    count = 2 * max(1, sum(scale is not None for scale in known))
    return Reference(scales=known, warn=_warn(octave_of(count * max(1.0, arl0))))


def step(reference: Reference, state: Covariates, stats: ImageStatsV1 | None) -> Covariates:
    """One production part more; a statistic that is absent in it, or in the reference, does not move."""
    if stats is None:
        return state
    values = (stats.light, stats.contrast, stats.sharpness, stats.shift_x_px, stats.shift_y_px)
    pairs = zip(reference.scales, values, state, strict=True)
    warn = reference.warn
    return tuple(track if scale is None or value is None else _moved(scale, value, track, warn) for scale, value, track in pairs)


def raised(before: Covariates, after: Covariates) -> tuple[str, ...]:
    """Names of the statistics that a step has warned of; not those that began to move with one that was warned of before."""
    told = [_since(old) for old in before if old.said]
    news = [(name, _since(new)) for name, old, new in zip(NAMES, before, after, strict=True) if new.said and new.said != old.said]
    return tuple(name for name, since in news if not any(together(since - 1, other) for other in told))


def together(since: int, other: int) -> bool:
    """Two runs of so many parts may have begun with the same one: they differ by half at most, or by ten."""
    return abs(since - other) <= max(10, min(since, other) / 2)


def moved(reference: Reference, state: Covariates, height: float = NAMED) -> tuple[Moved, ...]:
    """Those whose CUSUM stands at `height` (sd) or above, farthest first."""
    found = []
    for name, scale, track in zip(NAMES, reference.scales, state, strict=True):
        high, n, total = max((track.up, track.up_n, track.up_sum), (track.down, track.down_n, track.down_sum))
        if scale is not None and n and high >= height * UNIT:
            off = total / (n * UNIT)
            found.append(
                Moved(name=name, before=scale.mean, now=scale.mean + off * scale.sd, sd=off, since=n, height=high / UNIT)
            )
    return tuple(sorted(found, key=lambda one: -abs(one.sd)))


def pack(state: Covariates) -> bytes:
    """166 bytes, whatever happened."""
    return bytes([_VERSION]) + b"".join(_TRACK.pack(*track) for track in state)


def unpack(data: bytes) -> Covariates:
    """Raises ValueError for another version or length."""
    if len(data) != SIZE or data[0] != _VERSION:
        raise ValueError(f"{len(data)} bytes that start with {data[:1].hex()} are no covariates of version {_VERSION}")
    return tuple(Track(*fields) for fields in _TRACK.iter_unpack(data[1:]))


def _since(track: Track) -> int:
    """Parts since the higher of its CUSUMs left zero."""
    return track.up_n if track.up > track.down else track.down_n


def _scale(name: str, found: ReferenceV1, n: int) -> Scale:
    widened = found.sd * (1 + _CONF / math.sqrt(2 * max(1, n - 1)))
    sd = max(_SMALLEST[name], widened)
    return Scale(mean=found.mean, sd=sd, tax=math.ceil(UNIT * (_SHIFT + _CONF / math.sqrt(max(1, n)))))


def _moved(scale: Scale, value: float, track: Track, warn: int) -> Track:
    off = max(-_FAR, min(_FAR, round(UNIT * (value - scale.mean) / scale.sd)))
    gain = max(-_CLIP, min(_CLIP, off))
    most = 2 * warn  # so that it comes back soon after the cause has gone
    up, down = min(most, track.up + gain - scale.tax), min(most, track.down - gain - scale.tax)
    said = 1 if up >= warn else -1 if down >= warn else track.said
    up, up_n, up_sum = (up, track.up_n + 1, track.up_sum + off) if up > 0 else (0, 0, 0)
    down, down_n, down_sum = (down, track.down_n + 1, track.down_sum + off) if down > 0 else (0, 0, 0)
    if (said == 1 and not up) or (said == -1 and not down):
        said = 0
    return Track(up, down, up_n, down_n, up_sum, down_sum, said)


@functools.cache
def _warn(octave: int) -> int:
    """The CUSUM's threshold at a mean run length of 2 ** (octave / 4), in 1/1024 sd."""
    grid = [k / 4 for k in range(-12, 13)]
    inner = [_below(z + 1 / 8) for z in grid[:-1]]
    shares = [high - low for low, high in pairwise([0.0, *inner, 1.0])]
    return math.ceil(UNIT * threshold([z - _SHIFT for z in grid], shares, 2.0 ** (octave / PER_OCTAVE), _CELLS))


def _below(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
