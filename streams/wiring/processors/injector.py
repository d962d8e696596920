"""Challenge parts at a gateway: known images handed in where a set is due, physical masters recognised by their serial.

Lives in the gateway's process: an injected image takes the way of every image, through the same outbox, topics and models. A
set that was handed in by half is handed in again after a restart; whoever counts its answers counts each part once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

import structlog

from schemas.challenge import ChallengeDueV1, ChallengePartV1, ChallengeScheduleV1
from schemas.evidence import ChallengeStampV1
from schemas.ids import InspectionId
from streams.capture.gateway import Capture, View
from streams.fates import Unavailable, Unprocessable
from streams.settings import Settings
from streams.wiring.adapters.challenges import Feed, Registered
from streams.wiring.adapters.images import Images
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable
from streams.wiring.adapters.outbox import OutboxError
from streams.wiring.processors.gateway import NothingInForce

log = structlog.get_logger("injector")
Painter = Callable[[ChallengeDueV1, ChallengeScheduleV1 | None], Iterable[Capture]]
_AWAY = (Unavailable, NothingInForce, OutboxError, KafkaRefused, KafkaUnreachable, TimeoutError)
_AGAIN_S = 1.0
_PAINTED_S = 0.5  # a painted set is long: production must not wait behind it
_ANSWER_S = 60.0
UNASKED = "unasked"


def _now() -> datetime:
    return datetime.now(UTC)


class Injector:
    """`with Injector(...) as injector:` serves these stations until it is left.

    capture: hands a part to the gateway (`Gateway.post`). acquisition: how a station takes its images of a product, as a
    digest. painter: makes the parts of a detection limit's set; without it such sets stay unanswered.
    """

    def __init__(
        self,
        settings: Settings,
        stations: Collection[str],
        *,
        capture: Callable[[Capture], Future[InspectionId]],
        acquisition: Callable[[str, str], str],
        painter: Painter | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._stations, self._capture, self._acquisition = frozenset(stations), capture, acquisition
        self._painter, self._clock = painter, clock
        self._feed, self._images = Feed(settings.client()), Images(None, roots=[settings.images])
        self._known, self._lock = Registered(), threading.Lock()
        self._begun: set[tuple[str, str]] = set()
        self._stop = threading.Event()
        self._sets = ThreadPoolExecutor(1, thread_name_prefix="challenge-sets")
        self._painted = ThreadPoolExecutor(1, thread_name_prefix="painted-sets")
        self._thread = threading.Thread(target=self._follow, name="injector", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for pool in (self._sets, self._painted):
            pool.shutdown(cancel_futures=True)
        self._images.close()

    def wait_ready(self, timeout_s: float) -> bool:
        """Until everything that is registered has been read: before that no master is recognised."""
        return self._feed.ready.wait(timeout_s)

    def recognise(self, capture: Capture) -> Capture:
        """The capture itself, or that of a physical master: a challenge, whatever the line calls it.

        A master that is retired, expired or of another product has no known answer: a study, so that it enters no yield.
        """
        if capture.serial is None:
            return capture
        with self._lock:
            part = self._master(capture.station, capture.serial)
            if part is None:
                return capture
            if part.retired or part.product != capture.product or (part.expires_at and part.expires_at <= self._clock()):
                log.warning("a master without a known answer", station=capture.station, part=part.part, product=capture.product)
                return replace(capture, purpose="study", challenge=None)
            return replace(capture, purpose="challenge", challenge=_stamp(part, self._set_for(part)))

    def _master(self, station: str, serial: str) -> ChallengePartV1 | None:
        """One in use, where a serial was registered again under another name."""
        mine = (part for (where, _), part in self._known.parts.items() if where == station and part.serial == serial)
        return min((part for part in mine if part.proof == "physical"), key=lambda part: part.retired, default=None)

    def _set_for(self, part: ChallengePartV1) -> str:
        """The set that waits for it; else one of its own, which proves nothing unless the master passes."""
        now = self._clock()
        for due in self._known.waiting.values():
            if (due.station, due.proof) == (part.station, "physical") and part.part in due.parts and now <= due.answer_by:
                return due.set
        return f"{UNASKED}/{part.part}/{round(now.timestamp() * 1000)}"

    # --- the injector's threads ---------------------------------------------------------------------------------------
    def _follow(self) -> None:
        for known in self._feed.states(self._stop):
            with self._lock:
                self._known = known
            self._begun &= known.waiting.keys()
            for key, due in known.waiting.items():
                self._begin(key, due)

    def _begin(self, key: tuple[str, str], due: ChallengeDueV1) -> None:
        if key in self._begun or due.station not in self._stations or due.proof != "digital" or due.answer_by < self._clock():
            return
        self._begun.add(key)
        if due.trigger == "limit":
            self._painted.submit(self._paint, due).add_done_callback(_tell_bug)
        else:
            self._sets.submit(self._hand_in, due).add_done_callback(_tell_bug)

    def _hand_in(self, due: ChallengeDueV1) -> None:
        for name in due.parts:
            with self._lock:
                part = self._known.parts.get((due.station, name))
            if part is None or not part.images:
                log.error("no such challenge part", station=due.station, set=due.set, part=name)
                continue
            self._insist(due, name, lambda part=part: self._part(part, due.set))  # type: ignore[misc]

    def _part(self, part: ChallengePartV1, set: str) -> Capture:
        """Raises Unprocessable where an image is gone or is another one, Unavailable."""
        views = [View(view, self._images.read_now(ref)) for view, ref in sorted(part.images.items())]
        return Capture(
            station=part.station,
            product=part.product,
            views=views,
            acquisition=self._acquisition(part.station, part.product),
            purpose="challenge",
            challenge=_stamp(part, set),
        )

    def _paint(self, due: ChallengeDueV1) -> None:
        if self._painter is None:
            log.error("nobody paints here: the set stays unanswered", station=due.station, set=due.set)
            return
        with self._lock:
            schedule = self._known.schedules.get((due.station, due.product, due.proof))
        while not self._stop.is_set():
            try:
                for painted in self._painter(due, schedule):
                    self._insist(due, painted.challenge.part if painted.challenge else "", lambda painted=painted: painted)  # type: ignore[misc]
                    if self._stop.wait(_PAINTED_S):
                        return
                return
            except Unprocessable as error:
                log.error("nothing to paint on", station=due.station, set=due.set, error=str(error))
                return
            except _AWAY as error:
                log.warning("a painted set waits", station=due.station, set=due.set, error=str(error))
            if self._clock() > due.answer_by or self._stop.wait(_AGAIN_S):
                return

    def _insist(self, due: ChallengeDueV1, name: str, make: Callable[[], Capture]) -> None:
        """Until the gateway has it on its disk, or the set's time is over."""
        while not self._stop.is_set():
            try:
                self._wait_for(self._capture(make()))
                return
            except Unprocessable as error:
                log.error("a challenge part cannot be sent", station=due.station, set=due.set, part=name, error=str(error))
                return
            except _AWAY as error:
                log.warning("a challenge part waits", station=due.station, set=due.set, part=name, error=str(error))
            if self._clock() > due.answer_by or self._stop.wait(_AGAIN_S):
                return

    def _wait_for(self, answer: Future[InspectionId]) -> None:
        """Raises what the gateway says; TimeoutError where it has not begun with it: what is in its hands is waited for."""
        while not self._stop.is_set():
            try:
                answer.result(_ANSWER_S)
                return
            except TimeoutError:
                if answer.done() or answer.cancel():
                    raise


def _tell_bug(work: Future[None]) -> None:
    """A future that nobody reads would hide it; the set stays unanswered, which is told as well."""
    if not work.cancelled() and (error := work.exception()) is not None:
        log.error("a challenge set was not handed in", error=repr(error), exc_info=error)


def _stamp(part: ChallengePartV1, set: str) -> ChallengeStampV1:
    return ChallengeStampV1(set=set, part=part.part, proof=part.proof, kind=part.kind, label=part.label)
