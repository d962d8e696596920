"""The offsets of one partition that were handed out and are not finished. Knows offsets, nothing else."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Watermark(Generic[T]):
    """`committable` is the offset below which everything is done.

    Offsets are entered in increasing order and a dict keeps the order of insertion, so its first key is always the lowest
    unfinished one. Holes in the log (compaction, transaction markers) need no care: only delivered offsets are entered.
    """

    __slots__ = ("next", "open", "start_at", "stored")

    def __init__(self, start_at: int | None = None) -> None:
        self.open: dict[int, T] = {}
        self.next: int | None = None  # one past the last offset handed out
        self.stored: int | None = None  # what the driver was last told
        self.start_at = start_at  # what was committed before; None: nothing ever

    def start(self, offset: int, work: T) -> None:
        self.open[offset] = work
        self.next = offset + 1

    def skip(self, offset: int) -> None:
        """Handed out and done at once."""
        self.next = offset + 1

    def finish(self, offset: int) -> None:
        self.open.pop(offset, None)

    @property
    def position(self) -> int | None:
        """What was stored last, by us or before us. Safe on any thread."""
        return self.start_at if self.stored is None else self.stored

    def committable(self) -> int | None:
        """None: nothing was handed out yet."""
        return next(iter(self.open), self.next)
