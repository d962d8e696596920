"""A station's outbox on disk: what the gateway has acknowledged and Kafka has not. Knows no message and no Kafka.

One folder: append-only segments, each opened by a snapshot (epoch, next number, the caller's memory). An entry is on the
disk when `commit` returns; numbers are never used twice, because each commit and each snapshot carries them to the disk.
Not thread-safe but for `read`: one thread owns it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from streams.wiring.adapters.frames import Found, Frame, FramesDamaged, append, packed, scan

_OPEN, _ENTRY, _DONE = 0, 1, 2
_SEGMENT_BYTES = 16 << 20
_SMALL_BYTES = 64 << 10
_GROUP_LIMIT = 4096


class OutboxError(Exception):
    """The outbox cannot be used. The text is one line and says what to do."""


class OutboxFull(OutboxError):
    """No room: Kafka has been away for too long, or the disk is full. Nothing was written."""


class OutboxInUse(OutboxError):
    """Another gateway has it."""


class OutboxDamaged(OutboxError):
    """Kept data does not read back."""


class Memory(Protocol):
    """What the caller wants back after a restart."""

    def load(self, snapshot: dict[str, Any]) -> None: ...
    def dump(self) -> dict[str, Any]:
        """As JSON data."""
        ...

    def replay(self, head: bytes) -> None:
        """An entry that was committed after the snapshot, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """n: its number; head: what it says; parts: its images, or what stands for them."""

    n: int
    head: bytes
    parts: Sequence[bytes]

    @property
    def size(self) -> int:
        return len(self.head) + sum(map(len, self.parts)) + 64 + 12 * len(self.parts)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry lies. size: bytes of head and parts."""

    n: int
    segment: int
    at: int
    head_bytes: int
    size: int


@dataclass
class _Segment:
    number: int
    path: Path
    fd: int
    size: int
    open_numbers: set[int] = field(default_factory=set)


class Outbox:
    """Opens what is there, or mints a new one. waiting: entries that an earlier process left, in order.

    limit_bytes: of all segments together. now_ms: becomes the epoch of a new outbox.
    Raises OutboxInUse, OutboxDamaged, OutboxError.
    """

    def __init__(self, folder: Path, *, memory: Memory, limit_bytes: int, now_ms: int) -> None:
        self.folder, self.limit_bytes = folder, limit_bytes
        self._memory = memory
        self._segment_bytes = min(_SEGMENT_BYTES, limit_bytes // 8)
        self._segments: deque[_Segment] = deque()
        self._done: list[int] = []
        self._group = 0
        self.epoch, self.next_n = now_ms, 0
        self.waiting: list[Place] = []
        self.torn_bytes = 0
        try:
            _make(folder)
            self._lock = _locked(folder / "lock")
        except OSError as error:
            raise clear(error, folder) from error
        try:
            self._restore()
        except OSError as error:
            self._let_go()
            raise clear(error, folder) from error
        except FramesDamaged as error:
            self._let_go()
            raise OutboxDamaged(f"the outbox is damaged: {error}; keep a copy of {folder}, then remove it") from error

    @property
    def size(self) -> int:
        return sum(segment.size for segment in tuple(self._segments))

    @property
    def unsent(self) -> int:
        """Entries not yet done."""
        return sum(len(segment.open_numbers) for segment in tuple(self._segments))

    def has_room(self, size: int, beside: int = 0) -> bool:
        """Whether an entry of that size fits, once what is done has been removed. beside: bytes of the entries that are to be
        committed with it. Raises OutboxFull where it never will; OutboxError.
        """
        if size > self.limit_bytes // 2:
            raise OutboxFull(f"a capture of {size} bytes is too large for an outbox of {self.limit_bytes} (outbox_limit_bytes)")
        if self.size + beside + size > self.limit_bytes:
            self.tidy()
        return self.size + beside + size <= self.limit_bytes

    def commit(self, entries: Sequence[Entry]) -> list[Place]:
        """Bring them to the disk together: one fsync. Raises OutboxFull (no space), OutboxError; then nothing was written."""
        if [entry.n for entry in entries] != list(range(self.next_n, self.next_n + len(entries))):
            raise ValueError(f"numbers must go on at {self.next_n} without a gap")
        frames = [self._entry(entry) for entry in entries]
        start = self._append(frames)
        self.next_n += len(entries)
        segment = self._segments[-1]
        places = []
        for entry, frame in zip(entries, frames, strict=True):
            start += frame.size
            places.append(Place(entry.n, segment.number, start - frame.data_bytes, len(frame.head), frame.data_bytes))
            segment.open_numbers.add(entry.n)
        return places

    def read(self, place: Place) -> tuple[bytes, list[bytes]]:
        """(head, parts) of an entry that is not done. From any thread."""
        segment = next(s for s in tuple(self._segments) if s.number == place.segment)
        head = os.pread(segment.fd, place.head_bytes, place.at)
        text, _, sizes = head.rpartition(b"\n")
        at = place.at + place.head_bytes
        parts = []
        for size in json.loads(sizes):
            parts.append(os.pread(segment.fd, size, at))
            at += size
        return text, parts

    def done(self, place: Place) -> None:
        """Kafka has it. Its bytes go when its segment and those before it are done; `tidy` says why they cannot."""
        for segment in self._segments:
            if segment.number == place.segment:
                segment.open_numbers.discard(place.n)
        self._done.append(place.n)
        with suppress(OutboxError):
            self._sweep()

    def tidy(self) -> None:
        """Write down what is done, begin anew where all is. Cheap where there is nothing to do. Raises OutboxError."""
        active = self._segments[-1]
        if not active.open_numbers and active.size > _SMALL_BYTES:
            self._rotate()
        self._sweep()
        if active not in self._segments:
            self._done.clear()  # they were about segments that are gone
        self._append([])

    def close(self) -> None:
        """Write down what is done and let go of the folder."""
        try:
            self.tidy()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        for segment in self._segments:
            os.close(segment.fd)
        os.close(self._lock)

    # --- files ---------------------------------------------------------------------------------------------------------
    @staticmethod
    def _entry(entry: Entry) -> Frame:
        sizes = json.dumps([len(part) for part in entry.parts], separators=(",", ":")).encode()
        return Frame(kind=_ENTRY, head=entry.head + b"\n" + sizes, body=entry.parts)

    def _append(self, frames: list[Frame]) -> int:
        """One group, with what is done; returns the byte where the given frames begin."""
        if self._segments[-1].size >= self._segment_bytes:
            self._rotate()
        done = [Frame(kind=_DONE, head=json.dumps(self._done).encode())] if self._done else []
        segment = self._segments[-1]
        start = segment.size + sum(frame.size for frame in done)
        if not done and not frames:
            return start
        self._write(segment, [*done, *frames])
        self._done.clear()
        return start

    def _write(self, segment: _Segment, frames: Sequence[Frame]) -> None:
        if len(frames) > _GROUP_LIMIT:
            raise ValueError(f"{len(frames)} frames in one group")
        try:
            segment.size = append(segment.fd, segment.size, packed(self._group + 1, frames))
        except OSError as error:
            raise clear(error, self.folder) from error
        except FramesDamaged as error:
            raise OutboxDamaged(f"{self.folder}: {error}") from error
        self._group += 1

    def _rotate(self) -> None:
        """A new segment that begins with all that must outlive the old ones. It appears whole or not at all."""
        number = self._segments[-1].number + 1 if self._segments else 0
        path = self.folder / f"{number:012d}.log"
        temporary = path.with_suffix(".new")
        fd = -1
        try:
            fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            snapshot = {"epoch": self.epoch, "next": self.next_n, "memory": self._memory.dump()}
            frame = Frame(kind=_OPEN, head=json.dumps(snapshot, separators=(",", ":")).encode())
            size = append(fd, 0, packed(self._group + 1, [frame]))
            os.rename(temporary, path)
            _sync_folder(self.folder)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            temporary.unlink(missing_ok=True)
            raise clear(error, self.folder) from error
        self._group += 1
        self._segments.append(_Segment(number, path, fd, size))

    def _sweep(self) -> None:
        """The oldest first: a restart takes no segments that do not follow each other. Raises OutboxError."""
        while len(self._segments) > 1 and not self._segments[0].open_numbers:
            segment = self._segments[0]
            try:
                segment.path.unlink(missing_ok=True)
            except OSError as error:
                raise clear(error, self.folder) from error
            self._segments.popleft()
            os.close(segment.fd)

    # --- restart -------------------------------------------------------------------------------------------------------
    def _restore(self) -> None:
        for left in self.folder.glob("*.new"):
            left.unlink()
        paths = sorted(self.folder.glob("*.log"))
        done: set[int] = set()
        for path in paths:
            frames, end = scan(path, torn_tail=path == paths[-1])
            if not frames or frames[0].kind != _OPEN:
                raise FramesDamaged(f"{path}: it does not begin as a segment of an outbox")
            self._take(path, frames, end, done)
        if not paths:
            self._rotate()
        for segment in self._segments:
            segment.open_numbers -= done
        self.waiting = [place for place in self.waiting if place.n not in done]

    def _take(self, path: Path, frames: Sequence[Found], end: int, done: set[int]) -> None:
        snapshot = json.loads(frames[0].head)
        if self._segments and (snapshot["epoch"], snapshot["next"]) != (self.epoch, self.next_n):
            raise FramesDamaged(f"{path}: it does not go on where the segment before it ends")
        self.epoch, self.next_n = snapshot["epoch"], snapshot["next"]
        self._memory.load(snapshot["memory"])
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        segment = _Segment(int(path.stem), path, fd, end)
        torn = os.fstat(fd).st_size - end
        if torn:
            self.torn_bytes += torn
            os.ftruncate(fd, end)
            os.fsync(fd)
        self._segments.append(segment)
        for frame in frames[1:]:
            if frame.kind == _DONE:
                done.update(json.loads(frame.head))
            else:
                self.waiting.append(Place(self.next_n, segment.number, frame.at, len(frame.head), frame.end - frame.at))
                segment.open_numbers.add(self.next_n)
                self.next_n += 1
                self._memory.replay(frame.head.rpartition(b"\n")[0])
        self._group = max(self._group, frames[-1].group)


def _make(folder: Path) -> None:
    """With every missing folder above it, each on the disk before it is used."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _locked(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise OutboxInUse(f"another gateway uses {path.parent}: one process a station") from error
    return fd


def clear(error: OSError, folder: Path) -> OutboxError:
    """The disk's error in our words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutboxFull(f"no space left on the disk of {folder}: make room; nothing was written")
    return OutboxError(f"{folder}: {error.strerror or error}")
