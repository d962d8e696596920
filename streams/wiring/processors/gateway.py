"""The gateway: takes captures, brings them to the disk together, answers, and sends what is on the disk to Kafka.

One process may serve many stations. One thread writes all outboxes, so captures that arrive while one fsync runs share
the next; the sender's thread does the rest. `submit` answers when the capture is on the disk, before Kafka has it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from pydantic import ValidationError

from schemas.common import fault
from schemas.envelope import to_millis
from schemas.evidence import AnnouncedV1, ViewV1
from schemas.ids import InspectionId, inspection_id, station_path
from streams import metrics
from streams.capture.gateway import (
    Capture,
    Limits,
    StationMemory,
    admit,
    announce,
    pack,
    steps,
    ticket,
)
from streams.capture.stamps import Stamp, Stamps, stamp_now
from streams.fates import Unavailable, Unprocessable
from streams.settings import Settings
from streams.wiring.adapters.images import FileImages
from streams.wiring.adapters.outbox import Entry, Outbox, OutboxError, OutboxFull, Place, clear
from streams.wiring.adapters.sender import Job, Sender

log = logging.getLogger(__name__)
_IDLE_S = 1.0
_GROUP, _GROUP_BYTES = 256, 32 << 20
WAIT_S = 30.0


class NothingInForce(Exception):
    """No policy or no model set for this product at this station: a part would have no rules to be judged by."""


@dataclass(slots=True, eq=False)
class _Request:
    capture: Capture
    deadline: float
    answer: Future[InspectionId] = field(default_factory=Future)
    views: list[ViewV1] | None = None
    parts: list[bytes] = field(default_factory=list)
    tickets: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Station:
    name: str
    outbox: Outbox
    memory: StationMemory
    queue: deque[_Request] = field(default_factory=deque)
    acked: deque[Place] = field(default_factory=deque)


@dataclass(slots=True)
class _Group:
    """Drafts that share a commit. No serial twice: the second one must see the first one's visit."""

    requests: list[_Request] = field(default_factory=list)
    announced: list[AnnouncedV1] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    serials: set[str] = field(default_factory=set)
    size: int = 0


def _now() -> datetime:
    return datetime.now(UTC)


def _refused(answer: Future[InspectionId], error: Exception) -> None:
    """Whoever has cancelled, or was answered, is told nothing. What has begun cannot be cancelled any more."""
    if answer.running() or (not answer.done() and answer.set_running_or_notify_cancel()):
        answer.set_exception(error)


