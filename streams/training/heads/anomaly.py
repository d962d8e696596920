"""Anomaly head: how far the trunk's features lie from two banks of good ones. Knows no threshold.

The scores of good parts that calibrate it are honest: banks fitted without a part's group score that part, because a bank
scores its own images low. Served scores come from banks of all good parts, and are therefore rather lower than higher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from streams.training.features import (
    LEVELS,
    SIZE_PX,
    TOP_FRACTION,
    Features,
    FloatArray,
    IntArray,
    l2_normalize,
    positions,
    rows,
    smooth3,
    top_mean,
    upsample,
)
from streams.training.graph import GraphBuilder
from streams.training.heads.coreset import candidates, coreset, nearest

MID_SIZE = DEEP_SIZE = 1024
MID_GRID, DEEP_GRID = SIZE_PX // 8, SIZE_PX // 32
NEEDS = ("f8", "f16", "f32")
_CHUNK = 16
_BANK_CHUNK = 1024  # bounds the scratch memory of the product to (positions, 1024) an image


@dataclass(frozen=True, kw_only=True, eq=False)
class Banks:
    """mid (B, 152), deep (b, 320); deep_mean, deep_std (320): per channel, over the good images in the banks."""

    mid: FloatArray
    deep: FloatArray
    deep_mean: FloatArray
    deep_std: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class AnomalyHead:
    """scales: mean and standard deviation of the map's values on good images outside the banks."""

    banks: Banks
    mid_scale: tuple[float, float]
    deep_scale: tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedAnomaly:
    """scores: (n,) of the good images it was fitted on, each from banks without its group."""

    head: AnomalyHead
    scores: FloatArray


def fit_anomaly(good: Features, folds: IntArray, rng: np.random.Generator) -> FittedAnomaly:
    """good: features of good images only; folds: of each image, whole groups together, at least two."""
    queries = mid_queries(good)
    mid = np.empty((len(folds), MID_GRID**2), np.float32)
    deep = np.empty((len(folds), DEEP_GRID**2), np.float32)
    for fold in np.unique(folds):
        out = folds == fold
        banks = fit_banks(good, queries, np.flatnonzero(~out), rng)
        mid[out], deep[out] = (
            nearest(queries[out], banks.mid),
            nearest(deep_queries(rows(good, out), banks.deep_mean, banks.deep_std), banks.deep),
        )
    head = AnomalyHead(
        banks=fit_banks(good, queries, np.arange(len(folds)), rng),
        mid_scale=(float(mid.mean()), float(mid.std())),
        deep_scale=(float(deep.mean()), float(deep.std())),
    )
    return FittedAnomaly(head=head, scores=_scores(head, mid, deep)["score"][:, 0])


def fit_banks(good: Features, queries: FloatArray, images: IntArray, rng: np.random.Generator) -> Banks:
    """queries: `mid_queries(good)`; images: those of them that the banks may know."""
    f32 = good["f32"][images]
    mean, std = f32.mean((0, 2, 3)), f32.std((0, 2, 3)) + np.float32(1e-4)
    deep = deep_queries({"f32": f32}, mean, std)
    return Banks(
        mid=coreset(candidates(queries, images, rng), MID_SIZE, rng),
        deep=coreset(candidates(deep, np.arange(len(deep)), rng), DEEP_SIZE, rng),
        deep_mean=mean,
        deep_std=std,
    )


def mid_queries(f: Features) -> FloatArray:
    """(n, 1024, 152): strides 8 and 16, each level L2-normalised and smoothed, on the 32 x 32 grid."""
    out = np.empty((len(f["f8"]), MID_GRID**2, LEVELS["f8"] + LEVELS["f16"]), np.float32)
    for start in range(0, len(out), _CHUNK):  # the steps between need several times the memory of the result
        f8, f16 = f["f8"][start : start + _CHUNK], f["f16"][start : start + _CHUNK]
        q = np.concatenate([smooth3(l2_normalize(f8)), upsample(smooth3(l2_normalize(f16)), 2)], 1)
        out[start : start + _CHUNK] = positions(q)
    return out


def deep_queries(f: Features, mean: FloatArray, std: FloatArray) -> FloatArray:
    """(n, 64, 320): stride 32, z-scored per channel, L2-normalised, smoothed, on the 8 x 8 grid."""
    return positions(smooth3(l2_normalize(np.asarray((f["f32"] - mean[:, None, None]) / std[:, None, None], np.float32))))


