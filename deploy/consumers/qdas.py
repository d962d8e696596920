# /// script
# requires-python = ">=3.11"
# dependencies = ["confluent-kafka==2.16.1", "tzdata==2026.6"]
# ///
"""SPC into Q-DAS (DFQ) and everything into CSV: spc.v1 and verdict.v1 in, files out. Uses nothing but the published contract.

OUT/dfq/site/line/station/PRODUCT.SERIES.STAGE.NUMBER.rREVISION.dfq   one a subgroup; a newer revision removes the older file
OUT/subgroups/site/line/station/YYYY-MM-DD.csv                        one row a subgroup, its highest revision; day of its start
OUT/verdicts/site/line/station/YYYY-MM-DDTHH.csv                      one row a verdict, all revisions; hour of the announcement

A file is whole or not there, and a repeat leaves the same bytes; offsets are committed when the files are on the disk.

DFQ is the Q-DAS ASCII transfer format: K-fields, then lines of values, characteristics split by 0x0F and fields by 0x14.
Meaning and length of the fields as published by Hexagon: "Q-DAS ASCII Transfer Format" V12, "Supported K-Fields" of the Q-DAS
Configurator, and "Defined contents K00xx" (K0002: 0 valid, 256 deleted when read; K0004: dd.mm.yyyy/hh:mm:ss, local; K0080:
the same for all values of a subgroup). An attribute's subgroup size K0020 is written in thousandths, as the readers
diribet/aqdef-tools and aqdefreader expect.
"""

from __future__ import annotations

import argparse
import base64
import csv
import fcntl
import hashlib
import io
import json
import logging
import os
import random
import re
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from confluent_kafka import Consumer, KafkaException, TopicPartition

SI, DC4 = "\x0f", "\x14"
VERDICT_COLUMNS = (
    *("inspection", "revision", "station", "product", "lot", "tool", "serial", "visit", "previous", "purpose", "disposition"),
    *("label", "supersedes", "decided_by", "who", "late", "audit", "captured_at", "gate_time", "announced_at", "decided_at"),
    *("reasons", "policy", "model_set"),
)
SUBGROUP_COLUMNS = (
    *("subgroup_id", "revision", "station", "product", "series", "stage_id", "lot", "closed_by", "start", "end"),
    *("n", "nonconforming", "pass", "rework", "scrap", "review", "no_verdict", "defects", "excluded", "measured"),
)
STATION = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+){2}")
log = logging.getLogger("qdas")


class Row(NamedTuple):
    """A line of a CSV file."""

    file: Path
    columns: tuple[str, ...]
    cells: dict[str, str]


class Sheet(NamedTuple):
    """A DFQ file, name without revision."""

    folder: Path
    name: str
    revision: int
    data: bytes


def verdict(out: Path, data: dict[str, Any]) -> list[Row | Sheet]:
    """Raises KeyError, TypeError or ValueError where the contract is broken."""
    hour = f"{_utc(data['announced_at']):%Y-%m-%dT%H}.csv"
    cells = {name: _cell(data.get(name)) for name in VERDICT_COLUMNS}
    cells["reasons"] = ";".join(one["code"] for one in data["reasons"])
    cells["revision"] = str(int(data["revision"]))
    return [Row(out / "verdicts" / _place(data) / hour, VERDICT_COLUMNS, cells)]


def subgroup(out: Path, zone: ZoneInfo, encoding: str, data: dict[str, Any]) -> list[Row | Sheet]:
    """Raises as `verdict`."""
    revision = int(data["revision"])
    cells = {name: _cell(data.get(name)) for name in SUBGROUP_COLUMNS}
    cells |= {name: str(data["counts"].get(name, 0)) for name in ("pass", "rework", "scrap", "review", "no_verdict")}
    cells |= {name: _pairs(data.get(name, {})) for name in ("defects", "excluded")}
    measured = {one["name"]: one["mean"] for one in data.get("characteristics", ()) if one.get("mean") is not None}
    cells["measured"] = _pairs(measured)
    day = out / "subgroups" / _place(data) / f"{_utc(data['start']):%Y-%m-%d}.csv"
    found: list[Row | Sheet] = [Row(day, SUBGROUP_COLUMNS, cells | {"revision": str(revision)})]
    if text := dfq(data, zone):
        parts = data["subgroup_id"].removeprefix(data["station"] + "|").split("|")
        name = ".".join(re.sub(r"[^a-z0-9_-]", lambda c: f"%{ord(c[0]):x}", part) for part in parts)
        name = name if len(name) <= 200 else hashlib.sha256(data["subgroup_id"].encode()).hexdigest()
        found.append(Sheet(out / "dfq" / _place(data), name, revision, text.encode(encoding, "replace")))
    return found


