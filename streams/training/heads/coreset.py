"""A bank of vectors that spreads over what 'good' looks like, and the distance to it.

Greedy k-centre: O. Sener, S. Savarese, ICLR 2018; for anomaly banks: K. Roth et al., PatchCore, CVPR 2022.
"""

from __future__ import annotations

import numpy as np

from streams.training.features import FloatArray, IntArray

CANDIDATES = 20_000
PROJECTED = 48  # dimensions: enough to tell near from far


def candidates(x: FloatArray, images: IntArray, rng: np.random.Generator) -> FloatArray:
    """At most 20,000 of the vectors x (n, positions, d) of these images, so that the time does not depend on the data."""
    positions = x.shape[1]
    total = len(images) * positions
    chosen = rng.choice(total, CANDIDATES, replace=False) if total > CANDIDATES else np.arange(total)
    return np.asarray(x[images[chosen // positions], chosen % positions])


def coreset(x: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
    """`size` of the vectors x (n, d), each the farthest from those before it, measured on a random projection."""
    if len(x) <= size:
        return x
    p = np.asarray(x @ (rng.standard_normal((x.shape[1], PROJECTED)) / np.sqrt(PROJECTED)).astype(np.float32))
    norms = np.einsum("ij,ij->i", p, p)
    chosen = np.empty(size, np.int64)
    chosen[0] = rng.integers(len(x))
    distance = np.full(len(x), np.inf, np.float32)
    for i in range(1, size):
        last = chosen[i - 1]
        np.minimum(distance, norms - 2 * (p @ p[last]) + norms[last], out=distance)
        chosen[i] = int(distance.argmax())
    return np.ascontiguousarray(x[chosen])


def nearest(queries: FloatArray, bank: FloatArray) -> FloatArray:
    """Euclidean distance of each query (n, positions, d) to its nearest bank vector: (n, positions)."""
    norms = (bank * bank).sum(1)
    out = np.empty(queries.shape[:2], np.float32)
    for i, q in enumerate(queries):
        out[i] = np.sqrt(np.maximum((q * q).sum(1) - (2 * q @ bank.T - norms).max(1), 0))
    return out