def anomaly_reference(head: AnomalyHead, f: Features) -> dict[str, FloatArray]:
    """What the graph must give: score, score_mid, score_deep (n, 1) and anomaly_map (n, 32, 32)."""
    return _scores(
        head,
        nearest(mid_queries(f), head.banks.mid),
        nearest(deep_queries(f, head.banks.deep_mean, head.banks.deep_std), head.banks.deep),
    )


def _scores(head: AnomalyHead, mid: FloatArray, deep: FloatArray) -> dict[str, FloatArray]:
    """From distances (n, 1024) and (n, 64). The map comes from the mid level alone: fusing blurs it."""
    n = len(mid)
    mid = (mid - head.mid_scale[0]) / head.mid_scale[1]
    deep = (deep - head.deep_scale[0]) / head.deep_scale[1]
    deep = upsample(deep.reshape(n, 1, DEEP_GRID, DEEP_GRID), MID_GRID // DEEP_GRID).reshape(n, -1)
    return {
        "score": top_mean(np.asarray((mid + deep) / 2, np.float32)),
        "score_mid": top_mean(mid),
        "score_deep": top_mean(deep),
        "anomaly_map": mid.reshape(n, MID_GRID, MID_GRID).astype(np.float32),
    }


def add_anomaly(g: GraphBuilder, f: Mapping[str, str], head: AnomalyHead) -> None:
    """Append the head and its four outputs. f: names of the trunk's levels."""
    banks = head.banks
    level16 = g.upsample(g.smooth3(g.l2_normalize(f["f16"])), 2)
    queries = g.op("Concat", g.smooth3(g.l2_normalize(f["f8"])), level16, axis=1)
    mid = _add_nearest(g, queries, banks.mid, head.mid_scale, MID_GRID)
    centred = g.op("Sub", f["f32"], g.const(banks.deep_mean[:, None, None]))
    z = g.smooth3(g.l2_normalize(g.op("Div", centred, g.const(banks.deep_std[:, None, None]))))
    deep = g.upsample(_add_nearest(g, z, banks.deep, head.deep_scale, DEEP_GRID), MID_GRID // DEEP_GRID)
    fused = g.op("Mul", g.op("Add", mid, deep), g.const(0.5))
    g.output("score", _add_top_mean(g, fused), [1])
    g.output("score_mid", _add_top_mean(g, mid), [1])
    g.output("score_deep", _add_top_mean(g, deep), [1])
    g.output("anomaly_map", g.op("Squeeze", mid, g.ints(1)), [MID_GRID, MID_GRID])


def _add_nearest(g: GraphBuilder, q: str, bank: FloatArray, scale: tuple[float, float], side: int) -> str:
    """q (n, c, side, side) -> scaled distance (n, 1, side, side); |q - b|^2 = |q|^2 + (|b|^2 - 2 q.b)."""
    vectors = g.op("Reshape", g.op("Transpose", q, perm=[0, 2, 3, 1]), g.ints(-1, bank.shape[1]))
    parts = []
    for chunk in np.array_split(bank, -(-len(bank) // _BANK_CHUNK)):
        product = g.op("Gemm", vectors, g.const(-2 * chunk.T), g.const((chunk * chunk).sum(1)))
        parts.append(g.op("ReduceMin", product, g.ints(1), keepdims=1))
    best = g.op("Min", *parts) if len(parts) > 1 else parts[0]
    square = g.op("Add", best, g.op("ReduceSumSquare", vectors, g.ints(1), keepdims=1))
    distance = g.op("Sqrt", g.op("Max", square, g.const(0.0)))
    scaled = g.op("Div", g.op("Sub", distance, g.const(scale[0])), g.const(scale[1]))
    return g.op("Reshape", scaled, g.ints(-1, 1, side, side))


def _add_top_mean(g: GraphBuilder, grid_map: str) -> str:
    k = max(1, round(MID_GRID * MID_GRID * TOP_FRACTION))
    values = g.top_k(g.op("Flatten", grid_map), k, axis=1)
    return g.op("ReduceMean", values, g.ints(1), keepdims=1)
