"""Stretches of local time: every so many seconds after local midnight, and the times at which shifts begin. Knows no part."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from schemas.envelope import from_millis, to_millis
from schemas.spc import SubgroupRuleV1
from streams.monitors.challenge.schedule import zone_of

Bin = tuple[int, int]
_DAY_S = 86_400


def bin_of(rule: SubgroupRuleV1, at_ms: int) -> Bin | None:
    """[start, end) in ms since 1970 around this moment; None where the rule has no boundary of time.

    An hour that the clock repeats is a stretch of its own, one that it leaps over is none. A shift begins once a day: at the
    first of two equal times, and where it is leapt over when it would have been. Raises Unprocessable `unknown_zone`.
    """
    if rule.every_s is None and not rule.shifts:
        return None
    found = sorted({to_millis(one) for one in _boundaries(rule, zone_of(rule.zone), from_millis(at_ms))})
    return max(one for one in found if one <= at_ms), min(one for one in found if one > at_ms)


def _boundaries(rule: SubgroupRuleV1, zone: tzinfo, at: datetime) -> Iterator[datetime]:
    """All within a day around, and more."""
    today = at.astimezone(zone).date()
    for day in (today + timedelta(days=back) for back in (-2, -1, 0, 1, 2)):
        yield from (_moment(day, time.fromisoformat(clock), zone) for clock in rule.shifts)
        if rule.every_s is not None:
            yield _moment(day, time(), zone)
    if rule.every_s is not None:
        step = timedelta(seconds=rule.every_s)
        for near in (at - step, at, at + step):
            yield from _multiples(rule.every_s, near.astimezone(zone), zone)


def _multiples(every_s: int, local: datetime, zone: tzinfo) -> Iterator[datetime]:
    """The two around a local time, each as often as the clock shows it."""
    since_s = local.hour * 3600 + local.minute * 60 + local.second
    for seconds in (since_s // every_s * every_s, (since_s // every_s + 1) * every_s):
        if seconds < _DAY_S:
            clock = time(seconds // 3600, seconds // 60 % 60, seconds % 60)
            yield _moment(local.date(), clock, zone)
            again = _moment(local.date(), clock.replace(fold=1), zone)
            if again.astimezone(zone).time() == clock:
                yield again


def _moment(day: date, clock: time, zone: tzinfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)
