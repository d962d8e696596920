"""What is told of escapes: the bound of counts by the hour, what the policies settle, and where it stops."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.review.escape_bound import Audit, Design, audited, escape_bound, passed
from streams.review.escapes import escapes
from tests.helpers.calm import CALM


@dataclass(frozen=True, kw_only=True)
class Hour:
    hour: int
    n: int
    probability: float = 0.05
    good: int = 0
    bad: int = 0
    waiting: int = 0
    lapsed: int = 0


def test_it_is_the_bound_of_the_same_passes_one_by_one() -> None:
    hours = [Hour(hour=1, n=4000, good=197, bad=3), Hour(hour=2, n=2000, probability=0.5, good=990, bad=10)]
    found = escapes(hours, [0.05])
    audit = Audit(design=Design(floor=0.05))
    for one in hours:
        audit = passed(audit, one.probability, one.n - one.good - one.bad)
        for _ in range(one.good):
            audit = audited(audit, one.probability, bad=False)
        for _ in range(one.bad):
            audit = audited(audit, one.probability, bad=True)
    alone = escape_bound(audit)
    assert found.bound is not None
    assert (found.bound.escapes, found.bound.audited, found.bound.found) == (alone.escapes, 1200, 13)
    assert found.bound.estimate_ppm == pytest.approx(alone.estimate_ppm)
    assert (found.claimed, found.until, found.passes, found.since_hour) == (True, None, 6000, 1)


def test_without_audits_nothing_is_claimed() -> None:
    for hours, fractions in (
        ([], []),
        ([], [0.05]),
        ([Hour(hour=3, n=100, probability=0.0)], [0.0]),
        ([Hour(hour=3, n=100)], [0.05]),
    ):
        found = escapes(hours, fractions)
        assert not found.claimed
        assert found.passes == sum(one.n for one in hours)
    assert escapes([], [0.0]).floor is None


def test_the_floor_is_the_smallest_share_of_any_policy_and_each_lower_one_is_another_bound() -> None:
    hours = [Hour(hour=5, n=1000, good=50)]
    for fractions, floor, designs in (([0.05], 0.05, 1), ([0, 0.05, 0.1], 0.05, 1), ([0.05, 0.02, 0.05, 0.01], 0.01, 3)):
        found = escapes(hours, fractions)
        assert (found.floor, found.designs) == (floor, designs)
    low = escapes([*hours, Hour(hour=6, n=10, probability=0.01)], [0.05])
    assert low.bound is not None
    assert low.bound.uncovered == 10


def test_it_stops_before_the_oldest_audit_that_waits_where_that_says_more() -> None:
    calm = [Hour(hour=n, n=1000, good=50) for n in range(10, 40)]
    late = [Hour(hour=40, n=1000, good=20, waiting=30), Hour(hour=41, n=1000, waiting=50)]
    found, alone = escapes([*calm, *late], [0.05]), escapes(calm, [0.05])
    assert found.bound == alone.bound
    assert found.until is not None
    assert (found.until.isoformat(), found.waiting, found.passes) == ("1970-01-02T16:00:00+00:00", 80, 32_000)
    early = escapes([Hour(hour=9, n=10, waiting=1), *calm], [0.05])
    assert early.until is None, "nothing lies before it"
    assert early.claimed


def test_audits_that_nobody_ever_answered_count_as_bad_for_ever() -> None:
    hours = [Hour(hour=0, n=30_000, good=1490, lapsed=10), Hour(hour=50, n=1000, good=50)]
    found, without = escapes(hours, [0.05]), escapes([Hour(hour=0, n=31_000, good=1550)], [0.05])
    assert found.bound is not None
    assert without.bound is not None
    assert found.bound.escapes >= 10 > 0 == found.bound.found
    assert found.bound.ppm > without.bound.ppm
    assert (found.lapsed, found.since_hour) == (10, None)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 30), st.integers(0, 5), st.integers(0, 5)), max_size=8))
@CALM
def test_it_never_says_less_than_was_found(rows: list[tuple[int, int, int, int]]) -> None:
    hours = [Hour(hour=h, n=20 * (good + bad + waiting), good=good, bad=bad, waiting=waiting) for h, good, bad, waiting in rows]
    found = escapes(hours, [0.05])
    assert found.bound is not None
    until = found.until_hour or 10
    assert found.bound.escapes >= sum(one.bad for one in hours if one.hour < until)
    assert found.bound.passes <= found.passes
