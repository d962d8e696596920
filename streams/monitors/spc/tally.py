"""What one subgroup has counted so far: added to part by part, corrected by later revisions. Knows no rule, no chart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from schemas.common import BaselineState
from streams.monitors.spc.bins import Bin
from streams.monitors.spc.part import DISPOSITIONS, NONCONFORMING, Part, Said, counts_as, worst

ClosedBy = Literal["count", "time", "lot", "stage", "sequence"]
VALUES = 25  # so many measurements are kept one by one
GAPS = 200


class Moments(NamedTuple):
    """Of measured values: how many, their mean, the sum of squares about it, lowest, highest; the values while they are few."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    values: tuple[float, ...] = ()

    def add(self, value: float) -> Moments:
        n = self.n + 1
        mean = self.mean + (value - self.mean) / n
        squares = self.squares + (value - self.mean) * (value - mean)
        values = (*self.values, value) if len(self.values) == self.n < VALUES else ()
        return Moments(n, mean, squares, min(self.low, value), max(self.high, value), values)

    @property
    def sd(self) -> float | None:
        return math.sqrt(self.squares / (self.n - 1)) if self.n > 1 else None


class Mark(NamedTuple):
    """A nonconforming part. good, after_ms: good parts and time since the one before it; None: nothing is known before it."""

    n: int
    captured_ms: int
    good: int
    after_ms: int | None = None


class Since(NamedTuple):
    """Since the last nonconforming part: good parts, and when it was; None before the first."""

    good: int = 0
    captured_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """number: which one of its stage. first, last: numbers of its parts in `epoch`. start_ms, end_ms: times of capture.

    stretch: the bin of local time that it may not leave. counts: in the order of DISPOSITIONS. defects: nonconforming parts by
    class. revised: by number, the highest revision and what it says. marks, since: kept where gaps are charted. begun: what
    `since` was when this subgroup began.
    """

    number: int
    stage_id: str
    epoch: int
    first: int
    last: int
    start_ms: int
    end_ms: int
    stretch: Bin | None = None
    lot: str | None = None
    lots: bool = False
    counts: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    excluded: Mapping[str, int] = field(default_factory=dict)
    defects: Mapping[str, int] = field(default_factory=dict)
    instances: Mapping[str, int] = field(default_factory=dict)
    units: int = 0
    measures: Mapping[str, Moments] = field(default_factory=dict)
    revised: Mapping[int, tuple[int, Said]] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    since: Since | None = None
    begun: Since | None = None
    state: BaselineState | None = None
    closed_by: ClosedBy | None = None
    unplaced: int = 0

    @property
    def n(self) -> int:
        return sum(self.counts[:3])

    @property
    def nonconforming(self) -> int:
        return self.counts[1] + self.counts[2]


def more(counts: Mapping[str, int], name: str, by: int = 1) -> dict[str, int]:
    """With one more (or less) of this name; none left: the name is gone."""
    after = {**counts, name: counts.get(name, 0) + by}
    return {key: count for key, count in after.items() if count} if by < 0 else after


def add(tally: Tally, part: Part) -> Tally:
    """One more part, in the station's sequence or late."""
    tally = replace(
        tally,
        first=min(tally.first, part.n),
        last=max(tally.last, part.n),
        start_ms=min(tally.start_ms, part.captured_ms),
        end_ms=max(tally.end_ms, part.captured_ms),
        revised={**tally.revised, part.n: (part.revision, part.said)} if part.revision > 1 else tally.revised,
    )
    if not part.production:
        return replace(tally, excluded=more(tally.excluded, part.purpose))
    measures = tally.measures
    if part.measures:
        measures = {**measures, **{name: measures.get(name, Moments()).add(value) for name, value in part.measures}}
    instances = tally.instances
    for label, count in part.instances or ():
        instances = more(instances, label, count)
    tally = replace(
        tally,
        lots=tally.lots or part.lot != tally.lot,
        instances=instances,
        units=tally.units + (part.instances is not None and part.said.disposition in DISPOSITIONS[:3]),
        measures=measures,
        state=worst((tally.state, part.state)),
    )
    return _marked(_shift(tally, part.said, 1), part)


def correct(tally: Tally, n: int, revision: int, said: Said, before: Said | None) -> Tally | None:
    """With what a later revision says of a part that is in it. The tally itself for a copy; None where nobody knows what was
    counted for it: revisions between are missing.
    """
    known = tally.revised.get(n)
    if known is not None and revision <= known[0]:
        return tally
    counted = known[1] if known is not None else (before if revision == 2 else None)
    if counted is None:
        return None
    after = _shift(_shift(tally, counted, -1), said, 1)
    after = replace(after, revised={**tally.revised, n: (revision, said)})
    return after if tally.since is None else _remarked(after, n, counted, said)


def _shift(tally: Tally, said: Said, by: int) -> Tally:
    counts = list(tally.counts)
    counts[DISPOSITIONS.index(said.disposition)] += by
    name = counts_as(said)
    defects = more(tally.defects, name, by) if name is not None and said.disposition in NONCONFORMING else tally.defects
    return replace(tally, counts=(counts[0], counts[1], counts[2], counts[3], counts[4]), defects=defects)


