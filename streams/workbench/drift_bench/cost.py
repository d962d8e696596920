"""Target 12: what a part costs, how large a state gets, how long a fit takes. CPU time of this process, the least of several.

The least is what the work costs, the middle what it cost on this machine with all that went on beside it. Notes give the middle,
and how long a plain loop took, least and middle, so that figures of two machines can be compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Literal

from streams.monitors.baseline import Baseline
from streams.monitors.detector import init, step
from streams.monitors.packing import pack
from streams.monitors.score import Score
from streams.monitors.segments import apply, numbered
from streams.monitors.state import State
from streams.workbench.drift_bench.cells import chance
from streams.workbench.drift_bench.estimate import Estimate
from streams.workbench.drift_bench.rows import Row
from streams.workbench.drift_bench.simulator import Moved, World, reference, stream

_TIMES, _STEPS, _BATCH = 9, 20_000, 1_000_000
_LEARNT = 4000  # parts: what is normal has been learned
_TURNS = 200_000
_CALM = 1e8  # parts between false alarms that a plant with 200 streams allows each: none in the stretch that is timed


def rows() -> list[Row]:
    """On production without a change, after the learning; the state while a change comes, is named and lasts."""
    rng = chance("cost", 0)
    normal = reference(World(), 2000, rng).scores.tolist()
    baseline = Baseline.fit(normal, arl0=1e5)
    parts = _scores(stream(World(), _LEARNT + _STEPS, rng).scores.tolist())
    learnt, quiet = _last(baseline, init(baseline), parts[:_LEARNT]), parts[_LEARNT:]
    long = stream(World(), _BATCH, rng).scores
    moved = _scores(stream(World(), 2 * _STEPS, rng, Moved(shift=0.5), _STEPS).scores.tolist())
    sizes = [len(pack(state)) for state in _states(baseline, moved)]
    largest = Estimate(value=max(sizes), se=0.0, runs=len(sizes))
    spun = _least(_spin, _TURNS / 1e9)
    speed = f"a turn of `for i in range(n): x += i & 7` takes {spun.value:.0f} ns here, {_middle(spun):.0f} in the median"
    stepped = _least(lambda: _last(baseline, learnt, quiet), _STEPS / 1e6)
    calm = Baseline.fit(normal, arl0=_CALM)
    batched = _least(lambda: apply(calm, init(calm), numbered(calm, long)), _BATCH / 1e6)
    with_events = _least(lambda: apply(baseline, init(baseline), numbered(baseline, long)), _BATCH / 1e6)
    median_us = f"median {_middle(stepped):.2f} us"
    note = f"median {_middle(batched):.3f} us; at ARL0 {_CALM:.0e}, with the false alarms of ARL0 1e5 {with_events.value:.3f} us"
    fit = _least(lambda: Baseline.fit(normal, arl0=1e5), 1e-3)
    return [
        _row("CPU of a part, step by step in plain Python", "us", stepped, 2.0, "1.0-1.3", f"{median_us}; {speed}"),
        _row("CPU of a part, batched", "us", batched, 0.05, ".034", note),
        _row("CPU of a fit of 2000 scores, warm", "ms", fit, 10.0, "1.4"),
        Row(target=12, name="state, packed, at its largest", unit="bytes", found=largest, goal=512, prototype="292"),
    ]


def _spin() -> None:
    x = 0
    for i in range(_TURNS):
        x += i & 7


def _row(name: str, unit: Literal["us", "ms"], found: Estimate, goal: float, prototype: str, note: str = "") -> Row:
    return Row(target=12, name=name, unit=unit, found=found, goal=goal, prototype=prototype, note=note)


def _middle(found: Estimate) -> float:
    return found.value + found.se


def _least(work: Callable[[], object], per: float) -> Estimate:
    """CPU seconds over `per`: the least of nine, and how far the middle one lies above it."""
    work()
    times = []
    for _ in range(_TIMES):
        began = time.process_time()
        work()
        times.append((time.process_time() - began) / per)
    return Estimate(value=min(times), se=median(times) - min(times), runs=_TIMES)


def _scores(values: Sequence[float]) -> list[Score]:
    return [Score(value, 0, n, n) for n, value in enumerate(values)]


def _last(baseline: Baseline, state: State, scores: Sequence[Score]) -> State:
    for score in scores:
        state, _ = step(baseline, state, score)
    return state


def _states(baseline: Baseline, scores: Sequence[Score]) -> Iterator[State]:
    state = init(baseline)
    for score in scores:
        state, _ = step(baseline, state, score)
        yield state
