# /// script
# requires-python = ">=3.11"
# dependencies = ["confluent-kafka==2.16.1", "paho-mqtt==2.2.0"]
# ///
"""Verdicts to the gate of a line: verdict.v1 in, JSON over MQTT 5 out. Uses nothing but the published contract.

Fails closed. A gate stays shut until it is told `release`, so holding needs no message and a lost one holds the part. A release
goes out only for a pass of a purpose that may leave the line, before the gate's own time (gate_time, or decided_at +
--valid-s where the line tells none; with neither it is a hold). It carries `expires_at`, which the gate must check; the broker
drops it too (MQTT 5 message expiry), but counts whole seconds and may be two late. Nothing is retained: a retained release
would be given to whoever subscribes next, for another part. Nor does this program's own session outlive a connection: what was
not acknowledged is decided again, with the time it has become, and a release that came too late is sent as a hold.

Topic: PREFIX/site/line/station, QoS 1. A gate subscribes with a session of its own that persists, takes the highest revision
of an inspection and ignores what it has seen. Delivery is at least once: offsets are committed after the broker's PUBACK.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import os
import random
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from confluent_kafka import Consumer, KafkaException, TopicPartition
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

VERDICT = "verdictline.verdict.verdict.v1"
ACTIONS = {"pass": "release", "rework": "reject", "scrap": "reject", "review": "hold", "no_verdict": "hold"}
COPIED = ("inspection", "revision", "station", "product", "lot", "serial", "visit", "purpose", "disposition", "label", "late")
STATION = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+){2}")
log = logging.getLogger("mqtt")


def instruction(verdict: dict[str, Any], now: datetime, options: argparse.Namespace) -> dict[str, Any] | None:
    """What the gate is told, None where no part stands there (a challenge image that the gateway handed in)."""
    if (verdict.get("challenge") or {}).get("proof") == "digital":
        return None
    action, why = ACTIONS[verdict["disposition"]], verdict["disposition"]
    expires = _expires(verdict, options.valid_s)
    if action == "release":
        if verdict["purpose"] not in options.release:
            action, why = "hold", f"purpose {verdict['purpose']}"
        elif expires is None:
            action, why = "hold", "no gate_time and no --valid-s"
        elif now + timedelta(seconds=options.margin_s) >= expires:
            action, why = "hold", "too late to release"
    told = {name: verdict[name] for name in COPIED if verdict.get(name) is not None}
    return {
        "id": f"{verdict['inspection']}/{verdict['revision']}",
        "action": action,
        "why": why,
        **told,
        "gate_time": verdict.get("gate_time"),
        "expires_at": _rfc3339(expires) if action == "release" and expires else None,
        "decided_at": verdict["decided_at"],
        "sent_at": _rfc3339(now),
    }


def checked(options: argparse.Namespace, verdict: dict[str, Any]) -> dict[str, Any]:
    """The verdict itself. Raises KeyError, TypeError or ValueError where nothing can be told of it."""
    instruction(verdict, datetime.now(UTC), options)
    if not STATION.fullmatch(verdict["station"]):
        raise ValueError(f"{verdict['station']!r} is no station, and no level of a topic")
    return verdict


def _expires(verdict: dict[str, Any], valid_s: float | None) -> datetime | None:
    if gate := verdict.get("gate_time"):
        return datetime.fromisoformat(gate)
    return None if valid_s is None else datetime.fromisoformat(verdict["decided_at"]) + timedelta(seconds=valid_s)


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Gate:
    """The connection to the broker. Each connection is a new client: one that reconnected would resend what has expired."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._client: mqtt.Client | None = None

    def tell(self, verdicts: list[dict[str, Any]]) -> None:
        """Returns when the broker has all of them. Raises OSError, with nothing left to be sent behind our back."""
        try:
            client = self._client if self._client and self._client.is_connected() else self.connect()
            pending = [sent for sent in (self._publish(client, verdict) for verdict in verdicts) if sent]
            for sent in pending:
                sent.wait_for_publish(self._options.timeout_s)
                if not sent.is_published():
                    raise OSError(f"no PUBACK within {self._options.timeout_s} s")
        except (OSError, RuntimeError, ValueError) as error:
            self.close()
            raise OSError(str(error)) from error

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def connect(self) -> mqtt.Client:
        options, ready = self._options, threading.Event()
        self.close()
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=options.client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        client.on_connect = lambda _client, _data, _flags, code, _more: ready.set() if not code.is_failure else None
        client.max_inflight_messages_set(100)
        if options.user:
            client.username_pw_set(options.user, os.environ.get("MQTT_PASSWORD"))
        if options.tls:
            client.tls_set(ca_certs=options.tls)
        self._client = client
        host, _, port = options.broker.partition(":")
        client.connect(host, int(port or 1883), keepalive=10, clean_start=True)
        client.loop_start()
        if not ready.wait(options.timeout_s):
            raise OSError(f"{options.broker} does not accept the connection")
        log.info("connected to %s", options.broker)
        return client

    def _publish(self, client: mqtt.Client, verdict: dict[str, Any]) -> mqtt.MQTTMessageInfo | None:
        now = datetime.now(UTC)
        told = instruction(verdict, now, self._options)
        if told is None:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if told["expires_at"]:
            left_s = (datetime.fromisoformat(told["expires_at"]) - now).total_seconds()
            properties.MessageExpiryInterval = max(1, int(left_s))
        topic = f"{self._options.prefix}/{told['station']}"
        return client.publish(topic, json.dumps(told), qos=1, retain=False, properties=properties)


