"""`verdictline up`: its servers come back at the same addresses after kill -9, with their data, and never outlive it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from streams.workbench.processes import ServerStartError
from streams.workbench.servers import Servers
from streams.workbench.triton import EmbeddedTriton
from tests.helpers.models import put_model
from tests.helpers.wait import wait_until

UP = "import typer; from streams.wiring.commands.up import up; app = typer.Typer(); app.command()(up); app()"
pytestmark = [pytest.mark.kafka, pytest.mark.triton, pytest.mark.faults]


@contextmanager
def up(state: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command in a process of its own, with what it told; killed in the end if it is still there."""
    command = [sys.executable, "-c", UP, "--state", str(state), "--json", *more]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VERDICTLINE_") or key.endswith("CACHE")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        with process.stdout as told:
            yield process, json.loads(told.readline())
    finally:
        process.kill()
        process.wait()


def refused(state: Path, *more: str, **environment: str) -> str:
    """The one line of a start that fails."""
    command = [sys.executable, "-c", UP, "--state", str(state), *more]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=60)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.strip().splitlines()
    return line


def children(process: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    found = psutil.Process(process.pid).children(recursive=True)
    return {child.name(): child for child in found}


def topics(address: str) -> set[str]:
    try:
        return set(AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=1).topics)
    except KafkaException:
        return set()


def serves(address: str) -> bool:
    try:
        with InferenceServerClient(address) as client:
            return bool(client.is_model_ready("one", client_timeout=2))
    except InferenceServerException:
        return False


def test_servers_come_back_where_they_were_and_never_outlive_their_parent(tmp_path: Path) -> None:
    state = tmp_path / "state"
    put_model(state / "models", "one", {1: 2.0})
    with up(state) as (process, told):
        admin = AdminClient({"bootstrap.servers": told["kafka"], "log_level": 0})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
        assert f"{state} is in use by another verdictline" in refused(state)

        first = children(process)
        first["java"].kill()
        first["tritonserver"].kill()
        first["java"].wait(20)
        wait_until(lambda: "kept" in topics(told["kafka"]), 40, "Kafka again, at the same address")
        wait_until(lambda: serves(told["triton"]), 40, "Triton again, at the same address")

        last = [*children(process).values()]
        assert len(last) >= 3  # java, tritonserver, a stub
        temporary = set(os.listdir("/tmp"))
        process.kill()
        _, alive = psutil.wait_procs(last, timeout=40)
        assert alive == []
        prefix = EmbeddedTriton(state / "models").prefix
        assert [name for name in os.listdir("/dev/shm") if name.startswith(prefix)] == []
        assert [name for name in set(os.listdir("/tmp")) - temporary if "kafka" in name or "triton" in name] == []

    with up(state) as (process, told):
        assert "kept" in topics(told["kafka"])
        with up(tmp_path / "other") as (other, beside):  # two side by side do not disturb each other
            assert "kept" not in topics(beside["kafka"])
            other.send_signal(signal.SIGINT)
            assert other.wait(40) == 0
        assert "kept" in topics(told["kafka"])
        last = [*children(process).values()]
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    assert not any(child.is_running() for child in last)


def test_a_start_that_cannot_succeed_says_why_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        line = refused(tmp_path / "a", "--kafka-port", str(port))
        assert line == f"verdictline up: port {port} is taken: stop what uses it, or choose another for Kafka"
        nobody = f"127.0.0.1:{port}"
        assert f"Triton at {nobody} does not answer" in refused(tmp_path / "b", VERDICTLINE_TRITON=nobody)
    assert "Docker does not answer" in refused(tmp_path / "c", "--servers", "docker", DOCKER_HOST="unix:///nowhere/docker.sock")
    (tmp_path / "file").write_text("not a folder")
    assert "cannot use the state folder" in refused(tmp_path / "file")
    assert not (tmp_path / "b").exists()
    assert not (tmp_path / "c").exists()


def test_named_servers_are_used_and_nothing_is_started(tmp_path: Path) -> None:
    with pytest.raises(ServerStartError, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
        Servers(tmp_path / "state", kafka="127.0.0.1:1", triton="127.0.0.1:1").start()
    assert not (tmp_path / "state").exists()
