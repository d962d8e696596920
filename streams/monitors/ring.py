"""What the stream's latest scores looked like: exact for the last few hundred, in ever longer blocks further back. Under 1 kB.

The last 256 to 319 symbols are kept as they are; every 64 that drop out become a block of counts, and where a level holds three
blocks the two oldest join into one of twice the length (M. Datar et al., Maintaining Stream Statistics over Sliding Windows, SIAM
J. Comput. 31 (2002) 1794). So a change is shown with a grain of a third of its age, up to 32,000 parts back.
"""

from __future__ import annotations

import struct
from operator import add

import numpy as np
from numpy.typing import NDArray

RECENT = 320
BLOCK = 64
LEVELS = 8
PER_LEVEL = 2
Block = tuple[int, ...]
Ladder = tuple[tuple[Block, ...], ...]  # a level's blocks, oldest first; level i holds blocks of 64 << i parts
BYTES = tuple(bytes([symbol]) for symbol in range(256))
MOST_BINS = 20
_FIRST, _BLOCK = struct.Struct(f"<{MOST_BINS}B"), struct.Struct(f"<{MOST_BINS}H")  # 64 parts fit a byte
_HEAD = struct.Struct(f"<HB{LEVELS}B")  # recent symbols, bins, blocks of each level
_BITS = 5  # of a symbol
_PACKED = RECENT * _BITS // 8
SIZE = _HEAD.size + _PACKED + PER_LEVEL * (_FIRST.size + (LEVELS - 1) * _BLOCK.size)


def pushed(ladder: Ladder, symbols: bytes, bins: int) -> Ladder:
    """With the counts of one more block of symbols."""
    block = counted(symbols, bins)
    levels = list(ladder)
    for level in range(LEVELS):
        if level == len(levels):
            levels.append(())
        blocks = (*levels[level], block)
        levels[level] = blocks if len(blocks) <= PER_LEVEL else blocks[2:]
        if len(blocks) <= PER_LEVEL:
            break
        block = tuple(map(add, blocks[0], blocks[1]))
    return tuple(levels)


def grown(ladder: Ladder, symbols: NDArray[np.uint8], bins: int) -> Ladder:
    """The same for many blocks of 64 at once. On each level the oldest pairs join until one or two blocks are left."""
    rows = len(symbols) // BLOCK
    codes = np.repeat(np.arange(rows) * bins, BLOCK) + symbols
    coming = np.bincount(codes, minlength=rows * bins).reshape(rows, bins)
    levels = []
    for level in range(LEVELS):
        held = np.array(ladder[level] if level < len(ladder) else (), dtype=np.int64).reshape(-1, bins)
        blocks = np.concatenate([held, coming])
        pairs = max(0, (len(blocks) - 1) // 2)
        coming = blocks[: 2 * pairs : 2] + blocks[1 : 2 * pairs : 2]
        levels.append(tuple(tuple(block) for block in blocks[2 * pairs :].tolist()))
    return trimmed(levels)


def counted(symbols: bytes, bins: int) -> Block:
    return tuple(map(symbols.count, range(bins)))


def since(ladder: Ladder, recent: bytes, parts: int, bins: int) -> tuple[int, ...]:
    """Counts of about the last `parts` symbols: exact up to 256, else whole blocks, those that lie in them at least by half."""
    if parts <= len(recent):
        return counted(recent[len(recent) - parts :], bins)
    total, covered = counted(recent, bins), len(recent)
    for level, blocks in enumerate(ladder):
        length = BLOCK << level
        for block in reversed(blocks):
            if parts - covered < length / 2:
                return total
            total = tuple(a + b for a, b in zip(total, block, strict=True))
            covered += length
    return total


def pack(ladder: Ladder, recent: bytes) -> bytes:
    """811 bytes: number of recent symbols, of bins, of blocks a level; the symbols; the blocks (20 counts, little-endian)."""
    bins = len(ladder[0][0]) if ladder else 0
    levels = [*ladder, *[()] * (LEVELS - len(ladder))]
    head = _HEAD.pack(len(recent), bins, *map(len, levels))
    empty = (0,) * MOST_BINS
    packed = [
        layout.pack(*(*block, *empty)[:MOST_BINS])
        for layout, blocks in zip(_layouts(), levels, strict=True)
        for block in (*blocks, *[empty] * (PER_LEVEL - len(blocks)))
    ]
    return b"".join([head, _squeezed(recent), *packed])


def unpack(data: bytes) -> tuple[Ladder, bytes]:
    """The ladder and the recent symbols. data: SIZE bytes as `pack` gives them."""
    symbols, bins, *helds = _HEAD.unpack_from(data)
    at, levels = _HEAD.size + _PACKED, []
    for layout, held in zip(_layouts(), helds, strict=True):
        levels.append(tuple(layout.unpack_from(data, at + k * layout.size)[:bins] for k in range(held)))
        at += PER_LEVEL * layout.size
    return trimmed(levels), _spread(data[_HEAD.size : _HEAD.size + _PACKED])[:symbols]


def _squeezed(symbols: bytes) -> bytes:
    """Five bits each, 200 bytes for as many as there may be."""
    eight = np.unpackbits(np.frombuffer(symbols.ljust(RECENT, b"\0"), dtype=np.uint8)).reshape(RECENT, 8)
    return np.packbits(eight[:, 8 - _BITS :]).tobytes()


def _spread(packed: bytes) -> bytes:
    """What was squeezed."""
    eight = np.zeros((RECENT, 8), dtype=np.uint8)
    eight[:, 8 - _BITS :] = np.unpackbits(np.frombuffer(packed, dtype=np.uint8)).reshape(RECENT, _BITS)
    return np.packbits(eight).tobytes()


def _layouts() -> list[struct.Struct]:
    """Of a block on each level."""
    return [_FIRST, *[_BLOCK] * (LEVELS - 1)]


def trimmed(levels: list[tuple[Block, ...]]) -> Ladder:
    """Without the empty levels at the end."""
    while levels and not levels[-1]:
        levels.pop()
    return tuple(levels)
