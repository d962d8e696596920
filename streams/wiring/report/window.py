"""Which stretch of time a report is about: a shift in local time, a lot, or from one moment to another. Knows no clock.

Shifts begin at local times of day, as SPC's subgroups and challenge sets have them: a shift over the change of the clock is as
long as it really was (7 or 9 h), a boundary that the clock leaps over is where it would have been, of two equal ones the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal

from pydantic import ValidationError

from schemas.envelope import from_millis, to_millis
from schemas.spc import SubgroupRuleV1
from streams.fates import Unprocessable
from streams.monitors.challenge.schedule import zone_of
from streams.monitors.spc.bins import bin_of

Kind = Literal["shift", "lot", "range"]
_FORMS = ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """begin <= t < end, UTC. zone: IANA name, in which people read it. name: `2026-11-28 06:00 to 14:00`, or of the lot."""

    kind: Kind
    name: str
    begin: datetime
    end: datetime
    zone: str

    @property
    def hours(self) -> float:
        return (self.end - self.begin).total_seconds() / 3600


def zone_named(name: str) -> tzinfo:
    """Raises ValueError."""
    try:
        return zone_of(name)
    except Unprocessable as error:
        raise ValueError(f"--zone: {error.detail}") from error


def shift(text: str, clocks: Sequence[str], zone: str, now: datetime) -> Window:
    """text: when it begins, local; `last`: the newest that is over. clocks: `06:00`, when shifts begin. Raises ValueError."""
    rule = _rule(clocks, zone)
    if text == "last":
        running, _ = _bin(rule, to_millis(now))
        return _shift(_bin(rule, running - 1), zone)
    begin = to_millis(moment(text, zone, "--shift"))
    found = _bin(rule, begin)
    if found[0] != begin:
        near = " and ".join(local(from_millis(at), zone) for at in found)
        raise ValueError(f"--shift: none begins at {text} ({zone}); the nearest begin at {near} (--shifts {','.join(clocks)})")
    return _shift(found, zone)


def shift_before(window: Window, clocks: Sequence[str]) -> Window:
    return _shift(_bin(_rule(clocks, window.zone), to_millis(window.begin) - 1), window.zone)


def stretch(begin: str, end: str, zone: str) -> Window:
    """From one moment to another. Raises ValueError."""
    first, last = moment(begin, zone, "--from"), moment(end, zone, "--to")
    if first >= last:
        raise ValueError(f"--from {begin} does not lie before --to {end}")
    return Window(kind="range", name=_span(first, last, zone), begin=first, end=last, zone=zone)


def stretch_before(window: Window) -> Window:
    """As long, just before."""
    first = window.begin - (window.end - window.begin)
    return Window(kind="range", name=_span(first, window.begin, window.zone), begin=first, end=window.begin, zone=window.zone)


def moment(text: str, zone: str, option: str) -> datetime:
    """`2026-11-28 06:00` in that zone, or with an offset of its own -> UTC. Raises ValueError."""
    for form in _FORMS:
        for suffix in ("", "%z"):
            try:
                found = datetime.strptime(text.strip(), form + suffix)  # noqa: DTZ007 the zone is put on below
            except ValueError:
                continue
            return (found if found.tzinfo else found.replace(tzinfo=zone_named(zone))).astimezone(UTC)
    raise ValueError(f"{option}: {text!r} is no time: write it as 2026-11-28 06:00")


def local(at: datetime, zone: str, form: str = "%Y-%m-%d %H:%M") -> str:
    return f"{at.astimezone(zone_named(zone)):{form}}"


def _rule(clocks: Sequence[str], zone: str) -> SubgroupRuleV1:
    zone_named(zone)
    try:
        return SubgroupRuleV1(shifts=tuple(clocks), zone=zone)
    except ValidationError as error:
        raise ValueError(f"--shifts: {','.join(clocks)!r}: write local times of day as 06:00,14:00,22:00") from error


def _bin(rule: SubgroupRuleV1, at_ms: int) -> tuple[int, int]:
    found = bin_of(rule, at_ms)
    assert found is not None, "a rule with shifts has boundaries"
    return found


def _shift(found: tuple[int, int], zone: str) -> Window:
    begin, end = map(from_millis, found)
    return Window(kind="shift", name=_span(begin, end, zone), begin=begin, end=end, zone=zone)


def _span(begin: datetime, end: datetime, zone: str) -> str:
    same = local(begin, zone, "%Y-%m-%d") == local(end, zone, "%Y-%m-%d")
    return f"{local(begin, zone)} to {local(end, zone, '%H:%M' if same else '%Y-%m-%d %H:%M')}"
