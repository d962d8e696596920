"""Shifts in local time: the change of the clock, boundaries that are none, the shift before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.wiring.report.window import moment, shift, shift_before, stretch, stretch_before

CLOCKS, ZONE = ("06:00", "14:00", "22:00"), "Europe/Berlin"
NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "begin", "end", "hours"),
    [
        ("2026-11-28 06:00", at(2026, 11, 28, 5), at(2026, 11, 28, 13), 8),
        ("2026-10-24 22:00", at(2026, 10, 24, 20), at(2026, 10, 25, 5), 9),  # the night that is an hour longer
        ("2026-03-28 22:00", at(2026, 3, 28, 21), at(2026, 3, 29, 4), 7),  # and the one that is an hour shorter
        ("2026-11-27 22:00", at(2026, 11, 27, 21), at(2026, 11, 28, 5), 8),
    ],
)
def test_a_shift_is_as_long_as_it_was(text: str, begin: datetime, end: datetime, hours: float) -> None:
    found = shift(text, CLOCKS, ZONE, NOW)
    assert (found.begin, found.end, found.hours) == (begin, end, hours)


def test_three_shifts_are_the_day_that_has_25_hours() -> None:
    night = shift("2026-10-24 22:00", CLOCKS, ZONE, NOW)
    late = shift_before(night, CLOCKS)
    early = shift_before(late, CLOCKS)
    assert (early.end, late.end) == (late.begin, night.begin)
    assert early.hours + late.hours + night.hours == 25


def test_a_shift_a_day_begins_where_the_clock_leaps_over_its_beginning() -> None:
    found = shift("2026-03-29 02:30", ("02:30",), ZONE, NOW)
    assert (found.begin, found.hours) == (at(2026, 3, 29, 1, 30), 23)


def test_of_two_equal_times_the_first_begins_the_shift() -> None:
    found = shift("2026-10-25 02:30", ("02:30",), ZONE, NOW)
    assert (found.begin, found.hours) == (at(2026, 10, 25, 0, 30), 25)


def test_the_name_says_the_day_on_which_it_ends() -> None:
    assert shift("2026-11-28 06:00", CLOCKS, ZONE, NOW).name == "2026-11-28 06:00 to 14:00"
    assert shift("2026-11-27 22:00", CLOCKS, ZONE, NOW).name == "2026-11-27 22:00 to 2026-11-28 06:00"


def test_last_is_the_newest_that_is_over() -> None:
    assert shift("last", CLOCKS, ZONE, NOW).name == "2026-11-27 22:00 to 2026-11-28 06:00"


def test_a_time_with_an_offset_is_that_moment() -> None:
    assert moment("2026-11-28T06:00+01:00", "UTC", "--from") == at(2026, 11, 28, 5)


def test_before_a_stretch_lies_one_as_long() -> None:
    found = stretch("2026-11-28 06:00", "2026-11-28 08:30", ZONE)
    assert (stretch_before(found).begin, stretch_before(found).end) == (at(2026, 11, 28, 2, 30), found.begin)


@pytest.mark.parametrize(
    ("text", "clocks", "zone", "said"),
    [
        ("2026-11-28 05:30", CLOCKS, ZONE, "none begins at 2026-11-28 05:30.*2026-11-27 22:00 and 2026-11-28 06:00"),
        ("yesterday", CLOCKS, ZONE, "'yesterday' is no time: write it as 2026-11-28 06:00"),
        ("2026-11-28 06:00", ("6",), ZONE, "--shifts: '6'"),
        ("2026-11-28 06:00", CLOCKS, "Europe/Berlim", "'Europe/Berlim' is no time zone"),
        ("2026-02-30 06:00", CLOCKS, ZONE, "is no time"),
    ],
)
def test_what_is_no_shift_is_said(text: str, clocks: tuple[str, ...], zone: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        shift(text, clocks, zone, NOW)


def test_a_stretch_has_a_beginning_before_its_end() -> None:
    with pytest.raises(ValueError, match="does not lie before"):
        stretch("2026-11-28 06:00", "2026-11-28 06:00", ZONE)
