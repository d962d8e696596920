"""Append-only files of checked frames: written in groups with one fsync, cut where a crash tore the end.

Knows bytes. A group is written only after the one before it is on the disk; so a damaged frame with a later group behind
it is damage of kept data (FramesDamaged), and one without is the torn tail of a group that nobody was told of.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<4sIBxHHxxIIQ")  # magic, crc, kind, place in its group, group's size, head bytes, body bytes, group
_MAGIC = b"VLf1"
_FIELDS = struct.Struct("<BxHHxxIIQ")  # the header behind the crc, which covers it too
_IOV = 512


class FramesDamaged(Exception):
    """Kept data does not read back. The text says file and byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """kind: the caller's; head: small; body: in pieces."""

    kind: int
    head: bytes
    body: Sequence[bytes] = ()

    @property
    def data_bytes(self) -> int:
        return len(self.head) + sum(map(len, self.body))

    @property
    def size(self) -> int:
        return _HEADER.size + self.data_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A whole frame in a file. at: where its head begins; the body follows the head."""

    kind: int
    group: int
    at: int
    head: bytes
    body_bytes: int
    last: bool

    @property
    def body_at(self) -> int:
        return self.at + len(self.head)

    @property
    def end(self) -> int:
        return self.body_at + self.body_bytes


def packed(group: int, frames: Sequence[Frame]) -> list[bytes]:
    """The bytes of one group, in pieces, to be written one behind the other. At most 65,535 frames."""
    pieces: list[bytes] = []
    for place, frame in enumerate(frames):
        size = sum(map(len, frame.body))
        fields = _FIELDS.pack(frame.kind, place, len(frames), len(frame.head), size, group)
        crc = zlib.crc32(frame.head, zlib.crc32(fields))
        for piece in frame.body:
            crc = zlib.crc32(piece, crc)
        pieces += [_MAGIC + struct.pack("<I", crc) + fields, frame.head, *frame.body]
    return pieces


def append(fd: int, at: int, pieces: Sequence[bytes]) -> int:
    """Write at byte `at` and bring it to the disk; returns the new end.

    Raises OSError (no space, ...): then the file ends at `at` as before; FramesDamaged where not even that can be had.
    """
    end = at
    try:
        for first in range(0, len(pieces), _IOV):
            end = _write(fd, end, pieces[first : first + _IOV])
        os.fdatasync(fd)
    except OSError as error:
        try:
            os.ftruncate(fd, at)
        except OSError as worse:
            raise FramesDamaged(f"{error}; and what was half written cannot be taken back: {worse}") from error
        raise
    return end


def _write(fd: int, at: int, pieces: Sequence[bytes]) -> int:
    left = [memoryview(piece) for piece in pieces if piece]
    while left:
        written = os.pwritev(fd, left, at)
        at += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left and written:
            left[0] = left[0][written:]
    return at


def scan(path: Path, *, torn_tail: bool) -> tuple[list[Found], int]:
    """(the whole frames of a file, the byte behind the last one). Heads are kept, bodies only checked.

    torn_tail: the file is the last one, so its end may be torn. Raises FramesDamaged, OSError.
    """
    frames: list[Found] = []
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        end = 0
        while end < size:
            frame = _read(file.fileno(), end, size)
            if frame is None:
                break
            frames.append(frame)
            end = frame.end
        if end < size and not (torn_tail and not _later(file.fileno(), end, size, _group_at(frames))):
            raise FramesDamaged(f"{path}, byte {end}: damaged, with {size - end} bytes from there to the end")
    return frames, end


def _group_at(frames: Sequence[Found]) -> int:
    """The group that the frame behind the last whole one belongs to."""
    if not frames:
        return 0
    return frames[-1].group + 1 if frames[-1].last else frames[-1].group


def _read(fd: int, at: int, size: int) -> Found | None:
    """The frame at that byte; None where there is none, or not all of it."""
    header = os.pread(fd, _HEADER.size, at)
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        return None
    _, crc, kind, place, of, head_bytes, body_bytes, group = _HEADER.unpack(header)
    start = at + _HEADER.size
    if start + head_bytes + body_bytes > size:
        return None
    data = os.pread(fd, head_bytes + body_bytes, start)
    if zlib.crc32(data, zlib.crc32(header[8:])) != crc:
        return None
    return Found(kind=kind, group=group, at=start, head=data[:head_bytes], body_bytes=body_bytes, last=place == of - 1)


def _later(fd: int, start: int, size: int, group: int) -> bool:
    """Whether a whole frame of a later group lies behind that byte."""
    step, overlap = 1 << 20, len(_MAGIC) - 1
    for at in range(start, size, step):
        chunk = os.pread(fd, step + overlap, at)
        found = chunk.find(_MAGIC)
        while found >= 0:
            frame = _read(fd, at + found, size)
            if frame is not None and frame.group > group:
                return True
            found = chunk.find(_MAGIC, found + 1)
    return False
