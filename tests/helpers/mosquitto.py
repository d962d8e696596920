"""A real MQTT 5 broker on loopback, and a gate that listens to it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from streams.workbench.processes import die_with_parent, free_ports
from tests.helpers.wait import wait_until


def mosquitto() -> str:
    """Its path. Skips the test where it is not installed; `.ci/run` installs it."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    return found or pytest.skip("no mosquitto: `apt install mosquitto` (Debian, Ubuntu) brings an MQTT 5 broker")


class Mosquitto:
    """address: host:port, the same after a restart. Sessions and queued messages are kept in its folder."""

    def __init__(self, folder: Path) -> None:
        self._binary = mosquitto()
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        self._config = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "persistence true", f"persistence_location {folder}/"]
        self._config.write_text("\n".join([*lines, *(["user root"] if os.geteuid() == 0 else [])]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self._log.open("ab") as out:
            command = [self._binary, "-c", str(self._config)]
            self._process = subprocess.Popen(command, stdout=out, stderr=out, preexec_fn=die_with_parent)
        wait_until(self._answers, 10, f"mosquitto: {self._log.read_text()}")
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


class Listener:
    """A gate's controller: a session that the broker keeps. heard: what was said to it, in order, copies too."""

    def __init__(self, broker: Mosquitto, topic: str, name: str) -> None:
        self.heard: list[dict[str, Any]] = []
        self.retained = 0
        self._broker, self._topic, self._name, self._ready = broker, topic, name, 0
        self._client: mqtt.Client | None = None

    def connect(self) -> Self:
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self._name, protocol=mqtt.MQTTv5)
        client.on_message = self._on_message
        client.on_connect = lambda client, *_: client.subscribe(self._topic, qos=1)
        client.on_subscribe = self._on_subscribe
        client.reconnect_delay_set(1, 1)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 3600
        before = self._ready
        client.connect("127.0.0.1", self._broker.port, clean_start=False, properties=properties)
        client.loop_start()
        wait_until(lambda: self._ready > before, 10, "the subscription")
        return self

    def disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def actions(self, *fields: str) -> list[tuple[Any, ...]]:
        return [tuple(one[name] for name in fields) for one in self.heard]

    def _on_subscribe(self, *_: object) -> None:
        self._ready += 1

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        self.retained += message.retain
        self.heard.append(json.loads(message.payload))