def dfq(data: dict[str, Any], zone: ZoneInfo) -> str:
    """One part, its characteristics, their values; empty where there is no value at all.

    Attribute: nonconforming parts, and a bar a class, of the judged parts; `unreviewed` of all. Measurement: its values, or
    where they are not all published its mean, under another name. Text is cut to the field's length.
    """
    shown = list(_characteristics(data))
    if not any(values for _, _, _, values in shown):
        return ""
    line, station = data["station"].rpartition("/")[::2]
    lines = [f"K0100 {len(shown)}", _field("K1001", data["product"], 30), _field("K1002", data["product"], 80)]
    lines += [_field("K1081", station, 24), _field("K1085", line, 40), _field("K1086", data["series"], 40)]
    lines += [_field("K1900", f"{data['subgroup_id']} revision {data['revision']}", 255)]
    for i, (name, title, unit, values) in enumerate(shown, 1):
        digits = max((-int(Decimal(one[0]).as_tuple().exponent) for one in values), default=0)
        lines += [_field(f"K2001/{i}", _short(name, 20), 20), _field(f"K2002/{i}", title, 80)]
        lines += [f"K2004/{i} {0 if unit else 1}", *([f"K2022/{i} {max(0, digits)}", f"K2142/{i} {unit}"] if unit else [])]
    at = f"{_utc(data['end']).astimezone(zone):%d.%m.%Y/%H:%M:%S}"
    lot = f"#{_plain(data['lot'], 13)}" if data.get("lot") else ""
    extra = DC4.join(["", "0", at, "", lot])  # K0002, K0004, K0005, K0006
    for r in range(max(len(values) for *_, values in shown)):
        cells = [DC4.join(values[r]) + extra if r < len(values) else _deleted(unit) for _, _, unit, values in shown]
        lines += [SI.join(cells), f"K0080/0 {_short(data['subgroup_id'], 64)}", f"K0081/0 {r + 1}"]
    return "".join(line + "\r\n" for line in lines)


def _characteristics(data: dict[str, Any]) -> Iterator[tuple[str, str, str | None, list[tuple[str, ...]]]]:
    """(key, title, unit or None for an attribute, values as they stand before K0002)."""
    judged, waiting = int(data["n"]), int(data["counts"].get("review", 0))

    def counted(bad: int, of: int) -> list[tuple[str, ...]]:
        return [(str(1000 * of), str(bad), "0")] if of else []  # K0020, K0021, and a field that readers skip

    yield "nonconforming", "nonconforming parts", None, counted(int(data["nonconforming"]), judged)
    for label, bad in sorted(data.get("defects", {}).items()):
        of = judged + waiting if label == "unreviewed" else judged
        yield f"class-{label}", f"parts of class {label}", None, counted(int(bad), of)
    for one in data.get("characteristics", ()):
        values: list[tuple[str, ...]] = [(_decimal(value),) for value in one.get("values", ())]
        if len(values) == int(one["n"]):
            yield one["name"], one["name"], one["unit"], values
        elif one.get("mean") is not None:
            yield f"{one['name']}-mean", f"{one['name']}, mean of each subgroup", one["unit"], [(_decimal(one["mean"]),)]


def _deleted(unit: str | None) -> str:
    """No value here: K0002 256."""
    return DC4.join(["0", "256"] if unit else ["0", "0", "0", "256"])


def _field(key: str, text: str, length: int) -> str:
    return f"{key} {_plain(text, length)}"


