"""Whoever waits for the gateway is answered: beside who has gone, in a burst, and when its thread ends. Kafka stays away."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, wait
from pathlib import Path

import pytest

from schemas.ids import InspectionId
from streams.capture.gateway import Capture
from streams.capture.stamps import Stamp
from streams.settings import Settings
from streams.wiring.adapters.outbox import OutboxError, OutboxFull
from streams.wiring.processors.gateway import Gateway
from tests.helpers.gateway import Fixed, part
from tests.helpers.wait import wait_until

MIB = 1 << 20


def settings(folder: Path, limit_bytes: int) -> Settings:
    return Settings(kafka="127.0.0.1:9", state=folder, outbox_limit_bytes=limit_bytes)


def at_once(gateway: Gateway, captures: Sequence[Capture]) -> list[Future[InspectionId]]:
    """The gateway's thread sees all of them together."""
    with gateway._bell:
        return [gateway.post(capture, wait_s=60) for capture in captures]


def test_a_burst_that_is_larger_than_half_of_the_outbox_is_taken_where_each_capture_is_not(tmp_path: Path) -> None:
    gateway = Gateway(settings(tmp_path, 8 * MIB), Fixed())
    answers = at_once(gateway, [part(n, padding=3 * MIB // 2) for n in range(4)])
    assert len({answer.result(20) for answer in answers}) == 4
    gateway.close()


def test_what_does_not_fit_beside_its_group_waits_for_it(tmp_path: Path) -> None:
    gateway = Gateway(settings(tmp_path, 2 * MIB), Fixed())
    answers = at_once(gateway, [part(n, padding=MIB * 3 // 4) for n in range(4)])
    done, waiting = wait(answers[:2], 20)
    assert (len(done), len(waiting)) == (2, 0)
    gateway.close()
    assert [type(answer.exception(20)) for answer in answers] == [type(None), type(None), OutboxFull, OutboxFull]


def test_who_has_gone_while_it_waited_takes_nobody_along(tmp_path: Path) -> None:
    gateway = Gateway(settings(tmp_path, MIB), Fixed())
    answers = [gateway.post(part(n, padding=MIB // 3), wait_s=60) for n in range(5)]
    wait_until(lambda: answers[1].done() and answers[2].running(), what="the outbox is full")
    assert answers[3].cancel()
    gateway.close()
    assert not gateway.alive
    assert [type(answers[n].exception(5)) for n in (2, 4)] == [OutboxFull, OutboxFull]


class Failing(Fixed):
    """Has a bug that the third capture meets."""

    asked = 0

    def stamp(self, product: str, station: str) -> Stamp | None:
        self.asked += 1
        if self.asked == 3:
            raise KeyError("a bug")
        return super().stamp(product, station)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_the_thread_ends_everybody_is_told_also_those_in_its_hands(tmp_path: Path) -> None:
    gateway = Gateway(settings(tmp_path, MIB), Failing())
    for answer in at_once(gateway, [part(n) for n in range(5)]):
        assert isinstance(answer.exception(20), OutboxError)
    wait_until(lambda: not gateway.alive, what="the thread has ended")
    with pytest.raises(OutboxError):
        gateway.post(part(9))
    gateway.close()
