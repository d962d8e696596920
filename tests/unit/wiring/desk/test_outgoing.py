"""What waits in the console's database reaches Kafka: every record, in order, none twice over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from schemas.envelope import Record
from streams.wiring.adapters.desk import courier
from streams.wiring.adapters.desk.opening import open_desk
from streams.wiring.adapters.desk.outgoing import Outgoing
from streams.wiring.adapters.desk.tables import META
from tests.helpers.wait import wait_until


class AtOnce:
    """A broker that acknowledges at once."""

    def __init__(self) -> None:
        self.sent: list[bytes | None] = []

    def __call__(self, *_: Any, **__: Any) -> AtOnce:
        return self

    def put(self, *jobs: Any) -> None:
        for job in jobs:
            self.sent += [record.value for step in job.load() for record in step]
            job.done()

    def close(self) -> None:
        pass


def act(number: int) -> Record:
    return Record(topic="act.v1", key=b"place", value=b"%d" % number, headers=())


@pytest.fixture
def outgoing(tmp_path: Path) -> Outgoing:
    return Outgoing(open_desk(tmp_path))


def test_every_record_is_sent_though_the_table_is_empty_between_them(outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = AtOnce()
    monkeypatch.setattr(courier, "Sender", kafka)
    with courier.Courier({}, outgoing):
        for number in range(3):
            outgoing.add([act(number)], 0)
            wait_until(lambda: outgoing.waiting() == 0, 5, "the record is sent")
        outgoing.add([act(number) for number in (3, 4, 5)], 0)
        wait_until(lambda: outgoing.waiting() == 0, 5, "the last ones are sent")
    assert kafka.sent == [b"%d" % number for number in range(6)]


def test_two_consoles_on_one_desk_forget_nothing_that_neither_has_sent(outgoing: Outgoing) -> None:
    outgoing.add([act(0)], 0)
    [(of_one, _)], [(of_other, _)] = outgoing.take(9), outgoing.take(9)
    outgoing.done([of_one])
    outgoing.add([act(1)], 0)
    outgoing.done([of_other])
    assert [record.value for _, record in outgoing.take(9)] == [b"1"]


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    first = Outgoing(open_desk(tmp_path))
    first.add([act(0)], 0)
    [(number, _)] = first.take(9)
    first.done([number])
    again = Outgoing(open_desk(tmp_path))
    again.add([act(1)], 0)
    assert again.take(9)[0][0] > number


def test_the_versions_give_the_tables_of_this_program(tmp_path: Path) -> None:
    with open_desk(tmp_path).connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, META) == []
