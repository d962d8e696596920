"""The embedded Kafka: its log and address outlive a crash, two brokers never share a folder, errors are one line."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.workbench.jars import TABLE, class_path, table
from streams.workbench.java import find_java
from streams.workbench.kafka import EmbeddedKafka
from streams.workbench.kafka_properties import LARGEST_MESSAGE
from streams.workbench.processes import ServerStartError, is_free
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka


def send(bootstrap: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "message.max.bytes": LARGEST_MESSAGE})
    producer.produce(topic, value)
    assert producer.flush(20) == 0


def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "earliest"})
    found: list[bytes] = []

    def one_more() -> bool:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            found.append(message.value() or b"")
        return len(found) >= count

    try:
        consumer.subscribe([topic])
        wait_until(one_more, 30, f"{count} messages of {topic}")
    finally:
        consumer.close()
    return found


def test_log_and_address_survive_a_stop_and_no_other_broker_gets_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.workbench.kafka._LEAVING_S", 0.1)
    large = os.urandom(9 << 20)  # a dead letter may be as large
    with EmbeddedKafka(tmp_path) as broker:
        bootstrap = broker.bootstrap
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        topic = NewTopic("kept", 1, 1, config={"max.message.bytes": str(LARGEST_MESSAGE)})
        admin.create_topics([topic])["kept"].result(10)
        send(bootstrap, "kept", large)
        with pytest.raises(ServerStartError, match=r"port \d+ is taken"):
            EmbeddedKafka(port=broker.port).start()
        with pytest.raises(ServerStartError, match="another Kafka runs on"):
            EmbeddedKafka(tmp_path).start()
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGTERM)
        assert wait_until(broker.trouble, 20, "the broker's end") == "it ended with 143"
    assert is_free(broker.port)
    with EmbeddedKafka(tmp_path) as again:
        assert again.bootstrap == bootstrap
        send(bootstrap, "kept", b"after")
        assert read(bootstrap, "kept", 2) == [large, b"after"]


def test_a_folder_that_is_not_kafkas_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\ncluster.id=somebody-else\nnode.id=7\n")
    with pytest.raises(ServerStartError) as caught:
        EmbeddedKafka(tmp_path).start()
    assert "\n" not in str(caught.value)
    assert "node" in str(caught.value)


def test_no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert Path(find_java()).name == "java"  # the wheel's
    monkeypatch.setattr("streams.workbench.java._from_wheel", lambda: None)
    with pytest.raises(ServerStartError, match=r"no Java 17 or newer in \$JAVA_HOME, on PATH"):
        find_java()


def test_jars_are_verified_wherever_they_come_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cached = [Path(entry) for entry in class_path().split(os.pathsep)]
    assert len(cached) == len(table()) == len(TABLE.read_text().splitlines()) == 46
    for jar in cached:
        (tmp_path / jar.name).symlink_to(jar)
    monkeypatch.setenv("KAFKA_JARS", str(tmp_path))
    assert class_path().count(str(tmp_path)) == 46
    broken = tmp_path / cached[3].name
    broken.unlink()
    with pytest.raises(ServerStartError, match=f"{broken.name} is missing"):
        class_path()
    broken.write_bytes(cached[3].read_bytes()[:-1])
    with pytest.raises(ServerStartError, match="not the file that the SHA-256 table lists"):
        class_path()


def test_a_killed_or_refused_download_leaves_no_broken_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = Path(class_path().split(os.pathsep)[0]).parent
    cache = tmp_path / "cache"
    (cache / f".{good.name}-left").mkdir(parents=True)  # by one that was killed
    (cache / good.name).mkdir()
    for jar in table()[1:]:
        (cache / good.name / jar.name).symlink_to(good / jar.name)
    missing = cache / good.name / table()[0].name
    monkeypatch.setattr("jgo.maven._core.Artifact.resolve", lambda self: self_made(tmp_path, b"half"))
    with pytest.raises(ServerStartError, match="its SHA-256 is not"):
        class_path(cache)
    monkeypatch.setattr("jgo.maven._core.Artifact.resolve", lambda self: raise_unreachable())
    with pytest.raises(
        ServerStartError, match=r"cannot be downloaded \(no route\); connect this machine once, or set KAFKA_JARS"
    ):
        class_path(cache)
    assert not missing.exists()
    assert [entry.name for entry in cache.iterdir() if entry.name.startswith(f".{good.name}-")] == []
    whole = good / missing.name
    monkeypatch.setattr("jgo.maven._core.Artifact.resolve", lambda self: self_made(tmp_path, whole.read_bytes()))
    class_path(cache)
    assert missing.read_bytes() == whole.read_bytes()


def self_made(folder: Path, content: bytes) -> Path:
    made = folder / "downloaded.jar"
    made.write_bytes(content)
    return made


def raise_unreachable() -> Path:
    raise RuntimeError("no route")


def test_a_full_or_forbidden_disk_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "server.properties").symlink_to("/dev/full")
    with pytest.raises(ServerStartError, match=f"no space left on the disk of {tmp_path}; free some, or choose another"):
        EmbeddedKafka(tmp_path).start()
    with pytest.raises(ServerStartError, match="Kafka cannot use its data folder: /dev/full/data: Not a directory"):
        EmbeddedKafka(Path("/dev/full/data")).start()
