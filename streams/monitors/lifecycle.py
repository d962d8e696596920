"""What a score stream's baseline is called: provisional, active, suspect, stale; and until when its certificate holds.

The detector says normal, suspect or stale; where the baseline came from and how much it has seen say the rest. Knows no score.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.baseline import CertificateV1
from schemas.common import BaselineState
from schemas.standing import Origin
from streams.monitors.ordering import Scored
from streams.monitors.state import Mode

_DAY_MS = 24 * 3_600_000


class Trust(NamedTuple):
    """What a baseline has seen since it took force. since_ms: log time then.

    lots: how often the lot changed, the first included, so a lot that comes back counts again; tool_changes: without the first.
    """

    since_ms: int
    parts: int = 0
    lots: int = 0
    tool_changes: int = 0
    lot: str | None = None
    tool: str | None = None
    expired: str = ""


def word(origin: Origin, mode: Mode, trust: Trust) -> BaselineState:
    """Suspect and stale are worse than an expired certificate, so they stay."""
    if mode != "normal":
        return mode
    return "provisional" if origin == "calibration" or trust.expired else "active"


def counted(trust: Trust, part: Scored, now_ms: int, certificate: CertificateV1) -> Trust:
    """One part more. now_ms: log time. What was not told (lot, tool) changes nothing. Expired once, expired for ever."""
    other_lot = part.lot is not None and part.lot != trust.lot
    other_tool = part.tool is not None and part.tool != trust.tool and trust.tool is not None
    after = trust._replace(
        parts=trust.parts + 1,
        lots=trust.lots + other_lot,
        tool_changes=trust.tool_changes + other_tool,
        lot=part.lot if other_lot else trust.lot,
        tool=trust.tool if part.tool is None else part.tool,
    )
    return after._replace(expired=trust.expired or _used_up(certificate, after, now_ms))


def _used_up(certificate: CertificateV1, trust: Trust, now_ms: int) -> str:
    """Which limit was reached, in words; "" where none. Of lots, the last one is judged to its end."""
    days = (now_ms - trust.since_ms) / _DAY_MS
    if certificate.parts is not None and trust.parts >= certificate.parts:
        return f"{trust.parts} parts judged; the certificate is for {certificate.parts}"
    if certificate.days is not None and days >= certificate.days:
        return f"{days:.2f} days in force; the certificate is for {certificate.days:g}"
    if certificate.lots is not None and trust.lots > certificate.lots:
        return f"lot number {trust.lots} begins; the certificate is for {certificate.lots}"
    if certificate.tool_changes is not None and trust.tool_changes >= certificate.tool_changes:
        return f"{trust.tool_changes} tool changes; the certificate is for {certificate.tool_changes}"
    return ""
