"""An idempotent producer whose acknowledgements are futures of the asyncio loop. Knows no message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.envelope import Record
from streams.wiring.driver import producer_config, send
from streams.wiring.engines.clock import BrokerClock

_LOG_APPEND_TIME = 2
_BUSY = 8  # so many under way: somebody may wait for their places
_BUSY_SLEEP_S, _SLEEP_S, _LONGEST_SLEEP_S = 0.003, 0.015, 0.05


class Acks:
    """`serve` must run while records are under way. It is lazy: an acknowledgement only frees a place and moves a watermark.

    linger_ms: records are held so long and then handed over together, those of all partitions in one request. The driver's
    own waiting is per partition, so a few stations at a low rate would never share a request.
    """

    def __init__(self, client: dict[str, Any], clock: BrokerClock, linger_ms: float) -> None:
        self._producer = Producer(producer_config(client, **{"linger.ms": 0.5}))  # all of one release are in by then
        self._loop = asyncio.get_running_loop()
        self._clock, self._linger_s = clock, linger_ms / 1000
        self._held: list[tuple[Record, asyncio.Future[None]]] = []
        self._busy = asyncio.Event()
        self._waiting = 0

    async def deliver(self, records: Sequence[Record]) -> None:
        """Returns when the broker has all of them. Raises KafkaException where one is refused or not delivered in time."""
        if len(records) == 1:
            await self._hold(records[0])
        elif records:
            await asyncio.gather(*[self._hold(record) for record in records])

    async def serve(self) -> None:
        """Take delivery reports on the loop's own thread, until cancelled."""
        while True:
            await self._busy.wait()
            self._busy.clear()
            longest_s = _SLEEP_S
            while self._waiting:
                await asyncio.sleep(_BUSY_SLEEP_S if self._waiting > _BUSY and longest_s == _SLEEP_S else longest_s)
                longest_s = _SLEEP_S if self._producer.poll(0) else min(longest_s * 1.2, _LONGEST_SLEEP_S)

    def flush(self, timeout_s: float) -> int:
        """How many records are left. Blocks: call it on another thread."""
        return int(self._producer.flush(timeout_s))

    def _hold(self, record: Record) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        self._held.append((record, future))
        if len(self._held) == 1:
            self._loop.call_later(self._linger_s, self._release)
        return future

    def _release(self) -> None:
        held, self._held = self._held, []
        for record, future in held:
            if future.done():  # given back meanwhile: the next owner sends it
                continue
            try:
                self._send(record, future)
            except KafkaException as error:
                future.set_exception(error)

    def _send(self, record: Record, future: asyncio.Future[None]) -> None:
        sent_ms = self._clock.wall_ms()

        def report(error: KafkaError | None, message: Message) -> None:
            self._waiting -= 1
            kind, append_ms = message.timestamp()
            if error is None and kind == _LOG_APPEND_TIME:
                self._clock.reported(sent_ms, (message.latency() or 0) * 1000, append_ms)
            if not future.done():
                future.set_exception(KafkaException(error)) if error is not None else future.set_result(None)

        send(self._producer, record, report)
        self._waiting += 1
        self._busy.set()
