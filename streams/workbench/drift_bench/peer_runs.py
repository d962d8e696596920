"""Peers on the cells that the drift monitor is measured on: the same streams. Knows no goal."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from streams.workbench.drift_bench.cells import Cell, draw, pieces
from streams.workbench.drift_bench.inputs import fed
from streams.workbench.drift_bench.peers import CHARTS, LEARNERS, Learner, Peer, first_alarm, first_reach

PEERS: dict[str, Peer] = {peer.name: peer for peer in (*CHARTS, *LEARNERS)}
_AT_ONCE = 50


@dataclass(frozen=True, kw_only=True)
class Task:
    """One peer at one sensitivity on some runs of a cell."""

    peer: str
    sensitivity: float
    cell: Cell
    runs: range


def alarms(pool: Executor, peer: str, sensitivity: float, cell: Cell, runs: int) -> list[int | None]:
    """Where it first alarms in each run, from 0."""
    at_once = 2 if isinstance(PEERS[peer], Learner) else _AT_ONCE
    tasks = [Task(peer=peer, sensitivity=sensitivity, cell=c, runs=some) for c, some in pieces({cell: runs}, at_once)]
    return [place for places in pool.map(alarms_of, tasks) for place in places]


def alarms_of(task: Task) -> list[int | None]:
    """In this process."""
    peer = PEERS[task.peer]
    streams = [fed(peer.takes, *draw(task.cell, run)) for run in task.runs]
    if isinstance(peer, Learner):
        return [first_alarm(peer, task.sensitivity, run) for run in streams]
    return first_reach(peer.path(np.column_stack([run.production for run in streams])), task.sensitivity)
