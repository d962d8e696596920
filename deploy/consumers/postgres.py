# /// script
# requires-python = ">=3.11"
# dependencies = ["confluent-kafka==2.16.1", "pg8000==1.31.6"]
# ///
"""Verdicts and SPC into PostgreSQL: verdict.v1 and spc.v1 in, rows out. Uses nothing but the published contract.

Tables and views stand in schema.sql beside it. A row is added once and never changed: the key is what makes an event the same
(inspection and revision, subgroup and revision, the event's id), so a repeat changes nothing and the order does not matter;
views take the highest revision. A batch of records is one transaction; offsets are committed after it. While the database is
away the same records are tried again; what it refuses (a missing right, another schema) ends the program with its message.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import logging
import os
import random
import signal
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pg8000.native
from confluent_kafka import Consumer, KafkaException, TopicPartition
from pg8000.exceptions import DatabaseError, InterfaceError

AWAY = ("08", "25006", "40", "53", "55P03", "57", "58")  # SQLSTATE: connection, standby, serialisation, resources, shut down
INSERT = """INSERT INTO verdictline.{0} SELECT * FROM
jsonb_populate_recordset(NULL::verdictline.{0}, CAST(:rows AS jsonb)) ON CONFLICT DO NOTHING"""
log = logging.getLogger("postgres")
Row = tuple[str, dict[str, Any]]  # table, columns


class Away(Exception):
    """The database cannot be reached, or cannot write now."""


def verdict(_: str, data: dict[str, Any]) -> Row:
    """Raises KeyError, TypeError or ValueError where a column has no value that fits."""
    for name in ("inspection", "station", "product", "purpose", "disposition", "decided_by"):
        data[name] + ""
    for name in ("announced_at", "decided_at"):
        datetime.fromisoformat(data[name])
    told = {"late": False, "audit": False, **data, "visit": number(data.get("visit", 1)), "revision": number(data["revision"])}
    return "verdict", storable({**told, "reasons": data["reasons"], "body": data})


def subgroup(_: str, data: dict[str, Any]) -> Row:
    for name in ("start", "end"):
        datetime.fromisoformat(data[name])
    counted = {name: number(data[name]) for name in ("revision", "n", "nonconforming")}
    told = {"defects": {}, **data, **counted}
    return "subgroup", storable({**told, "counts": data["counts"], "body": data})


def limits(key: str, data: dict[str, Any]) -> Row:
    at = datetime.fromisoformat(data["provenance"]["at"]).isoformat()
    return "limits", storable({**data, "id": key, "at": at, "center": float(data["center"]), "body": data})


def spc_signal(key: str, data: dict[str, Any]) -> Row:
    at = datetime.fromisoformat(data["at"]).isoformat()
    told = {"software_change_in_stage": False, **data, "revision": number(data["revision"]), "value": float(data["value"])}
    return "signal", storable({**told, "id": key, "at": at, "body": data})


def number(value: Any) -> int:
    """Raises ValueError where it does not fit a column."""
    if not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError(f"{value!r} is no number from 0 to 2147483647")
    return value


def storable(value: Any) -> Any:
    """Without what PostgreSQL's text cannot hold: U+0000 and halves of surrogate pairs become U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    if isinstance(value, list):
        return [storable(one) for one in value]
    return {storable(key): storable(one) for key, one in value.items()} if isinstance(value, dict) else value


class Database:
    """One connection, made anew after every fault. url: postgresql://user@host:port/database, ?host=/folder for a socket."""

    def __init__(self, url: str, schema: Path | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        host, port = query.get("host", parts.hostname or "localhost"), parts.port or 5432
        self._place: dict[str, Any] = {"host": host, "port": port}
        if host.startswith("/"):
            self._place = {"unix_sock": f"{host}/.s.PGSQL.{port}"}
        self._place |= {"user": unquote(parts.username or "postgres"), "database": parts.path.lstrip("/"), "timeout": timeout_s}
        self._place["password"] = unquote(parts.password or "") or os.environ.get("PGPASSWORD")
        if query.get("sslmode") in ("require", "verify-ca", "verify-full"):
            self._place["ssl_context"] = ssl.create_default_context(cafile=query.get("sslrootcert"))
        self._schema = schema
        self._connection: pg8000.native.Connection | None = None

    def store(self, rows: list[Row]) -> None:
        """All or none. Raises Away; SystemExit with the server's words where it refuses."""
        try:
            connection = self._connection or self._connect()
            connection.run("BEGIN")
            for table in sorted({table for table, _ in rows}):
                values = [columns for name, columns in rows if name == table]
                connection.run(INSERT.format(table), rows=json.dumps(values))
            connection.run("COMMIT")
        except (InterfaceError, OSError) as error:
            self.close()
            raise Away(f"{error} {error.__cause__ or ''}") from error
        except DatabaseError as error:
            self.close()
            facts = error.args[0] if error.args and isinstance(error.args[0], dict) else {"M": str(error)}
            if str(facts.get("C", "")).startswith(AWAY):
                raise Away(facts.get("M")) from error
            raise SystemExit(f"PostgreSQL refuses: {facts.get('M')} ({facts.get('C')}) {facts.get('D', '')}") from error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(InterfaceError, OSError):
                connection.close()

    def _connect(self) -> pg8000.native.Connection:
        connection = self._connection = pg8000.native.Connection(**self._place, application_name="verdictline")
        if self._schema is not None:
            connection.run(self._schema.read_text())
            self._schema = None
        log.info("connected")
        return connection


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
    made = arguments(__doc__ or "", ["verdict.v1", "spc.v1"], backoff_s=30)
    made.add_argument("--database", required=True, help="postgresql://user@host:port/database; password: environment PGPASSWORD")
    made.add_argument("--schema", type=Path, default=Path(__file__).with_name("schema.sql"), help="run at the start")
    made.add_argument("--no-schema", action="store_true", help="tables and views are there, and not ours to make")
    made.add_argument("--timeout-s", type=float, default=30, help="for each answer of the database")
    options = made.parse_args()
    database = Database(options.database, None if options.no_schema else options.schema, options.timeout_s)
    kinds = {"verdict.verdict": verdict, "spc.subgroup": subgroup, "spc.limits": limits, "spc.signal": spc_signal}
    try:
        return Loop(options, {f"verdictline.{kind}.v1": read for kind, read in kinds.items()}).run(database.store, (Away,))
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(main())
