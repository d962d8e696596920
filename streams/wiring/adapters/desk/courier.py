"""Carries what waits in the console's database to Kafka: a record is deleted once it is acknowledged, and not before.

Killed between the two it is sent again: with the same id, which consumers ignore. Knows no message. What is under way
is kept as a set: it is taken again only where it was not sent.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import structlog

from schemas.envelope import Record
from streams.fates import Unavailable
from streams.wiring.adapters.desk.outgoing import Outgoing
from streams.wiring.adapters.sender import Job, Sender

log = structlog.get_logger("courier")
_EVERY_S, _MOST = 0.2, 500


class Courier:
    """`with Courier(client, outgoing)` carries until it is left."""

    def __init__(self, client: Mapping[str, Any], outgoing: Outgoing) -> None:
        self._client, self._outgoing = client, outgoing
        self._stop = threading.Event()
        self._under_way: set[int] = set()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def __enter__(self) -> Self:
        self._sender = Sender(self._client, **{"linger.ms": 0})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sender.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                under_way = frozenset(self._under_way)  # before the look: a number that becomes free meanwhile has to wait
                for number, record in self._outgoing.take(_MOST):
                    if number not in under_way:
                        self._under_way.add(number)
                        self._sender.put(_job(record, partial(self._done, number)))
            except Unavailable as error:
                log.warning("the console's database is away", error=str(error))
            self._stop.wait(_EVERY_S)

    def _done(self, number: int) -> None:
        """On the sender's thread. What cannot be deleted now is sent once more after a restart."""
        try:
            self._outgoing.done([number])
            self._under_way.discard(number)
        except Unavailable as error:
            log.warning("sent, but not yet forgotten", error=str(error))


def _job(record: Record, done: Any) -> Job:
    return Job(size=len(record.value or b""), load=lambda: [[record]], done=done)