# --- the loop: the same text in every program of this folder ---------------------------------------------------------
class Unreadable(Exception):
    """A record that breaks the contract, or is newer than this program."""


class Loop:
    """Reads events, has them done, then commits: at least once. The ids of the last events are remembered: copies are left out.

    handled: type -> what makes of an id and its data what `effect` takes. effect: does a list of them; raises one of `away`
    where its target cannot be reached: then the same records are read again, for as long as it takes. A foreign type is counted.
    Data that cannot be read, and another version of a handled type, end the program or go to the folder --park.
    """

    def __init__(self, options: argparse.Namespace, handled: dict[str, Callable[[str, Any], Any]]) -> None:
        self._options, self._handled = options, handled
        self._stems = {kind.rpartition(".")[0] for kind in handled}
        self._stopping, self._counts, self._seen = threading.Event(), Counter[str](), dict[str, None]()
        settings = {"bootstrap.servers": options.kafka, "group.id": options.group, "auto.offset.reset": "earliest"}
        settings |= {"session.timeout.ms": "6000", "log_level": "2"}  # after a crash its partitions move on so much later
        settings |= {"reconnect.backoff.ms": "500", "reconnect.backoff.max.ms": "5000"}
        settings |= dict(pair.split("=", 1) for pair in options.client)
        self._fatal: KafkaException | None = None
        self._said = -60.0  # when it was last told that Kafka is away
        fixed = {"enable.auto.commit": False, "isolation.level": "read_committed", "error_cb": self._say}
        self._consumer = Consumer({**settings, **fixed})
        self._consumer.subscribe(options.topic)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())

    def run(self, effect: Callable[[list[Any]], None], away: tuple[type[Exception], ...]) -> int:
        """Until SIGTERM or SIGINT, which let what is in hand be finished. The exit code: 0, 65 for what cannot be read."""
        wait_s = self._options.backoff_s / 64
        try:
            while not self._stopping.is_set():
                batch = self._fetch()
                read = [self._read(message) for message in batch]
                events = {key: value for key, value in read if key is not None and key not in self._seen}
                try:
                    if events:
                        effect(list(events.values()))
                except away as error:
                    log.warning("not done, again in %.1f s: %s", wait_s, error)
                    self._rewind(batch)
                    self._stopping.wait(wait_s * random.uniform(0.5, 1))
                    wait_s = min(2 * wait_s, self._options.backoff_s)
                else:
                    wait_s = self._options.backoff_s / 64
                    self._done(batch, read, events)
        except Unreadable as error:
            log.error("%s. --park FOLDER puts such records aside", error)
            return 65
        finally:
            self._consumer.close()
            log.info("ended: %s", ", ".join(f"{name} {n}" for name, n in sorted(self._counts.items())) or "nothing read")
        return 0

    def _say(self, error: Any) -> None:
        """At most once a minute: the driver says the same with each attempt."""
        if error.fatal():
            self._fatal = KafkaException(error)
        if error.fatal() or time.monotonic() - self._said > 60:
            self._said = time.monotonic()
            log.warning("Kafka: %s", error.str())

    def _fetch(self) -> list[Any]:
        """The first record as soon as it is there, and what has come with it."""
        first = self._consumer.poll(0.5)
        messages = [] if first is None else [first, *self._consumer.consume(499, 0)]
        for error in filter(None, (message.error() for message in messages)):
            self._say(error)
        if self._fatal is not None:
            raise self._fatal
        return [message for message in messages if message.error() is None]

    def _read(self, message: Any) -> tuple[str | None, Any]:
        """(ce_id, what `handled` made of the data), or (None, what became of it)."""
        try:
            headers = {name: value.decode() for name, value in message.headers() or ()}
            kind, key = headers["ce_type"], headers["ce_id"]
            if kind in self._handled:
                return key, self._handled[kind](key, json.loads(message.value()))
            if kind.rpartition(".")[0] in self._stems:
                raise ValueError(f"{kind}: this program knows {', '.join(self._handled)}")
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            return None, self._park(message, f"{type(error).__name__}: {error}")
        return None, "ignored"

    def _park(self, message: Any, why: str) -> str:
        where = f"{message.topic()}-{message.partition()}-{message.offset()}"
        if self._options.park is None:
            raise Unreadable(f"{where} cannot be read: {why}")
        log.error("%s is put aside: %s", where, why)
        headers = {name: (value or b"").decode(errors="replace") for name, value in message.headers() or ()}
        kept = {"why": why, "headers": headers, "value_base64": base64.b64encode(message.value() or b"").decode()}
        write_safely(self._options.park / f"{where}.json", json.dumps(kept, indent=1).encode())
        return "parked"

    def _rewind(self, batch: list[Any]) -> None:
        for (topic, partition), offset in {(m.topic(), m.partition()): m.offset() for m in reversed(batch)}.items():
            try:
                self._consumer.seek(TopicPartition(topic, partition, offset))
            except KafkaException as error:  # no longer ours: its new owner begins where we committed
                log.info("seek: %s", error)

    def _done(self, batch: list[Any], read: list[tuple[str | None, Any]], events: dict[str, Any]) -> None:
        keys = [key for key, _ in read if key is not None]
        self._counts.update(word for key, word in read if key is None)
        self._counts.update({"events": len(events), "copies": len(keys) - len(events)})
        self._seen.update(dict.fromkeys(events))
        for old in list(self._seen)[:-20_000]:
            del self._seen[old]
        after = {(m.topic(), m.partition()): m.offset() + 1 for m in batch}
        try:
            if after:
                self._consumer.commit(
                    offsets=[TopicPartition(*place, offset) for place, offset in after.items()], asynchronous=False
                )
        except KafkaException as error:  # done, but not noted: it may come again
            log.warning("commit: %s", error)


