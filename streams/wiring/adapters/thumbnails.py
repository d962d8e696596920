"""Small images, made once and kept in memory up to a bound; few are decoded at a time. Knows no format."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from schemas.common import ImageRef

SIDE_PX = 224
MOST_BYTES = 12 << 20  # some 1500 of them
_AT_ONCE = 2


class Thumbnails:
    """read: the bytes of a reference. shrink: (encoded image, longer side in px) -> JPEG. May be asked from any thread."""

    def __init__(
        self,
        read: Callable[[ImageRef], bytes],
        shrink: Callable[[bytes, int], bytes],
        side_px: int = SIDE_PX,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._read, self._shrink, self._most_bytes = read, shrink, most_bytes
        self.side_px = side_px
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._decoding = threading.Semaphore(_AT_ONCE)

    def of(self, ref: ImageRef) -> bytes:
        """Raises what `read` and `shrink` raise."""
        with self._lock:
            if ref.sha256 in self._kept:
                self._kept.move_to_end(ref.sha256)
                return self._kept[ref.sha256]
        with self._decoding:
            small = self._shrink(self._read(ref), self.side_px)
        self._keep(ref.sha256, small)
        return small

    def _keep(self, sha256: str, small: bytes) -> None:
        """The one that was not asked for the longest makes room."""
        with self._lock:
            if sha256 not in self._kept:
                self._kept[sha256] = small
                self._bytes += len(small)
            while self._bytes > self._most_bytes:
                self._bytes -= len(self._kept.popitem(last=False)[1])
