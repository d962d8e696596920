"""Where images lie: a folder of files by SHA-256, and Kafka by topic, partition and offset. Knows no processor.

`Images.read` gives the bytes of a reference or says why not; every image is checked against its digest.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.capture import IMAGE_TYPE, Context, TicketV1, context_of, image_content_type
from schemas.common import ImageRef
from schemas.envelope import ContractError, Received, envelope_of
from streams.fates import Unavailable, Unprocessable
from streams.wiring.driver import consumer_config

_KAFKA = re.compile(r"kafka://(?P<topic>[a-zA-Z0-9._-]{1,249})/(?P<partition>[0-9]{1,9})/(?P<offset>[0-9]{1,18})")


class FileImages:
    """Images as files named by their SHA-256, in 256 folders; a file appears whole and on the disk, or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes, sha256: str) -> str:
        """Its file:// address. The same image twice is one file. Raises OSError."""
        path = self.root / sha256[:2] / sha256
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{sha256}.{secrets.token_hex(8)}")  # in containers every process has the same number
            try:
                _write(temporary, data)
                os.rename(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
            for folder in (path.parent, self.root, self.root.parent):
                _sync_folder(folder)
        return "file://" + quote(str(path.resolve()))

    def keep(self, data: bytes) -> tuple[str, str]:
        """(its address, its SHA-256). Raises Unavailable."""
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            return self.put(data, sha256), sha256
        except OSError as error:
            raise Unavailable(f"{self.root}: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Images:
    """Reads images by reference. roots: the folders that file:// may name. Its threads are its own: the loop never waits.

    client: Kafka's settings; None: kafka:// cannot be read.
    """

    def __init__(
        self, client: Mapping[str, Any] | None, *, roots: Sequence[Path], readers: int = 2, timeout_s: float = 5.0
    ) -> None:
        self._client = client
        self._roots = tuple(root.resolve() for root in roots)
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="images")
        self._idle: SimpleQueue[Consumer] = SimpleQueue()
        self._made: list[Consumer] = []

    async def read(self, ref: ImageRef) -> bytes:
        """Raises Unprocessable: unsupported_uri, image_gone, sha256_mismatch, forbidden_path; Unavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.read_now, ref)

    async def resolve(self, record: Received) -> tuple[Context, ImageRef, bytes]:
        """What a record of capture.v1 says and carries, its image inline or fetched by its ticket.

        Raises Unprocessable as `read`, and with the reason of a ContractError; Unavailable.
        """
        try:
            context, ref, data = opened(record)
        except ContractError as error:
            raise Unprocessable(error.reason, error.detail) from error
        return context, ref, await self.read(ref) if data is None else checked(data, ref)

    def read_now(self, ref: ImageRef) -> bytes:
        """As `read`, on the caller's thread."""
        reader: Callable[[ImageRef], bytes] | None = {"kafka": self._from_kafka, "file": self._from_file}.get(_scheme(ref.uri))
        if reader is None:
            raise Unprocessable("unsupported_uri", f"{ref.uri}: kafka:// and file:// can be read here")
        return checked(reader(ref), ref)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for consumer in self._made:
            consumer.close()

    def _from_file(self, ref: ImageRef) -> bytes:
        path = _path(ref.uri)
        if not any(path.is_relative_to(root) for root in self._roots):
            allowed = ", ".join(map(str, self._roots)) or "every allowed folder"
            raise Unprocessable("forbidden_path", f"{ref.uri} lies outside {allowed}")
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size != ref.bytes:
                    raise Unprocessable("sha256_mismatch", f"{ref.uri} has not {ref.bytes} bytes")
                return file.read()
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise Unprocessable("image_gone", f"{ref.uri}: {error.strerror}") from error
            raise Unavailable(f"{ref.uri}: {error.strerror}") from error

    def _from_kafka(self, ref: ImageRef) -> bytes:
        found = _KAFKA.fullmatch(ref.uri)
        if found is None or self._client is None:
            raise Unprocessable("unsupported_uri", f"{ref.uri}: kafka://topic/partition/offset is needed, and a Kafka")
        place = TopicPartition(found["topic"], int(found["partition"]), int(found["offset"]))
        consumer = self._consumer()
        try:
            return self._fetch(consumer, place, ref)
        except KafkaException as error:
            raise Unavailable(f"{ref.uri}: {error.args[0].str()}") from error
        finally:
            consumer.unassign()
            self._idle.put(consumer)

    def _fetch(self, consumer: Consumer, place: TopicPartition, ref: ImageRef) -> bytes:
        consumer.assign([place])
        deadline = time.monotonic() + self._timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            message = consumer.poll(left_s)
            if message is None:
                break
            error = message.error()
            if error is not None:
                if error.code() in _GONE:
                    raise Unprocessable("image_gone", f"{ref.uri}: {error.str()}")
                continue
            value = message.value()
            if message.offset() != place.offset or value is None:
                raise Unprocessable("image_gone", f"{ref.uri}: the next record there is {message.offset()}")
            return value if isinstance(value, bytes) else value.encode()
        known = consumer.list_topics(place.topic, timeout=self._timeout_s).topics[place.topic].error
        if known is not None and known.code() in _NO_TOPIC:  # after all that waiting: no broker that has just begun
            raise Unprocessable("image_gone", f"{ref.uri}: Kafka knows no such topic")
        raise Unavailable(f"{ref.uri}: no answer from Kafka in {self._timeout_s:.0f} s")

    def _consumer(self) -> Consumer:
        if not self._idle.empty():
            return self._idle.get()
        config = consumer_config(
            {"log_level": 2, **(self._client or {})},
            **{
                "group.id": "verdictline-images",
                "isolation.level": "read_uncommitted",
                "max.partition.fetch.bytes": 1,  # the broker gives one whole batch all the same, and no second
                "queued.min.messages": 1,
                "enable.partition.eof": True,
            },
        )
        consumer = Consumer(config)
        self._made.append(consumer)
        return consumer


_GONE = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._PARTITION_EOF, KafkaError._UNKNOWN_PARTITION)

