"""The table of topics on a real broker: made, compared, repaired; and one partitioner for every client."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from typer.testing import CliRunner

from schemas.envelope import Record
from schemas.topics import TOPICS, Topic
from streams.__main__ import application
from streams.wiring.adapters.kafka import KafkaUnreachable, Writer, ends, partitions
from streams.wiring.adapters.topics import apply_topics, check_topics, driver_partitions
from streams.wiring.commands.topics import STATIONS, disagreements
from tests.helpers.servers import SharedKafka

pytestmark = pytest.mark.kafka


def table(kafka: SharedKafka) -> tuple[Topic, ...]:
    """The real one under names of its own: one of each kind."""
    kinds = {(t.cleanup, t.by_station, t.max_bytes, t.segment_bytes): t for t in TOPICS}
    return tuple(replace(t, name=kafka.fresh(t.name)) for t in kinds.values())


def test_applied_twice_is_as_the_table_says(kafka: SharedKafka) -> None:
    client, own = {"bootstrap.servers": kafka.bootstrap}, table(kafka)
    assert {d.topic for d in check_topics(client, table=own)} == {t.name for t in own}
    first = apply_topics(client, 3, table=own)
    assert (set(first.made), first.changed, first.left) == ({t.name for t in own}, (), ())
    again = apply_topics(client, 3, table=own)
    assert (again.made, again.changed, again.left) == ((), (), ())
    assert partitions(client, [t.name for t in own]) == {t.name: 3 if t.by_station else 1 for t in own}
    assert check_topics(client, 3, table=own) == ()


def test_a_setting_that_somebody_changed_is_named_and_set_again(kafka: SharedKafka) -> None:
    client, own = {"bootstrap.servers": kafka.bootstrap}, table(kafka)
    apply_topics(client, table=own)
    entry = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, own[0].name, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})  # kept: its futures die with it
    admin.incremental_alter_configs([resource])[resource].result(10)
    (found,) = check_topics(client, table=own)
    assert (found.topic, found.what, found.found, found.wanted) == (
        own[0].name,
        "message.timestamp.type",
        "CreateTime",
        "LogAppendTime",
    )
    apply_topics(client, table=own)
    assert check_topics(client, table=own) == ()


def test_partitions_are_added_only_while_nothing_was_written(kafka: SharedKafka) -> None:
    client, own = {"bootstrap.servers": kafka.bootstrap}, [t for t in table(kafka) if t.by_station][:2]
    apply_topics(client, 2, table=own)
    grown = apply_topics(client, 4, table=own)
    assert (len(grown.changed), grown.left) == (2, ())
    writer = Writer(client)
    writer.send(Record(topic=own[0].name, key=b"a/b/c", value=b"1"))
    writer.flush()
    held = apply_topics(client, 6, table=own)
    assert held.changed == ()
    assert {(d.topic, d.what, d.found, d.wanted) for d in held.left} == {(t.name, "partitions", "4", "6") for t in own}
    assert set(partitions(client, [t.name for t in own]).values()) == {4}


def test_every_client_puts_a_station_into_the_same_partition(kafka: SharedKafka) -> None:
    client, name = {"bootstrap.servers": kafka.bootstrap}, kafka.fresh("stations")
    apply_topics(client, table=[Topic(name=name, key="station", partitions=7)])
    assert disagreements(client, name) == []
    assert sum(ends(client, [name]).values()) == 0, "the comparison must send nothing"
    told = driver_partitions(client, name, STATIONS[:50])
    writer = Writer(client)
    for station in STATIONS[:50]:
        writer.send(Record(topic=name, key=station.encode(), value=b"1"))
    writer.flush()
    counts = [list(told.values()).count(n) for n in range(7)]
    assert [ends(client, [name])[name, n] for n in range(7)] == counts
    default = driver_partitions({**client, "partitioner": "consistent_random"}, name, STATIONS)
    assert default != driver_partitions(client, name, STATIONS), "the test could not tell another partitioner"


def test_command_line(kafka: SharedKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERDICTLINE_KAFKA", kafka.bootstrap)
    applied = CliRunner().invoke(application(["topics"]), ["topics", "apply", "--json"])
    assert applied.exit_code == 0, applied.output
    checked = CliRunner().invoke(application(["topics"]), ["topics", "check", "--json"])
    assert json.loads(checked.stdout) == {"differences": [], "partitioner_differs": []}
    other = CliRunner().invoke(application(["topics"]), ["topics", "check", "--partitions", "5"])
    assert other.exit_code == 1
    assert "verdict.v1: partitions 8, wanted 5: give --partitions 8" in other.output


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KafkaUnreachable, match=r"127\.0\.0\.1:1"):
        check_topics({"bootstrap.servers": "127.0.0.1:1"}, timeout_s=1)
    monkeypatch.delenv("VERDICTLINE_KAFKA", raising=False)
    unnamed = CliRunner().invoke(application(["topics"]), ["topics", "check"])
    assert (unnamed.exit_code, unnamed.output.count("\n")) == (1, 1)
    assert "VERDICTLINE_KAFKA" in unnamed.output
