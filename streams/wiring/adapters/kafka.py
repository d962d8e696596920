"""Kafka for commands and followers: make topics, read them to their ends or follow them, write. Knows no message.

Readers here belong to no group and commit nothing. Engines have their own consumers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Literal

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic

from schemas.envelope import Received, Record
from streams.wiring.driver import Key, again, consumer_config, hopeless, insist, key_of, producer_config, received, send

_QUIET = {"log_level": 2}  # what matters is raised; the driver's own lines would repeat it


class KafkaUnreachable(Exception):
    """Nothing answers at the address. The text names it and says what to try."""


class KafkaRefused(Exception):
    """Kafka answered, with an error (topic missing, no rights, bad setting)."""


def reach(client: Mapping[str, Any], timeout_s: float = 10.0) -> int:
    """The number of brokers. Raises KafkaUnreachable."""
    admin = AdminClient({**_QUIET, **client})
    try:
        return len(admin.list_topics(timeout=timeout_s).brokers)
    except KafkaException as error:
        raise unreachable(client, error) from error


def unreachable(client: Mapping[str, Any], error: Exception) -> KafkaUnreachable:
    address = client.get("bootstrap.servers")
    return KafkaUnreachable(f"no Kafka answers at {address} ({_reason(error)}): is it running, is VERDICTLINE_KAFKA right?")


def _reason(error: Exception) -> str:
    found = error.args[0] if error.args else "no answer in time"
    return found.str() if isinstance(found, KafkaError) else str(found)


def _answered(client: Mapping[str, Any], future: Future[Any], timeout_s: float) -> Any:
    try:
        return future.result(timeout_s)
    except TimeoutError as error:
        raise unreachable(client, error) from error
    except KafkaException as error:
        if error.args[0].code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN):
            raise unreachable(client, error) from error
        raise


def create_topics(
    client: Mapping[str, Any],
    topics: Iterable[tuple[str, int, Mapping[str, str]]],
    *,
    replication: int = -1,
    timeout_s: float = 30.0,
) -> list[str]:
    """Make those that do not exist; returns their names. topics: name, partitions, topic-level settings.

    Raises KafkaUnreachable; KafkaRefused with topic and reason.
    """
    admin = AdminClient({**_QUIET, **client})  # kept: its futures die with it
    wanted = [
        NewTopic(name, num_partitions=count, replication_factor=replication, config=dict(config))
        for name, count, config in topics
    ]
    made = []
    for name, future in (admin.create_topics(wanted, request_timeout=timeout_s) if wanted else {}).items():
        try:
            _answered(client, future, timeout_s)
            made.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise KafkaRefused(f"topic {name}: {error.args[0].str()}") from error
    return made


def partitions(client: Mapping[str, Any], topics: Sequence[str], timeout_s: float = 10.0) -> dict[str, int]:
    """How many partitions each topic has; topics that do not exist are left out. Raises KafkaUnreachable."""
    try:
        found = AdminClient({**_QUIET, **client}).list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        raise unreachable(client, error) from error
    return {name: len(found[name].partitions) for name in topics if name in found and found[name].error is None}


def ends(
    client: Mapping[str, Any],
    topics: Sequence[str],
    *,
    timeout_s: float = 30.0,
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
) -> dict[Key, int]:
    """End offset of every partition. Raises KafkaRefused for a topic that does not exist, KafkaUnreachable."""
    return _offsets(client, topics, "latest", isolation, timeout_s)


def starts(client: Mapping[str, Any], topics: Sequence[str], *, timeout_s: float = 30.0) -> dict[Key, int]:
    """First offset that retention has left. Raises as `ends`."""
    return _offsets(client, topics, "earliest", "read_committed", timeout_s)


def offsets_at(client: Mapping[str, Any], topics: Sequence[str], at_ms: int, *, timeout_s: float = 30.0) -> dict[Key, int]:
    """The first offset that was appended at or after that time, else the end. at_ms: since 1970. Raises as `ends`."""
    found = _offsets(client, topics, at_ms, "read_committed", timeout_s)
    if all(offset >= 0 for offset in found.values()):
        return found
    end = ends(client, topics, timeout_s=timeout_s)
    return {key: offset if offset >= 0 else end[key] for key, offset in found.items()}


def _offsets(
    client: Mapping[str, Any], topics: Sequence[str], which: str | int, isolation: str, timeout_s: float
) -> dict[Key, int]:
    """which: `latest`, `earliest`, or a time in ms since 1970 (-1 where nothing is that new)."""
    counts = partitions(client, topics, timeout_s)
    if missing := [name for name in topics if name not in counts]:
        raise KafkaRefused(f"no topic {', '.join(missing)}: `verdictline topics apply` makes it")
    level = IsolationLevel.READ_COMMITTED if isolation == "read_committed" else IsolationLevel.READ_UNCOMMITTED
    spec = _spec(which)
    admin = AdminClient({**_QUIET, **client})
    wanted = {TopicPartition(name, n): spec for name, count in counts.items() for n in range(count)}

    def ask() -> dict[Key, int]:
        futures = admin.list_offsets(wanted, isolation_level=level, request_timeout=timeout_s)
        return {key_of(place): _answered(client, future, timeout_s).offset for place, future in futures.items()}

    try:
        return insist(ask, "offsets", timeout_s)
    except KafkaException as error:
        if again(error.args[0]):
            raise unreachable(client, error) from error
        raise KafkaRefused(f"offsets of {', '.join(topics)}: {_reason(error)}") from error


def _spec(which: str | int) -> Any:
    if isinstance(which, int):
        return OffsetSpec.for_timestamp(which)
    return OffsetSpec.latest() if which == "latest" else OffsetSpec.earliest()  # type: ignore[no-untyped-call]


def read_all(client: Mapping[str, Any], topics: Sequence[str], *, timeout_s: float = 60.0) -> Iterator[Received]:
    """Every record from the first to the end as it is now; per partition in order, aborted transactions left out.

    timeout_s: longest silence. Raises KafkaUnreachable, and, before anything is read, KafkaRefused.
    """
    return read_since(client, topics, None, timeout_s=timeout_s)


def read_since(
    client: Mapping[str, Any], topics: Sequence[str], timestamp_ms: int | None, *, timeout_s: float = 60.0
) -> Iterator[Received]:
    """As `read_all`, from the first record that was appended at that time or later; None: from the first."""
    end = ends(client, topics, timeout_s=timeout_s)
    first = starts(client, topics, timeout_s=timeout_s)
    if timestamp_ms is not None:
        first = offsets_at(client, topics, timestamp_ms, timeout_s=timeout_s)
    return _read(client, first, end, timeout_s)


def _read(client: Mapping[str, Any], first: Mapping[Key, int], end: Mapping[Key, int], timeout_s: float) -> Iterator[Received]:
    todo = {key for key, offset in end.items() if offset > first[key]}
    with Reader(client, [TopicPartition(*key, first[key]) for key in todo], wait_ms=20) as reader:
        while todo:
            records = reader.take(timeout_s)
            if records is None:
                raise unreachable(client, TimeoutError(f"no record for {timeout_s:.0f} s"))
            for record in records:
                if record.offset < end[record.topic, record.partition]:
                    yield record
            todo -= {key for key in todo if reader.at[key] >= end[key]}


def read_between(client: Mapping[str, Any], place: Key, begin: int, end: int, *, timeout_s: float = 30.0) -> Iterator[Received]:
    """One partition's records from offset `begin` up to `end`, which is not read, as far as there are any now.

    place: topic, partition. timeout_s: longest silence. Raises KafkaUnreachable, KafkaRefused.
    """
    end = min(end, ends(client, [place[0]], timeout_s=timeout_s)[place])
    if begin >= end:
        return
    with Reader(client, [TopicPartition(*place, begin)], wait_ms=20) as reader:
        while reader.at[place] < end:
            records = reader.take(timeout_s)
            if records is None:
                raise unreachable(client, TimeoutError(f"no record for {timeout_s:.0f} s"))
            yield from (record for record in records if record.offset < end)


def follow(
    client: Mapping[str, Any],
    topics: Sequence[str],
    *,
    start: Literal["first", "end"] = "end",
    stopped: Callable[[], bool] = lambda: False,
    idle_s: float = 0.5,
) -> Iterator[Received | None]:
    """Records as they come, for ever, or until `stopped()`; None each `idle_s` without one. Raises as `read_all` at the start."""
    begin = starts(client, topics) if start == "first" else ends(client, topics)
    with Reader(client, [TopicPartition(*key, offset) for key, offset in begin.items()]) as reader:
        while not stopped():
            yield from (reader.take(idle_s) or (None,))


class Reader:
    """Reads fixed partitions from given offsets. at: the offset that each partition has been read to."""

    def __init__(self, client: Mapping[str, Any], begin: Sequence[TopicPartition], *, wait_ms: int = 500) -> None:
        self.at: dict[Key, int] = {key_of(place): place.offset for place in begin}
        self._consumer = Consumer(
            consumer_config(
                {**_QUIET, **client},
                **{
                    "group.id": "verdictline-reader",
                    "auto.offset.reset": "earliest",
                    "enable.partition.eof": True,
                    "fetch.wait.max.ms": wait_ms,
                },
            )
        )
        self._consumer.assign(list(begin))

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def take(self, wait_s: float) -> list[Received] | None:
        """What is there after at most `wait_s`, possibly nothing; None: neither a record nor an end of partition came."""
        first = self._consumer.poll(wait_s)
        if first is None:
            return None
        records = []
        for message in (first, *self._consumer.consume(1000, 0)):
            error = message.error()
            if error is None:
                records.append(received(message))
                self.at[key_of(message)] = records[-1].offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self.at[key_of(message)] = message.offset() or 0
            elif hopeless(error) or (not error.retriable() and error.code() not in _PASSING):
                raise KafkaRefused(str(error))
        return records


_PASSING = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE)


class Writer:
    """An idempotent producer for commands: `send` collects, `flush` waits until the broker has all of it."""

    def __init__(self, client: Mapping[str, Any], **overrides: Any) -> None:
        self._client = client
        self._producer = Producer(producer_config({**_QUIET, **client}, **overrides))
        self._failed: list[str] = []

    def send(self, record: Record) -> None:
        send(self._producer, record, self._report)
        self._producer.poll(0)

    def flush(self, timeout_s: float = 30.0) -> None:
        """Raises KafkaUnreachable where something is left after `timeout_s`, KafkaRefused where the broker said no."""
        left = self._producer.flush(timeout_s)
        if self._failed:
            raise KafkaRefused(self._failed[0])
        if left:
            raise unreachable(self._client, TimeoutError(f"{left} records not acknowledged after {timeout_s:.0f} s"))

    def _report(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._failed.append(f"topic {message.topic()}: {error.str()}")
