"""`bench drift`: cost first, on a quiet process; then all simulated runs on two; then peers. Returns what the JSON says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from streams.workbench.drift_bench import cost, exact, peer_table, samples, targets
from streams.workbench.drift_bench.cells import PROCESSES, measure, workers
from streams.workbench.drift_bench.peers import RiverMissing, require_river
from streams.workbench.drift_bench.plan import FULL, QUICK, cells
from streams.workbench.drift_bench.rows import dump


def bench_drift(quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """targets: a row of JSON each; peers: see `peer_table`; notes: what was left out."""
    began, size, notes = time.monotonic(), QUICK if quick else FULL, list[str]()
    if quick:
        notes.append("quick: few runs a cell, wide errors; a goal can be missed, or met, by chance")
        notes.append("quick: KSWIN is left out, it takes .2 ms a part")
    river = True
    try:
        require_river()
    except RiverMissing as error:
        river = False
        notes.append(str(error))
    tell("cost")
    rows = cost.rows()
    with workers() as pool:
        plan = cells(size)
        tell(f"{sum(plan.values())} runs of {len(plan)} worlds, {PROCESSES} processes")
        rows += targets.rows(measure(pool, plan, tell))
        tell("refresh, dirt, exactness")
        rows += [*samples.rows(pool, size.samples), *exact.rows(pool, size.runs)]
        peers = peer_table.rows(pool, size, river=river, tell=tell)
    return {
        "targets": dump(rows),
        "peers": peers,
        "notes": notes,
        "quick": quick,
        "runs": sum(plan.values()),
        "seconds": round(time.monotonic() - began, 1),
    }