def _plain(text: str, length: int) -> str:
    """Without control characters: they are what splits fields and lines."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text)[:length]


def _short(name: str, length: int) -> str:
    """The name, or as much as fits of it and of its digest, so that two names stay two."""
    plain = _plain(name, len(name))
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[: min(64, length // 2)]
    return plain if len(plain) <= length else f"{plain[: length - len(digest) - 1]}-{digest}"


def _decimal(value: float) -> str:
    return format(Decimal(repr(float(value))), "f")


def _pairs(values: dict[str, Any]) -> str:
    return ";".join(f"{name}={values[name]}" for name in sorted(values))


def _cell(value: Any) -> str:
    """Text that a spreadsheet would take for a formula gets a ' before it."""
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _place(data: dict[str, Any]) -> str:
    if not STATION.fullmatch(data["station"]):
        raise ValueError(f"{data['station']!r} is no station, and no folder")
    return str(data["station"])


def write(out: Path, batches: list[list[Row | Sheet]]) -> None:
    """Everything on the disk when this returns. Raises OSError; SystemExit for a file that is not ours.

    One process at a time: one that has lost its partitions may still be writing what another has begun.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows: defaultdict[tuple[Path, tuple[str, ...]], list[Row]] = defaultdict(list)
    with (out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for one in (one for batch in batches for one in batch):
            if isinstance(one, Row):
                rows[one.file, one.columns].append(one)
            else:
                write_sheet(one)
        for (file, columns), new in rows.items():
            merge(file, columns, new)


def merge(file: Path, columns: tuple[str, ...], rows: list[Row]) -> None:
    """The file with these rows in it, sorted; of a subgroup only its highest revision, in the file of its day."""
    new = [row.cells for row in rows]
    others = {day: read_csv(day, columns) for day in _neighbours(file)} if columns is SUBGROUP_COLUMNS else {}
    known = {cells[columns[0]]: int(cells["revision"]) for found in others.values() for cells in found}
    new = [cells for cells in new if int(cells["revision"]) >= known.get(cells[columns[0]], 0)]
    found = [*read_csv(file, columns), *new]
    by_key = {(cells[columns[0]], int(cells["revision"])): cells for cells in found}
    if columns is SUBGROUP_COLUMNS:
        highest = dict(sorted(by_key))
        by_key = {(key, highest[key]): by_key[key, highest[key]] for key in highest}
    write_csv(file, columns, [by_key[key] for key in sorted(by_key)])
    gone = {cells[columns[0]] for cells in new}
    for day, there in others.items():
        if any(cells[columns[0]] in gone for cells in there):
            write_csv(day, columns, [cells for cells in there if cells[columns[0]] not in gone])


def _neighbours(file: Path) -> list[Path]:
    """Of a day's file those of the days around: a late part can move the start of a subgroup over midnight."""
    day = datetime.fromisoformat(file.stem)
    return [file.with_name(f"{day + timedelta(days=by):%Y-%m-%d}.csv") for by in (-1, 1)]


def write_csv(file: Path, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    """Without a row there is no file."""
    if not rows:
        file.unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    write_safely(file, text.getvalue().encode("utf-8", "replace"))


def read_csv(file: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as text:
        reader = csv.DictReader(text)
        if tuple(reader.fieldnames or ()) != columns:
            raise SystemExit(f"{file} has other columns than this program writes: move it away")
        return list(reader)


def write_sheet(sheet: Sheet) -> None:
    """Unless a newer revision is there; older ones go when this one is safe."""
    others = {file: int(found[1]) for file in sheet.folder.glob("*.dfq") if (found := _revision(file, sheet.name))}
    if any(revision > sheet.revision for revision in others.values()):
        return
    write_safely(sheet.folder / f"{sheet.name}.r{sheet.revision}.dfq", sheet.data)
    for file in (file for file, revision in others.items() if revision < sheet.revision):
        file.unlink(missing_ok=True)


def _revision(file: Path, name: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(name) + r"\.r([0-9]+)\.dfq", file.name)


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
    made.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where the files go")
    made.add_argument("--zone", type=ZoneInfo, default=ZoneInfo("UTC"), help="time zone of K0004, e.g. Europe/Berlin")
    made.add_argument("--encoding", default="utf-8", help="of DFQ files; what it cannot hold becomes a question mark")
    options = made.parse_args()
    handled: dict[str, Callable[[str, Any], list[Row | Sheet]]] = {
        "verdictline.verdict.verdict.v1": lambda _, data: verdict(options.out, data),
        "verdictline.spc.subgroup.v1": lambda _, data: subgroup(options.out, options.zone, options.encoding, data),
    }
    return Loop(options, handled).run(partial(write, options.out), (OSError,))


if __name__ == "__main__":
    sys.exit(main())
