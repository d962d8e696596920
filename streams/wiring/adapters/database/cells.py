"""A heat map's values, sorted, small enough to keep: how large a strange region would have been at another threshold.

Only views that a policy could ever call anomalous need it, so only those with a p-value up to `MOST_P` are kept. Knows no
policy.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

MOST_P = 0.2


def pack_cells(heat_map: str) -> str | None:
    """heat_map: base64 of little-endian fp16. Base64 of the deflated steps (modulo 2^16) between the bits of the sorted values.

    None: it cannot be read so.
    """
    try:
        values = np.frombuffer(base64.b64decode(heat_map, validate=True), dtype="<f2")
    except ValueError:
        return None
    if not values.size or not np.isfinite(values).all():
        return None
    bits = np.sort(values).view(np.uint16)
    return base64.b64encode(zlib.compress(np.diff(bits, prepend=np.uint16(0)).tobytes(), 1)).decode()


def unpack_cells(text: str) -> NDArray[np.float32]:
    """float32 (n,), ascending."""
    steps = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint16)
    return np.cumsum(steps, dtype=np.uint16).view(np.float16).astype(np.float32)
