"""Clusters in a process of its own, which ends with them: scikit-learn and scipy would stay in the caller's memory.

`python -m streams.wiring.clustering` reads what `clusters_in_child` writes, and answers with JSON. Knows no database.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from streams.fates import Unavailable
from streams.review.clusters import LEAST_MEMBERS, MOST, Cluster, Member, Unknown, clustered

_WITHIN_S = 120.0
_NICE = 5  # nobody waits for it as for a page


def clusters_in_child(unknowns: Sequence[Unknown]) -> list[Cluster]:
    """As `clustered`. All embeddings have one width. Raises Unavailable where the process fails or takes too long."""
    newest = sorted(unknowns, key=lambda one: (-one.at_ms, one.inspection))[:MOST]
    if len(newest) < 2 * LEAST_MEMBERS:
        return []
    command = [sys.executable, "-m", "streams.wiring.clustering"]
    try:
        done = subprocess.run(command, input=_packed(newest), capture_output=True, timeout=_WITHIN_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"unknowns cannot be grouped now: {error}") from error
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise Unavailable(f"unknowns cannot be grouped now: exit status {done.returncode}, {last[:300]}")
    return [_cluster(one) for one in json.loads(done.stdout)]


def _packed(unknowns: Sequence[Unknown]) -> bytes:
    """Embeddings as float16, as the topic had them; a missing size or shape as 0."""
    out = io.BytesIO()
    np.savez(
        out,
        inspections=np.array([one.inspection for one in unknowns], "U"),
        stations=np.array([one.station for one in unknowns], "U"),
        at_ms=np.array([one.at_ms for one in unknowns], np.int64),
        area_shares=np.array([one.area_share or 0 for one in unknowns], np.float64),
        elongations=np.array([one.elongation or 0 for one in unknowns], np.float64),
        embeddings=np.array([one.embedding for one in unknowns], np.float16),
    )
    return out.getvalue()


def _unpacked(data: bytes) -> list[Unknown]:
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        columns = [found[name] for name in ("inspections", "stations", "at_ms", "embeddings", "area_shares", "elongations")]
    return [
        Unknown(
            inspection=str(inspection),
            station=str(station),
            at_ms=int(at_ms),
            embedding=embedding,
            area_share=float(area) or None,
            elongation=float(elongation) or None,
        )
        for inspection, station, at_ms, embedding, area, elongation in zip(*columns, strict=True)
    ]


def _cluster(data: Mapping[str, Any]) -> Cluster:
    members = tuple(Member(**one) for one in data["members"])
    return Cluster(**{**data, "members": members, "stations": tuple(data["stations"])})


def main() -> None:
    os.nice(_NICE)
    found = clustered(_unpacked(sys.stdin.buffer.read()))
    json.dump([asdict(one) for one in found], sys.stdout)


if __name__ == "__main__":
    main()
