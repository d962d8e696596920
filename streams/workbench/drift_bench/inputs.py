"""What a peer is given of a run: scores as z values, as clipped normal ranks, as deciles of the reference. Knows no peer."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from streams.workbench.drift_bench.families import Values
from streams.workbench.drift_bench.simulator import Sample

Input = Literal["z", "rank", "decile"]
CLIP = 2.0
DECILES = 10


@dataclass(frozen=True, kw_only=True)
class Fed:
    """reference, production: the same scale, in the order of time."""

    reference: Values
    production: Values


def fed(kind: Input, normal: Sample, production: Sample) -> Fed:
    """Both samples in terms of the reference alone."""
    scale = {"z": _z, "rank": _rank, "decile": _decile}[kind]
    return Fed(reference=scale(normal.scores, normal.scores), production=scale(normal.scores, production.scores))


def _z(reference: Values, scores: Values) -> Values:
    return np.asarray((scores - reference.mean()) / reference.std(), dtype=np.float64)


def _rank(reference: Values, scores: Values) -> Values:
    """Normal scores of middle ranks, clipped to +-2: a defect counts as a moderately high part."""
    ordered, n = np.sort(reference), len(reference)
    middle = (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")).astype(np.intp)
    table = np.array([NormalDist().inv_cdf((k / 2 + 0.5) / (n + 1)) for k in range(2 * n + 1)])
    return np.asarray(np.clip(table[middle], -CLIP, CLIP), dtype=np.float64)


def _decile(reference: Values, scores: Values) -> Values:
    """Number of the decile, 0 to 9; ties go to the lower one."""
    edges = np.quantile(reference, np.arange(1, DECILES) / DECILES, method="inverted_cdf")
    return np.searchsorted(edges, scores, "left").astype(np.float64)
