"""The settings of a single broker that is its own controller (KRaft). Starts nothing."""

from __future__ import annotations

from pathlib import Path

LARGEST_MESSAGE = (9 << 20) + (256 << 10)  # a dead letter of 9 MiB, and what the batch and its headers add


def broker_properties(port: int, controller_port: int, data: Path) -> dict[str, object]:
    """server.properties of a broker that its clients reach at 127.0.0.1:port, with its log under `data`."""
    controller = f"127.0.0.1:{controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": data,
        "num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "auto.create.topics.enable": "false",  # a typing error must fail
        "message.max.bytes": LARGEST_MESSAGE,
        "replica.fetch.max.bytes": LARGEST_MESSAGE,
        "log.cleaner.dedupe.buffer.size": 16 << 20,
        "num.io.threads": 2,  # a few clients on a small machine: more threads only wake each other
        "num.network.threads": 1,
        "transaction.partition.verification.enable": "false",  # our clients add each partition to its transaction themselves
        "broker.session.timeout.ms": 2000,  # after a kill the old registration must expire first; the default is 9 s
        "broker.heartbeat.interval.ms": 500,
    }


def as_file(properties: dict[str, object]) -> str:
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def as_environment(properties: dict[str, object]) -> dict[str, str]:
    """As the container image of Apache Kafka reads them: KAFKA_NODE_ID for node.id."""
    return {f"KAFKA_{key.upper().replace('.', '_')}": str(value) for key, value in properties.items()}