def _marked(tally: Tally, part: Part) -> Tally:
    """Gaps, where they are kept. A late part counts in the gap that runs now: where it was, nobody counted."""
    since = tally.since
    if since is None:
        return tally
    if part.said.disposition == "pass":
        return replace(tally, since=since._replace(good=since.good + 1))
    if part.said.disposition not in NONCONFORMING:
        return tally
    after_ms = None if since.captured_ms is None else max(0, part.captured_ms - since.captured_ms)
    mark = Mark(part.n, part.captured_ms, since.good, after_ms)
    return replace(tally, marks=(*tally.marks, mark)[-GAPS:], since=Since(0, part.captured_ms))


def _remarked(tally: Tally, n: int, before: Said, after: Said) -> Tally:
    """A corrected part in the gaps: one that is bad no more joins two; one that became bad, or good, lengthens or splits one.

    A gap is split in proportion to the numbers: which of the numbers between were good is not kept.
    """
    was, now = before.disposition in NONCONFORMING, after.disposition in NONCONFORMING
    good = (after.disposition == "pass") - (before.disposition == "pass")
    if was and not now:
        return _joined(tally, n, good)
    if now and not was:
        return _split(tally, n, good)
    return tally if was else _lengthened(tally, n, good)


def _lengthened(tally: Tally, n: int, good: int) -> Tally:
    index = next((i for i, mark in enumerate(tally.marks) if mark.n > n), None)
    assert tally.since is not None
    if index is None:
        return replace(tally, since=tally.since._replace(good=max(0, tally.since.good + good)))
    mark = tally.marks[index]
    return replace(tally, marks=_put(tally.marks, index, mark._replace(good=max(0, mark.good + good))))


def _joined(tally: Tally, n: int, good: int) -> Tally:
    index = next((i for i, mark in enumerate(tally.marks) if mark.n == n), None)
    if index is None:
        return tally
    gone, rest = tally.marks[index], (*tally.marks[:index], *tally.marks[index + 1 :])
    assert tally.since is not None
    if index == len(rest):
        before = None if gone.after_ms is None else gone.captured_ms - gone.after_ms
        return replace(tally, marks=rest, since=Since(tally.since.good + gone.good + good, before))
    later = rest[index]
    after_ms = None if gone.after_ms is None or later.after_ms is None else later.after_ms + gone.after_ms
    return replace(tally, marks=_put(rest, index, later._replace(good=later.good + gone.good + good, after_ms=after_ms)))


def _split(tally: Tally, n: int, good: int) -> Tally:
    index = next((i for i, mark in enumerate(tally.marks) if mark.n > n), len(tally.marks))
    assert tally.since is not None
    whole = tally.marks[index] if index < len(tally.marks) else None
    before = tally.marks[index - 1] if index else None
    since = Since(0, before.captured_ms) if before else tally.begun or Since()
    start, end = before.n if before else tally.first - 1, whole.n if whole else tally.last + 1
    length = max(0, (whole.good if whole else tally.since.good) + good)
    here = max(0, length - since.good)
    part = min(length, since.good + round(here * max(0, n - start - 1) / max(1, end - start - 2)))
    at_ms = _moment(tally, n, before, whole)
    mark = Mark(n, at_ms, part, None if since.captured_ms is None else max(0, at_ms - since.captured_ms))
    if whole is None:
        return replace(tally, marks=(*tally.marks, mark), since=Since(length - mark.good, at_ms))
    later = whole._replace(good=length - mark.good, after_ms=max(0, whole.captured_ms - at_ms))
    return replace(tally, marks=(*tally.marks[:index], mark, later, *tally.marks[index + 1 :]))


def _moment(tally: Tally, n: int, before: Mark | None, after: Mark | None) -> int:
    """When a part was taken, by its number between two that are known."""
    low, low_ms = (before.n, before.captured_ms) if before else (tally.first, tally.start_ms)
    high, high_ms = (after.n, after.captured_ms) if after else (tally.last, tally.end_ms)
    return round(low_ms + (n - low) / max(1, high - low) * (high_ms - low_ms))


def carried(tally: Tally, since: Since | None) -> Tally:
    """With the gap that runs into it as it is since the subgroup before was corrected; itself where that is as it was."""
    if tally.begun is None or tally.since is None or since is None or since == tally.begun:
        return tally
    more, after = since.good - tally.begun.good, replace(tally, begun=since)
    if tally.nonconforming > len(tally.marks):  # its first gap is kept no more
        return after
    if not tally.marks:
        return replace(after, since=Since(max(0, tally.since.good + more), since.captured_ms))
    first = tally.marks[0]
    after_ms = None if since.captured_ms is None else max(0, first.captured_ms - since.captured_ms)
    return replace(after, marks=_put(tally.marks, 0, first._replace(good=max(0, first.good + more), after_ms=after_ms)))


def _put(marks: tuple[Mark, ...], index: int, mark: Mark) -> tuple[Mark, ...]:
    return (*marks[:index], mark, *marks[index + 1 :])