class Gateway:
    """stations: their outboxes are opened, and what an earlier process left is sent, at once; others when first used.

    Raises OutboxInUse, OutboxDamaged, OutboxError. limits: of one image. Each station's outbox has the whole limit.
    """

    def __init__(
        self,
        settings: Settings,
        stamps: Stamps,
        *,
        stations: Iterable[str] = (),
        limits: Limits | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._settings, self._stamps, self._clock = settings, stamps, clock
        self._limits = limits or Limits()
        self._files = FileImages(settings.images)
        lock = threading.RLock()
        self._bell, self._sent = threading.Condition(lock), threading.Condition(lock)
        self._new: list[_Request] = []
        self._unanswered: set[Future[InspectionId]] = set()
        self._stations: dict[str, _Station] = {}
        self._open = 0
        self._starved = self._closing = False
        self._sender = Sender(settings.client())
        try:
            for station in stations:
                self._station(station_path(station))
        except OutboxError:
            self._let_go()
            raise
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._thread.start()

    # --- any thread ----------------------------------------------------------------------------------------------------
    async def submit(self, capture: Capture, *, wait_s: float = WAIT_S) -> InspectionId:
        """Acknowledge when it is on the disk. wait_s: longest wait for room in the outbox.

        Raises Refused (a view; nothing of the capture was written), Unprocessable `bad_data`, NothingInForce, OutboxFull,
        OutboxError.
        """
        return await asyncio.wrap_future(self.post(capture, wait_s=wait_s))

    def post(self, capture: Capture, *, wait_s: float = WAIT_S) -> Future[InspectionId]:
        """As `submit`, for threads."""
        station_path(capture.station)
        request = _Request(capture, time.monotonic() + wait_s)
        with self._bell:
            if self._closing:
                raise OutboxError("the gateway is closing: no more captures")
            self._new.append(request)
            self._unanswered.add(request.answer)
            self._bell.notify()
        request.answer.add_done_callback(self._unanswered.discard)
        return request.answer

    def next_n(self, station: str) -> int:
        """The number that the station's next capture gets, unless others submit meanwhile."""
        with self._bell:
            found = self._stations.get(station)
        return found.outbox.next_n if found else 0

    @property
    def unsent(self) -> int:
        """Inspections on the disk that Kafka has not acknowledged."""
        return self._open

    @property
    def alive(self) -> bool:
        """False once its thread has ended: a bug, or `close`."""
        return self._thread.is_alive()

    @property
    def trouble(self) -> str | None:
        """What Kafka's driver said last, while nothing gets through."""
        return self._sender.trouble

    def wait_sent(self, timeout_s: float) -> bool:
        """Wait until Kafka has everything; False where something is left: it stays in the outbox for the next start."""
        with self._sent:
            return self._sent.wait_for(lambda: self._open == 0, timeout_s)

    async def drain(self, timeout_s: float) -> bool:
        """As `wait_sent`."""
        return await asyncio.to_thread(self.wait_sent, timeout_s)

    def close(self) -> None:
        """Answer what was submitted, stop sending, let go of the outboxes. What is unsent stays in them."""
        with self._bell:
            self._closing = True
            self._bell.notify()
        self._thread.join()
        self._let_go()

    def _let_go(self) -> None:
        self._sender.close()
        for station in self._stations.values():
            try:
                self._settle(station)
                station.outbox.close()
            except OutboxError as error:
                log.warning("%s", error)

    def _acked(self, station: _Station, place: Place) -> None:
        station.acked.append(place)
        with self._bell:
            self._open -= 1
            if self._starved:
                self._bell.notify()
            if self._open == 0:
                self._sent.notify_all()

    # --- the gateway's thread ------------------------------------------------------------------------------------------
    def _run(self) -> None:
        try:
            self._loop()
        finally:  # nobody waits for an answer that cannot come
            with self._bell:
                self._closing = True
            for answer in tuple(self._unanswered):
                _refused(answer, OutboxError("the gateway has ended: nothing of this capture is promised"))

    def _loop(self) -> None:
        while True:
            with self._bell:
                idle = not self._new and not self._bell.wait(self._patience())
                new, self._new = self._new, []
                closing = self._closing
            for request in new:
                self._enqueue(request)
            for station in tuple(self._stations.values()):
                self._turn(station, idle=idle, closing=closing)
            self._starved = any(station.queue for station in self._stations.values())
            if closing and not self._new and not self._starved:
                return

    def _patience(self) -> float | None:
        if self._closing:
            return 0.0
        busy = self._starved or self._open or any(station.acked for station in self._stations.values())
        return _IDLE_S if busy else None

    def _enqueue(self, request: _Request) -> None:
        try:
            self._station(request.capture.station).queue.append(request)
        except OutboxError as error:
            _refused(request.answer, error)

    def _station(self, name: str) -> _Station:
        if name not in self._stations:
            memory = StationMemory()
            outbox = Outbox(
                self._settings.state / "outbox" / name,
                memory=memory,
                limit_bytes=self._settings.outbox_limit_bytes,
                now_ms=to_millis(self._clock()),
            )
            if outbox.torn_bytes:
                log.warning("%s: %d torn bytes of an unacknowledged group were cut", name, outbox.torn_bytes)
            station = _Station(name, outbox, memory)
            metrics.OUTBOX_INSPECTIONS.labels(name).set_function(lambda: outbox.unsent)
            metrics.OUTBOX_BYTES.labels(name).set_function(lambda: outbox.size)
            metrics.OUTBOX_FILL.labels(name).set_function(lambda: outbox.size / outbox.limit_bytes)
            with self._bell:
                self._stations[name] = station
            self._send(station, outbox.waiting)
            outbox.waiting = []
        return self._stations[name]

    def _turn(self, station: _Station, *, idle: bool, closing: bool) -> None:
        settled = self._settle(station)
        while station.queue and self._commit(station):
            pass
        if closing:
            for request in station.queue:
                _refused(request.answer, OutboxFull(self._full(station)))
            station.queue.clear()
        try:
            if idle and settled == 0:
                station.outbox.tidy()
        except OutboxError as error:
            log.warning("%s", error)

    def _settle(self, station: _Station) -> int:
        count = 0
        while station.acked:
            station.outbox.done(station.acked.popleft())
            count += 1
        return count

    def _commit(self, station: _Station) -> bool:
        """One group; False where the next request must wait for room."""
        group, more = self._group(station)
        if not group.requests:
            return more
        try:
            places = station.outbox.commit(group.entries)
        except OutboxError as error:
            for request in group.requests:
                _refused(request.answer, error)
            return more
        for announced in group.announced:
            station.memory.saw(announced)
        metrics.CAPTURED.labels(station.name).inc(len(places))
        self._send(station, places)
        for request, place in zip(group.requests, places, strict=True):
            request.answer.set_result(inspection_id(station.name, station.outbox.epoch, place.n))
        return more

    def _group(self, station: _Station) -> tuple[_Group, bool]:
        group = _Group()
        while station.queue and len(group.entries) < _GROUP and group.size < _GROUP_BYTES:
            request = station.queue[0]
            serial = request.capture.serial
            if serial is not None and serial in group.serials:
                break
            if request.views is None and not request.answer.set_running_or_notify_cancel():
                station.queue.popleft()
                continue
            try:
                announced, entry = self._draft(station, request, station.outbox.next_n + len(group.entries))
                room = station.outbox.has_room(entry.size, beside=group.size)
                if not room and group.requests:
                    break  # on the disk with those first: what is sent meanwhile may make room
                if not room and time.monotonic() >= request.deadline:
                    raise OutboxFull(self._full(station))
            except (Unprocessable, NothingInForce, OutboxError) as error:
                self._refuse(station, request, error)
                continue
            if not room:
                return group, False
            station.queue.popleft()
            group.requests.append(request)
            group.announced.append(announced)
            group.entries.append(entry)
            group.size += entry.size
            if serial is not None:
                group.serials.add(serial)
        return group, True

    def _refuse(self, station: _Station, request: _Request, error: Exception) -> None:
        station.queue.popleft()
        reason = error.reason if isinstance(error, Unprocessable) else type(error).__name__
        metrics.REFUSED.labels(station.name, reason).inc()
        _refused(request.answer, error)

    def _full(self, station: _Station) -> str:
        said = f"; Kafka: {self.trouble}" if self.trouble else ""
        return (
            f"the outbox of {station.name} is full: {station.outbox.unsent} inspections, {station.outbox.size} bytes wait for "
            f"{self._settings.kafka}, the limit is {station.outbox.limit_bytes}{said}"
        )

    def _draft(self, station: _Station, request: _Request, n: int) -> tuple[AnnouncedV1, Entry]:
        capture = request.capture
        stamp = self._stamp(station, capture)
        if request.views is None:
            request.views = [admit(view, self._limits) for view in capture.views]
        inspection = inspection_id(station.name, station.outbox.epoch, n)
        announced = announce(capture, request.views, inspection, stamp, station.memory, self._clock())
        if not request.parts:
            self._lay_out(request, request.views)
        head = pack(announced.json_bytes(), request.tickets)
        return announced, Entry(n=n, head=head, parts=request.parts)

    def _lay_out(self, request: _Request, views: Sequence[ViewV1]) -> None:
        """Large images go to the file store, and are on the disk there before the outbox names them."""
        for view, said in zip(request.capture.views, views, strict=True):
            if said.bytes <= self._settings.inline_limit_bytes:
                request.parts.append(view.data)
                continue
            try:
                uri = self._files.put(view.data, said.sha256)
            except OSError as error:
                request.parts.clear()
                raise clear(error, self._files.root) from error
            request.parts.append(ticket(said, uri).json_bytes())
            request.tickets.append(said.view)

    def _stamp(self, station: _Station, capture: Capture) -> Stamp:
        views = [view.name for view in capture.views]
        try:
            stamp = stamp_now(self._stamps, capture.product, station.name, capture.acquisition, views)
        except Unavailable:
            stamp = station.memory.stamp(capture)
        except ValidationError as error:  # a view or an acquisition that no score stream can have
            raise Unprocessable("bad_data", fault(error)[1]) from error
        if stamp is None:
            raise NothingInForce(
                f"no policy and model set in force for product {capture.product!r} at station {station.name!r}: "
                f"see `verdictline policy show` and `verdictline fit`"
            )
        return stamp

    def _send(self, station: _Station, places: Sequence[Place]) -> None:
        with self._bell:
            self._open += len(places)
        self._sender.put(
            *(
                Job(
                    size=place.size,
                    load=lambda place=place: steps(*station.outbox.read(place)),  # type: ignore[misc]
                    done=partial(self._acked, station, place),
                )
                for place in places
            )
        )
