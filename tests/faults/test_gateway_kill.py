"""The gateway and its Kafka killed: what was acknowledged arrives, with the same ids and bytes, and no number is left out."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from streams.settings import Settings
from streams.wiring.adapters.outbox import OutboxFull
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.processors.gateway import Gateway
from streams.workbench.kafka import EmbeddedKafka
from tests.helpers.gateway import Fixed, part, png
from tests.helpers.gateway_child import PADDING
from tests.helpers.sent import Sent, sent
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.faults]
MIB = 1 << 20


def child(bootstrap: str, state: Path, station: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.helpers.gateway_child", bootstrap, str(state), station, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def all_there(found: Sent, count: int, padding: int) -> None:
    """Numbers 0 ... count - 1 in order, each with the image that was handed in, copies alike."""
    assert found.numbers == list(range(count))
    assert found.conflicts == []
    assert len(found.images) == count
    for n, (inspection, said) in enumerate(found.announced.items()):
        expected = png(n, padding=padding)
        assert said.views[0].sha256 == hashlib.sha256(expected).hexdigest()
        assert found.image(inspection) == expected


def test_killed_in_mid_send_three_times(kafka: SharedKafka, tmp_path: Path) -> None:
    count, station = 1200, f"{kafka.fresh('site')}/line/cam"
    client = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(client)
    acknowledged: list[str] = []
    for kill_after in (100, 300, 200, None):
        process = child(kafka.bootstrap, tmp_path, station, count)
        assert process.stdout
        for number, line in enumerate(process.stdout):
            acknowledged.append(line.strip())
            if number == kill_after:
                process.kill()
        assert process.wait(60) == (0 if kill_after is None else -9)
        process.stdout.close()
    found = sent(client, station)
    assert set(acknowledged) <= found.announced.keys()
    assert len(set(acknowledged)) == len(acknowledged)
    all_there(found, count, PADDING)
    visits = [said.visit for said in found.announced.values()]
    assert visits == [n // 50 + 1 for n in range(count)]


def test_kafka_killed_captures_go_on_until_the_outbox_is_full(tmp_path: Path) -> None:
    station, padding = "plant/line-1/cam-1", 20_000
    with EmbeddedKafka(tmp_path / "kafka") as kafka:
        client = {"bootstrap.servers": kafka.bootstrap}
        apply_topics(client)
        settings = Settings(kafka=kafka.bootstrap, state=tmp_path, outbox_limit_bytes=2 * MIB)

        def submit(gateway: Gateway, n: int, wait_s: float = 60) -> int:
            return gateway.post(part(n, station=station, padding=padding), wait_s=wait_s).result(90).n

        first = Gateway(settings, Fixed(), stations=[station])
        assert [submit(first, n) for n in range(20)] == list(range(20))
        kafka.kill()
        assert [submit(first, n) for n in range(20, 40)] == list(range(20, 40))
        first.close()  # a restart in the outage

        gateway = Gateway(settings, Fixed(), stations=[station])
        assert gateway.unsent >= 20
        taken = 40
        full = rf"outbox of {station} is full: .* wait for {kafka.bootstrap}, the limit is {2 * MIB}"
        with pytest.raises(OutboxFull, match=full):  # noqa: PT012
            while submit(gateway, taken, wait_s=0) == taken:
                taken += 1
        assert 80 < taken < 110
        assert gateway.trouble
        waiting = gateway.post(part(taken, station=station, padding=padding), wait_s=60)
        kafka.start()
        assert waiting.result(60).n == taken  # back-pressure: it waited for room, and got it
        assert gateway.wait_sent(60)
        wait_until(lambda: gateway.trouble is None, 10, "the trouble is over")
        gateway.close()
        all_there(sent(client, station), taken + 1, padding)
