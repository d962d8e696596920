"""What a scenario must have reported, what it must not, and whether it did. Pure: events in, a table out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

UP = frozenset({"baseline_up"})
MOVED = frozenset({"baseline_up", "baseline_down", "baseline_shrink", "baseline_spread"})
BASELINE = MOVED | {"stale"}
DEFECTS = frozenset({"defect_rate_up", "defect_rate_down"})


class Reported(NamedTuple):
    """One event of drift.v1: n of the part that it speaks of, its kind, and the cause where it names one."""

    n: int
    kind: str
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Must:
    """One of these kinds, `within` parts after part `since`; of one of these causes, where any are given."""

    kinds: frozenset[str]
    within: int
    since: int
    causes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a scenario's report. at: part of the event that decided, None where there was none; after: parts since."""

    what: str
    met: bool
    at: int | None = None
    after: int | None = None
    found: str = ""


def judged(events: Sequence[Reported], must: Sequence[Must], never: frozenset[str], begin: int) -> tuple[Row, ...]:
    """begin: the first part that counts for what must never be; before it the baseline was not commissioned."""
    return (*(_kept(one, events) for one in must), *(_absent(kind, events, begin) for kind in sorted(never)))


def _kept(must: Must, events: Sequence[Reported]) -> Row:
    inside = [event for event in events if event.kind in must.kinds and must.since <= event.n < must.since + must.within]
    right = [event for event in inside if not must.causes or event.cause in must.causes]
    what = " or ".join(sorted(must.kinds)) + (f", cause {' or '.join(sorted(must.causes))}" if must.causes else "")
    found = next(iter(right or inside), None)
    return Row(
        what=f"{what}, within {must.within} parts",
        met=bool(right),
        at=None if found is None else found.n,
        after=None if found is None else found.n - must.since,
        found="nothing" if found is None else _words(found),
    )


def _absent(kind: str, events: Sequence[Reported], begin: int) -> Row:
    found = [event for event in events if event.kind == kind and event.n >= begin]
    return Row(
        what=f"no {kind}",
        met=not found,
        at=found[0].n if found else None,
        after=None,
        found=_words(found[0]) if found else "none",
    )


def _words(event: Reported) -> str:
    return event.kind if event.cause is None else f"{event.kind} ({event.cause})"
