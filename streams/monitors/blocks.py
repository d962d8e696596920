"""CUSUMs over many parts at once: sums of blocks that do not depend on where the CUSUM stood, and the walk over them.

For a block, with x its entries in a row: `total` is their sum, `end` where a CUSUM from zero ends, `peak` its highest value,
`rise` the highest partial sum. A CUSUM that enters with S leaves with max(end, S + total), was at most max(peak, S + rise), and
was at zero or below if S + total - end <= 0: adding and comparing are associative, so blocks may be summed in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LENGTH = 64  # parts a block: 64 entries of at most 28 nats stay within int32
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Walk:
    """A row a CUSUM, a column a block. before, after: its value there; reset: it was at zero or below inside the block."""

    before: Ints
    after: Ints
    reset: NDArray[np.bool_]
    peak: Ints


def walk(entries: NDArray[np.int32], symbols: NDArray[np.uint8], start: Ints) -> Walk:
    """entries: (CUSUMs, bins), 1/65536 nat; symbols: whole blocks of parts; start: where the CUSUMs stand, >= 0."""
    total, end, peak, rise = (sums.astype(np.int64, order="C") for sums in _blocks(entries, symbols))
    upto = np.cumsum(total, axis=1)
    after = upto + np.maximum(np.maximum.accumulate(end - upto, axis=1), start[:, None])
    before = np.concatenate([start[:, None], after[:, :-1]], axis=1)
    return Walk(before=before, after=after, reset=before + total - end <= 0, peak=np.maximum(peak, before + rise))


def last_reset(entries: NDArray[np.int32], symbols: NDArray[np.uint8], start: int) -> int:
    """After how many parts one CUSUM was last at zero or below; 0 if never. entries: of each bin."""
    level = np.cumsum(entries[symbols], dtype=np.int64) + start
    above = level - np.minimum(np.minimum.accumulate(level), 0)
    zeros = np.flatnonzero(above == 0)
    return int(zeros[-1]) + 1 if len(zeros) else 0


def _blocks(entries: NDArray[np.int32], symbols: NDArray[np.uint8]) -> tuple[NDArray[np.int32], ...]:
    """(total, end, peak, rise), each (CUSUMs, blocks): all blocks take their first part, then their second, ..."""
    columns = np.ascontiguousarray(entries.T)  # a symbol's entries side by side: taken as one
    lanes = np.ascontiguousarray(symbols.reshape(-1, LENGTH).T).astype(np.intp)
    shape = (lanes.shape[1], len(entries))
    total, end, peak, rise = (np.zeros(shape, dtype=np.int32) for _ in range(4))
    entry = np.empty(shape, dtype=np.int32)
    for lane in lanes:
        np.take(columns, lane, axis=0, out=entry, mode="clip")
        np.add(total, entry, out=total)
        np.add(end, entry, out=end)
        np.maximum(end, 0, out=end)
        np.maximum(peak, end, out=peak)
        np.maximum(rise, total, out=rise)
    return total.T, end.T, peak.T, rise.T