def write_safely(path: Path, data: bytes) -> None:
    """The whole file or none of it, on the disk when this returns. A repeat leaves the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    with draft.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def arguments(text: str, topics: list[str], backoff_s: float) -> argparse.ArgumentParser:
    """The options that every program of this folder has."""
    made = argparse.ArgumentParser(description=text.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("--kafka", required=True, metavar="HOST:PORT", help="bootstrap servers")
    made.add_argument("--group", required=True, help="consumer group: offsets are kept under this name")
    made.add_argument("--topic", nargs="+", default=topics, help="other names where a mirror has renamed them")
    made.add_argument("--client", action="append", default=[], metavar="KEY=VALUE", help="more settings of librdkafka")
    made.add_argument("--park", type=Path, metavar="FOLDER", help="put records that cannot be read here and go on")
    made.add_argument("--backoff-s", type=float, default=backoff_s, help="longest wait before another try")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    return made


# --- end of the loop --------------------------------------------------------------------------------------------------
def main() -> int:
    made = arguments(__doc__ or "", ["verdict.v1"], backoff_s=2)
    made.add_argument("--broker", required=True, metavar="HOST[:PORT]", help="MQTT 5 broker")
    made.add_argument("--prefix", default="verdictline/gate", help="first levels of the topic")
    made.add_argument(
        "--valid-s", type=float, help="where the line tells no gate_time a release is valid so long after the verdict"
    )
    made.add_argument("--margin-s", type=float, default=0.05, help="a release must have so much time left")
    leaving = ["production", "rework", "reinspection"]
    made.add_argument("--release", nargs="+", default=leaving, metavar="PURPOSE", help="purposes that a pass may release")
    made.add_argument("--client-id", default="", help="of the MQTT client; empty: the broker chooses one")
    made.add_argument("--user", help="its password stands in the environment: MQTT_PASSWORD")
    made.add_argument("--tls", metavar="CA.PEM", help="encrypt, and trust this authority")
    made.add_argument("--timeout-s", type=float, default=5, help="for the connection and for each PUBACK")
    options = made.parse_args()
    gate = Gate(options)
    try:
        gate.connect()  # before there is something to say; the first verdict tries again
    except OSError as error:
        log.warning("%s", error)
    try:
        return Loop(options, {VERDICT: lambda _, data: checked(options, data)}).run(gate.tell, (OSError,))
    finally:
        gate.close()


if __name__ == "__main__":
    sys.exit(main())
