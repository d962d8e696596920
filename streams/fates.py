"""The two errors that decide what becomes of a message; every other exception is a bug.

Knows nothing of Kafka, Triton or any message.
"""

from __future__ import annotations


class Unprocessable(Exception):
    """This message can never work: a dead letter, and `failed` evidence where it belongs to an inspection.

    reason: a short code that is safe as a metric label (`not_json`, `unknown_version`, `not_an_image`, `expired`, ...).
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Unavailable(Exception):
    """A dependency is away: back off, hold the offset, try again."""