_NO_TOPIC = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.TOPIC_EXCEPTION)
_NOT_THERE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


def _scheme(uri: str) -> str:
    """Empty where it is no address at all."""
    try:
        return urlsplit(uri).scheme
    except ValueError:
        return ""


def _path(uri: str) -> Path:
    """Where the file lies, links followed. Raises Unprocessable."""
    try:
        return Path(unquote(urlsplit(uri).path)).resolve()
    except ValueError as error:  # a zero byte
        raise Unprocessable("unsupported_uri", f"{uri!r}: {error}") from error
    except (OSError, RuntimeError) as error:  # links in a circle, a name that is too long
        raise Unprocessable("image_gone", f"{uri}: {error}") from error


def opened(record: Received) -> tuple[Context, ImageRef, bytes | None]:
    """A record of capture.v1: what its headers say, where the image is, and the image unless a ticket stands for it.

    Raises ContractError.
    """
    envelope = envelope_of(record.headers)
    context = context_of(envelope)
    value = record.value or b""
    if envelope.type != IMAGE_TYPE:
        ticket = TicketV1.read(value)
        ref = ImageRef(uri=ticket.uri, sha256=ticket.sha256, bytes=ticket.bytes, content_type=ticket.content_type)
        if ticket.sha256 != context.sha256:
            raise ContractError("sha256_mismatch", "the ticket names another image than the headers")
        return context, ref, None
    if not value:
        raise ContractError("empty", "0 bytes")
    ref = ImageRef(
        uri=f"kafka://{record.topic}/{record.partition}/{record.offset}",
        sha256=context.sha256,
        bytes=len(value),
        content_type=image_content_type(envelope.content_type),
    )
    return context, ref, value


def checked(data: bytes, ref: ImageRef) -> bytes:
    """The data itself. Raises Unprocessable `sha256_mismatch`."""
    if hashlib.sha256(data).hexdigest() != ref.sha256:
        raise Unprocessable("sha256_mismatch", f"{ref.uri}: {len(data)} bytes with another SHA-256 than announced")
    return data
