"""A heat map small enough to keep with every strange view: 256 steps from 0 to its highest value. Knows no threshold.

For looking at; what is computed comes from evidence.v1. A step is a 255th of the highest value.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np

SIDE = 32


def pack_heat(heat_map: str) -> str | None:
    """heat_map: base64 of 32 x 32 little-endian fp16, row by row -> `<highest>:<base64 of the deflated steps>`.

    None: it cannot be read so, or nothing in it is above 0.
    """
    try:
        values = np.frombuffer(base64.b64decode(heat_map, validate=True), dtype="<f2").astype(np.float32)
    except ValueError:
        return None
    if values.size != SIDE * SIDE or not np.isfinite(values).all() or not (top := float(values.max())) > 0:
        return None
    steps = np.rint(np.clip(values, 0, None) * (255 / top)).astype(np.uint8)
    return f"{top:.6g}:{base64.b64encode(zlib.compress(steps.tobytes(), 6)).decode()}"


def unpack_heat(text: str) -> tuple[float, bytes]:
    """(value of step 255, 1024 steps row by row)."""
    top, _, packed = text.partition(":")
    return float(top), zlib.decompress(base64.b64decode(packed))
