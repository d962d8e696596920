"""What becomes of a message that can never work: a reason, a dead letter, and when to stop. Knows no message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from schemas.dead_letter import dead_letter
from schemas.envelope import ContractError, Received, Record
from streams.fates import Unprocessable
from streams.metrics import DEAD_LETTERS, HANDLED

log = structlog.get_logger("dead")
IN_A_ROW = 100


class TooManyDead(RuntimeError):
    """So many dead letters in a row are a bad deployment, not bad messages: do not drain the topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """reason: a code fit for a metric label; attempts: how often it was tried."""

    reason: str
    detail: str
    attempts: int = 1


OnDead = Callable[[Received, Dead], Sequence[Record]]


def verdict_on(error: BaseException, attempts: int) -> Dead:
    """Unprocessable and ContractError carry their reason; `unavailable` and `bug` are what is left."""
    if isinstance(error, (Unprocessable, ContractError)):
        return Dead(reason=error.reason, detail=error.detail, attempts=attempts)
    return Dead(reason="bug", detail=f"{type(error).__name__}: {error}", attempts=attempts)


class Undertaker:
    """Turns a dead message into its records and counts how many came in a row."""

    def __init__(self, *, stage: str, topic: str, on_dead: OnDead, in_a_row: int = IN_A_ROW) -> None:
        self._stage, self._topic, self._on_dead, self._limit = stage, topic, on_dead, in_a_row
        self._row = 0
        DEAD_LETTERS.labels(stage, "bug")  # 0 from the start: an alert sees the first one
        HANDLED.labels(stage, "dead")

    def alive(self) -> None:
        self._row = 0

    def bury(self, record: Received, dead: Dead) -> list[Record]:
        """The dead letter and what `on_dead` adds. Raises TooManyDead."""
        self._row += 1
        if self._row > self._limit:
            raise TooManyDead(f"{self._row} dead letters in a row, the last: {dead.reason}: {dead.detail}")
        log.warning(
            "dead letter",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=dead.reason,
            detail=dead.detail,
            attempts=dead.attempts,
        )
        DEAD_LETTERS.labels(self._stage, dead.reason).inc()
        HANDLED.labels(self._stage, "dead").inc()
        letter = dead_letter(record, stage=self._stage, reason=dead.reason, detail=dead.detail, attempts=dead.attempts)
        return [replace(letter, topic=self._topic), *self._answer(record, dead)]

    def _answer(self, record: Received, dead: Dead) -> Sequence[Record]:
        try:
            return self._on_dead(record, dead)
        except Exception:  # the letter is what must not be lost; the deadline answers the inspection
            log.exception("on_dead failed", topic=record.topic, partition=record.partition, offset=record.offset)
            return ()
