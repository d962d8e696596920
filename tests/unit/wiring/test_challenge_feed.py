"""What a gateway knows of challenges: whole or not at all, also while it is read anew; and what it has in hand is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from schemas.challenge import ChallengeDueV1, ChallengeResultV1
from schemas.codec import record_of
from schemas.envelope import Received
from schemas.ids import InspectionId, inspection_id
from streams.capture.gateway import Capture
from streams.settings import Settings
from streams.wiring.adapters import challenges
from streams.wiring.adapters.challenges import Feed
from streams.wiring.adapters.kafka import KafkaUnreachable
from streams.wiring.processors import injector
from streams.wiring.processors.injector import Injector
from tests.helpers.challenges import STATION, T0_MS, due
from tests.helpers.evidence_log import appended
from tests.helpers.gateway import part
from tests.helpers.wait import wait_until

ANSWERED = Path("schemas/examples/verdictline.challenge.result.v1")
Life = list[tuple[Sequence[Received], bool]]


class Scripted(Feed):
    """A topic that is away at the end of each of its lives but the last one."""

    def __init__(self, *lives: Life) -> None:
        super().__init__({})
        self._lives = list(lives)

    def _records(self, stop: threading.Event) -> Iterator[tuple[Sequence[Received], bool]]:
        yield from self._lives.pop(0)
        if not self._lives:
            stop.set()
        raise KafkaUnreachable("away")


def log(*said: ChallengeDueV1 | ChallengeResultV1) -> list[Received]:
    return [appended(record_of(one, id=f"{n}", station=STATION, subject="x"), n, T0_MS) for n, one in enumerate(said)]


def result(set: str) -> ChallengeResultV1:
    example = ChallengeResultV1.read(min(ANSWERED.glob("good-*.json")).read_bytes())
    return example.model_copy(update={"station": STATION, "set": set})


def test_old_sets_do_not_wait_again_while_the_topic_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenges, "_AGAIN_S", 0.0)
    first, answer, second = log(due("manual/1"), result("manual/1"), due("manual/2"))
    feed = Scripted([([first], False), ([answer, second], True)], [([first], False), ([answer], False), ([second], True)])
    seen = [[set for _, set in known.waiting] for known in feed.states(threading.Event())]
    assert seen == [["manual/2"], ["manual/2"]]
    assert feed.ready.is_set()


def test_nothing_is_known_before_all_is_read() -> None:
    feed = Scripted([(log(due("manual/1")), False)])
    assert list(feed.states(threading.Event())) == []
    assert not feed.ready.is_set()


class Answer(Future[InspectionId]):
    asked = 0

    def result(self, timeout: float | None = None) -> InspectionId:
        self.asked += 1
        return super().result(timeout)


def test_what_the_gateway_has_in_hand_is_waited_for_and_what_it_has_not_is_handed_in_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway answers the first one too late for the injector's patience, and never begins with the second one."""
    monkeypatch.setattr(injector, "_ANSWER_S", 0.05)
    monkeypatch.setattr(injector, "_AGAIN_S", 0.01)
    handed: list[Answer] = []

    def take(_: Capture) -> Future[InspectionId]:
        handed.append(Answer())
        if len(handed) != 2:
            handed[-1].set_running_or_notify_cancel()
        return handed[-1]

    settings = Settings(kafka="127.0.0.1:9", state=tmp_path)
    served = Injector(settings, [STATION], capture=take, acquisition=lambda *_: "a" * 64, clock=lambda: due().due_at)
    works = [threading.Thread(target=served._insist, args=(due(), "a", part)) for _ in range(2)]
    works[0].start()
    wait_until(lambda: handed and handed[0].asked > 3, what="it was waited for several times")
    handed[0].set_result(inspection_id(STATION, T0_MS, 1))
    works[0].join(20)
    assert len(handed) == 1
    works[1].start()
    wait_until(lambda: len(handed) == 3, what="the second one is handed in again")
    assert handed[1].cancelled()
    handed[2].set_result(inspection_id(STATION, T0_MS, 2))
    works[1].join(20)
    assert (works[1].is_alive(), len(handed)) == (False, 3)
