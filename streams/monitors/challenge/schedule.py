"""When a set is due: which challenge parts can be used, when a shift began, what asks for a set. Knows no answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

from schemas.challenge import ChallengePartV1, ChallengeScheduleV1, Trigger
from schemas.common import Proof
from schemas.envelope import from_millis, to_millis
from streams.fates import Unprocessable
from streams.monitors.challenge.memory import Line


@cache
def zone_of(name: str) -> tzinfo:
    """Raises Unprocessable `unknown_zone`."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Unprocessable("unknown_zone", f"{name!r} is no time zone of the IANA database (Europe/Berlin, UTC, ...)") from error


def shift_start_ms(schedule: ChallengeScheduleV1, now_ms: int) -> int | None:
    """When the shift began that runs at `now_ms` (ms since 1970, append time); None without shifts.

    Each local time of day begins one shift a day: an hour that the clock repeats counts the first time, a time that it leaps
    over counts when it would have been (PEP 495, fold 0).
    """
    if not schedule.shifts:
        return None
    zone, now = zone_of(schedule.zone), from_millis(now_ms)
    today = now.astimezone(zone).date()
    starts = (
        datetime.combine(today - timedelta(days=back), time.fromisoformat(clock), zone).astimezone(UTC)
        for back in (0, 1)
        for clock in schedule.shifts
    )
    return to_millis(max(start for start in starts if start <= now))


def usable(parts: Iterable[ChallengePartV1], product: str, proof: Proof, now: datetime) -> tuple[tuple[str, ...], str]:
    """(names of the parts that can be used now, why there is none). Without a defect among them there is none."""
    mine = sorted((p for p in parts if (p.product, p.proof) == (product, proof)), key=lambda p: p.part)
    fresh = [p for p in mine if p.expires_at is None or p.expires_at > now]
    if any(p.kind == "defect" for p in fresh):
        return tuple(p.part for p in fresh), ""
    gone = ", ".join(f"{p.part} expired {p.expires_at:%Y-%m-%d}" for p in mine if p not in fresh)
    if fresh:
        golden = ", ".join(p.part for p in fresh)
        return (), f"golden parts alone ({golden}) prove nothing: no {proof} defect can be used{': ' if gone else ''}{gone}"
    return (), f"no {proof} challenge part can be used: {gone or f'none is registered for {product}'}"


def automatic(schedule: ChallengeScheduleV1 | None) -> bool:
    """Whether anything but a person asks for its sets."""
    return schedule is not None and bool(
        schedule.every_parts or schedule.shifts or schedule.after_changeover or schedule.after_model_set
    )


def trigger_of(line: Line, *, new_models: bool, changeover: bool, new_shift: bool) -> Trigger | None:
    """What asks for a set with this production part; the weightiest of several."""
    schedule = line.schedule
    if schedule is None or not automatic(schedule):
        return None
    asked: tuple[tuple[bool, Trigger], ...] = (
        (not line.started, "start"),
        (new_models and schedule.after_model_set, "model_set"),
        (changeover and schedule.after_changeover, "changeover"),
        (new_shift, "shift"),
        (schedule.every_parts is not None and line.since_set >= schedule.every_parts, "parts"),
    )
    return next((trigger for holds, trigger in asked if holds), None)
