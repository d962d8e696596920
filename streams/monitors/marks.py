"""Which inspection was which part of a stream: marks of the parts that may be asked for, and none of the others.

These are the starts of CUSUMs, and every 16th of the latest parts as a stone beside the road. Knows parts and numbers only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise

STONE = 16  # parts
MOST_STONES = 20
_FIRST = (5, 7, 5, 6)  # bytes of part, epoch, n, at_ms
_FIRST_SIZE = sum(_FIRST)
_BACK = struct.Struct("<Hi")
SIZE = 1 + _FIRST_SIZE + (MOST_STONES - 1) * _BACK.size

# Part, counted from 1, epoch, n, at_ms, and the mark before. A chain, and plain: one is made for every part.
Mark = tuple[int, int, int, int, "Mark | None"]


def chained(marks: Iterable[Mark]) -> Mark | None:
    """The newest of marks, oldest first, each with its forerunner."""
    chain: Mark | None = None
    for part, epoch, n, at_ms, _ in marks:
        chain = (part, epoch, n, at_ms, chain)
    return chain


def unchained(newest: Mark | None) -> list[Mark]:
    """Oldest first."""
    found = []
    while newest is not None:
        found.append(newest)
        newest = newest[4]
    return found[::-1]


def merged(*some: Iterable[Mark]) -> Mark | None:
    """The newest of all, each part once."""
    by_part = {mark[0]: mark for marks in some for mark in marks}
    return chained(by_part[part] for part in sorted(by_part))


def needed(newest: Mark | None, starts: set[int], since: int) -> list[Mark]:
    """Marks of the starts, and stones after the part `since`, oldest first."""
    if newest is None:
        return []
    wanted = starts.union(range(since - since % STONE + STONE, newest[0] + 1, STONE))
    found: list[Mark] = []
    mark: Mark | None = newest
    for part in sorted(wanted, reverse=True):
        while mark is not None and mark[0] > part:
            mark = mark[4]
        if mark is None:
            break
        if mark[0] == part:
            found.append(mark)
    return found[::-1]


def stones(newest: Mark | None, since: int) -> list[Mark]:
    """The stones after the part `since`, newest first, as far as the way between them is plain: of one epoch, forwards."""
    found: list[Mark] = []
    mark = newest
    while mark is not None and mark[0] > since and len(found) < MOST_STONES:
        if not mark[0] % STONE:
            if found and not _plain(mark, found[-1]):
                break
            found.append(mark)
        mark = mark[4]
    return found


def _plain(older: Mark, newer: Mark) -> bool:
    return (
        newer[0] - older[0] == STONE
        and newer[1] == older[1]
        and 0 < newer[2] - older[2] < 1 << 16
        and abs(newer[3] - older[3]) < 1 << 31
    )


def pack_mark(mark: Mark) -> bytes:
    """23 bytes, little-endian."""
    return b"".join(value.to_bytes(width, "little") for value, width in zip(mark[:4], _FIRST, strict=False))


def unpack_mark(data: bytes, at: int) -> Mark:
    values = []
    for width in _FIRST:
        values.append(int.from_bytes(data[at : at + width], "little"))
        at += width
    part, epoch, n, at_ms = values
    return part, epoch, n, at_ms, None


def pack_stones(found: list[Mark]) -> bytes:
    """138 bytes: how many, the newest, the way back to each older one. found: as `stones` gives them."""
    if not found:
        return bytes(SIZE)
    ways = (_BACK.pack(newer[2] - older[2], newer[3] - older[3]) for newer, older in pairwise(found))
    return b"".join([bytes([len(found)]), pack_mark(found[0]), *ways]).ljust(SIZE, b"\0")


def unpack_stones(data: bytes) -> list[Mark]:
    """Oldest first."""
    if not data[0]:
        return []
    found = [unpack_mark(data, 1)]
    for k in range(data[0] - 1):
        gap, wait_ms = _BACK.unpack_from(data, 1 + _FIRST_SIZE + k * _BACK.size)
        part, epoch, n, at_ms, _ = found[-1]
        found.append((part - STONE, epoch, n - gap, at_ms - wait_ms, None))
    return found[::-1]


MARK_SIZE = _FIRST_SIZE
