"""Kafka and Triton as containers, where a Docker engine answers. Knows what the embedded ones know, not how they are watched.

Host networking, so that addresses and files are as with the embedded servers. A container that ends is restarted by Docker;
testcontainers' own reaper removes them if we are killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streams.workbench.kafka_properties import as_environment, broker_properties
from streams.workbench.named import check_kafka, check_triton
from streams.workbench.processes import ServerStartError, clear_errors, free_ports

KAFKA_IMAGE = "apache/kafka:4.3.1"
TRITON_IMAGE = "nvcr.io/nvidia/tritonserver:24.10-py3"


class DockerServer:
    """One container. `address` is where its clients reach it; its files belong to the user who starts it."""

    def __init__(self, container: Any, address: str, check: Callable[[str], None], timeout_s: float = 180.0) -> None:
        self._container = container
        self.address = address
        self._check = check
        self.timeout_s = timeout_s

    @property
    def pid(self) -> int | None:
        """As the host sees it; None where it cannot be told."""
        found = self._state().get("Pid")
        return int(found) if found else None

    def launch(self) -> None:
        """Pulls the image if it is not there. Raises ServerStartError."""
        from docker.errors import DockerException

        try:
            self._container.start()
        except DockerException as error:
            raise ServerStartError(f"Docker cannot start {self._container.image}: {str(error).splitlines()[0]}") from error

    def wait_ready(self) -> None:
        """Raises ServerStartError with the last lines of the container's log."""
        end = time.monotonic() + self.timeout_s
        while True:
            try:
                self._check(self.address)
                return
            except ServerStartError as error:
                if time.monotonic() > end:
                    log = self._container.get_wrapped_container().logs(tail=3).decode(errors="replace")
                    raise ServerStartError(f"{error}; its log ends: {' '.join(log.split())[:400]}") from error

    def trouble(self) -> str | None:
        return None  # Docker restarts it

    def stop(self) -> None:
        if self._container.get_wrapped_container() is not None:
            self._container.stop()

    def kill(self) -> None:
        if (wrapped := self._container.get_wrapped_container()) is not None:
            wrapped.kill()

    def _state(self) -> dict[str, Any]:
        wrapped = self._container.get_wrapped_container()
        if wrapped is None:
            return {}
        wrapped.reload()
        return dict(wrapped.attrs.get("State", {}))


def check_docker() -> None:
    """Raises ServerStartError where no Docker engine answers."""
    import docker
    from docker.errors import DockerException

    try:
        docker.from_env(timeout=5).ping()
    except DockerException as error:
        reason = str(error).splitlines()[0][:200]
        raise ServerStartError(f"Docker does not answer ({reason}): start it, or use --servers embedded") from error


def docker_kafka(data: Path, port: int = 0) -> DockerServer:
    fresh, controller = free_ports(2)
    port = port or fresh
    _make(data)
    container = _container(KAFKA_IMAGE).with_volume_mapping(str(data.resolve()), "/data", "rw")
    container.with_envs(
        CLUSTER_ID="dmVyZGljdGxpbmUtMDAwMQ", **as_environment(broker_properties(port, controller, Path("/data/log")))
    )
    return DockerServer(container, f"127.0.0.1:{port}", lambda address: check_kafka(address, {}))


def docker_triton(store: Path, port: int = 0) -> DockerServer:
    fresh, http, metrics = free_ports(3)
    port = port or fresh
    _make(store)
    ports = [f"--grpc-port={port}", f"--http-port={http}", f"--metrics-port={metrics}"]
    control = ["--model-control-mode=explicit", "--strict-readiness=false", "--exit-on-error=false"]
    load = ["--load-model=*"] if any(store.glob("*/config.pbtxt")) else []
    command = ["tritonserver", "--model-repository=/models", "--disable-auto-complete-config", *control, *load, *ports]
    container = _container(TRITON_IMAGE, shm_size="1g").with_volume_mapping(str(store.resolve()), "/models", "ro")
    return DockerServer(container.with_command(command), f"127.0.0.1:{port}", check_triton)


def _container(image: str, **more: Any) -> Any:
    from testcontainers.core.container import DockerContainer

    owner = f"{os.getuid()}:{os.getgid()}"
    restart = {"Name": "on-failure", "MaximumRetryCount": 100}
    return DockerContainer(image).with_kwargs(network_mode="host", user=owner, restart_policy=restart, **more)


def _make(folder: Path) -> None:
    with clear_errors("the containers' folder cannot be made", folder):
        folder.mkdir(parents=True, exist_ok=True)
