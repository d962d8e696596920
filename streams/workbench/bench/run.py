"""`bench pipeline`: one run on one set of images and models, Triton on one core, everything else on the other.

Order: ceiling, pipeline, ceiling, half load (pipeline, then direct), models that cost nothing. Ratios within the run count;
the machine is shared and its absolute figures scatter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

import psutil
from confluent_kafka import TopicPartition

from schemas.codec import Reader as Codec
from schemas.envelope import to_millis
from schemas.topics import VERDICT
from schemas.verdict import VerdictV1
from streams.pipeline import PIPELINE
from streams.settings import Settings, cache_folder
from streams.wiring.adapters.kafka import Reader, ends
from streams.wiring.adapters.model_store import ModelStore
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.adapters.triton import TritonClient, ask
from streams.workbench.bench.free_models import PRODUCT, VIEW, free_anomaly, free_classify, free_model_set, free_policy
from streams.workbench.bench.load import Load
from streams.workbench.bench.readiness import wait_all_ready
from streams.workbench.demo.models import child_env, prepare_models
from streams.workbench.demo.plan import Plan, StationPlan
from streams.workbench.fleet import Fleet, Usage
from streams.workbench.observer import quantile
from streams.workbench.plant import SimulatedPlant
from streams.workbench.processes import free_ports
from streams.workbench.servers import Servers

_PRODUCT, _IMAGES, _SEED = "disc", 96, 11
_SETTLE_S, _OVER, _READY_S = 5.0, 1.08, 120.0
_FREE_AT_ONCE = 64
_READ = Codec(VerdictV1)
GATEWAY, OTHER, TRITON = "gateway", frozenset({0}), frozenset({1})


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Processes at one moment. at_ms: since 1970."""

    at_ms: float
    usage: dict[str, Usage]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """What one load through the pipeline came to, between two samples."""

    parts_per_s: float
    cpu_ms_per_part: dict[str, float]
    rss_mb: dict[str, float]
    latencies_ms: list[float]


class NeedsTwoCores(Exception):
    """Triton gets one, the rest another."""


def bench_pipeline(settings: Settings, seconds: float, tell: Callable[[str], None]) -> dict[str, Any]:
    """Returns the JSON. Raises NeedsTwoCores, and what servers and fit raise."""
    if not {0, 1} <= os.sched_getaffinity(0):
        raise NeedsTwoCores("bench pipeline needs cores 0 and 1: one for Triton, one for everything else")
    psutil.Process().cpu_affinity(sorted(OTHER))
    with ExitStack() as stack:
        return _Bench(stack, settings, seconds, tell).run()


class _Verdicts:
    """Verdicts with their append times, from now on."""

    def __init__(self, client: dict[str, Any]) -> None:
        self._client, self._found = client, list[tuple[int, VerdictV1]]()
        self._reader = Reader(client, [TopicPartition(*place, offset) for place, offset in ends(client, [VERDICT]).items()])

    def read(self) -> list[tuple[int, VerdictV1]]:
        """All that were written until now."""
        wanted = ends(self._client, [VERDICT])
        while any(self._reader.at[place] < offset for place, offset in wanted.items()):
            for record in self._reader.take(1.0) or ():
                read = _READ.read(record)
                if read and isinstance(read[1], VerdictV1):
                    self._found.append((record.timestamp_ms, read[1]))
        return self._found

    def close(self) -> None:
        self._reader.__exit__()


def _quiet(verdicts: _Verdicts) -> bool:
    count = len(verdicts.read())
    time.sleep(2)
    return len(verdicts.read()) == count


class _Bench:
    def __init__(self, stack: ExitStack, settings: Settings, seconds: float, tell: Callable[[str], None]) -> None:
        self._seconds, self._tell = seconds, tell
        state = settings.state.resolve() / "bench"
        self._servers = stack.enter_context(
            Servers(state, cores={"triton": TRITON, "kafka": OTHER}, cache=cache_folder(settings))
        )
        known = {"kafka": self._servers.kafka, "triton": self._servers.triton, "state": state, "model_store": self._servers.store}
        self._settings = settings.model_copy(update=known)
        apply_topics(self._settings.client())
        self._fleet = Fleet(state / "logs")
        stack.callback(self._fleet.stop)
        self._folder = state / "images"
        self._load = self._prepare()

    def _prepare(self) -> Load:
        """Models of one product with one view, a policy without geometry, and images rendered beforehand."""
        plant = SimulatedPlant(seed=_SEED, product=_PRODUCT)
        stations = plant.stations(3)
        rows = tuple(
            StationPlan(name=s.name, product=s.product, views=tuple(s.views), first=0, end=0, rate_per_s=1) for s in stations
        )
        with Registry(self._settings.client()) as registry:
            registry.refresh()
            prepare_models(Plan(seed=_SEED, stations=rows), self._settings, registry, self._tell)
            stamp = registry.stamp(_PRODUCT, rows[0].name)
            policy = None if stamp is None else registry.policy(stamp.policy)
            assert policy is not None
            plain = {name: rule.model_copy(update={"geometry": False}) for name, rule in policy.classes.items()}
            changes = {"classes": plain, "geometry": None, "decide_within_s": 600.0}
            registry.publish_policy(policy.model_copy(update=changes), who="bench", why="no segmentation while measuring")
        self._folder.mkdir(parents=True, exist_ok=True)
        for n in range(_IMAGES):
            view = plant.part(rows[0].name, n).views[0]
            (self._folder / f"{n:04d}").write_bytes(view.encoded)
        names = tuple(row.name for row in rows)
        return Load(
            kind="flood", images=str(self._folder), product=_PRODUCT, view=rows[0].views[0], stations=names, seconds=self._seconds
        )

    # ---------------------------------------------------------------- the run
    def run(self) -> dict[str, Any]:
        self._start_processors()
        before = self._ceiling()
        full = self._through(replace(self._load, kind="parts", rate_per_s=_OVER * before))
        after = self._ceiling()
        ceiling = fmean((before, after))
        half = replace(self._load, rate_per_s=ceiling / 2)
        slow = self._through(replace(half, kind="parts"))
        direct = sorted(self._direct(replace(half, kind="paced"))["latencies_ms"])
        free = self._free()
        ours = {name: ms for name, ms in full.cpu_ms_per_part.items() if name != "triton"}
        return {
            "ratio": round(full.parts_per_s / ceiling, 3),
            "parts_per_s": round(full.parts_per_s, 2),
            "ceiling_parts_per_s": round(ceiling, 2),
            "ceilings": [round(before, 2), round(after, 2)],
            "cpu_ms_per_part": _rounded(full.cpu_ms_per_part),
            "cpu_ms_per_part_without_triton": round(sum(ours.values()), 2),
            "added_latency_ms": {name: _added(slow.latencies_ms, direct, share) for name, share in (("p50", 0.5), ("p99", 0.99))},
            "latency_ms": {"p50": quantile(slow.latencies_ms, 0.5), "p99": quantile(slow.latencies_ms, 0.99)},
            "direct_latency_ms": {"p50": quantile(direct, 0.5), "p99": quantile(direct, 0.99)},
            "half_load_parts_per_s": round(ceiling / 2, 2),
            "half_load_cpu_ms_per_part": _rounded(slow.cpu_ms_per_part),
            "free_models": {
                "parts_per_s": round(free.parts_per_s, 1),
                "cpu_ms_per_part": _rounded(free.cpu_ms_per_part),
                "cpu_ms_per_part_without_triton": round(
                    sum(ms for name, ms in free.cpu_ms_per_part.items() if name != "triton"), 2
                ),
            },
            "rss_mb": _rounded(full.rss_mb),
            "image_kb": round(fmean(path.stat().st_size for path in self._folder.iterdir()) / 1000, 1),
        }

    def _start_processors(self) -> None:
        """All are ready and have drunk their first part: nothing is measured that happens once."""
        names = [row.name for row in PIPELINE if row.engine != "web"]  # nobody looks meanwhile
        self._ports: dict[str, int] = dict(zip(names, free_ports(len(names)), strict=True))
        for name, port in self._ports.items():
            environment = {**child_env(self._settings), "VERDICTLINE_HEALTH_PORT": str(port)}
            self._fleet.start(name, ["run", name], environment, OTHER)
        self._through(replace(self._load, kind="parts", rate_per_s=4, seconds=5), settle_s=0)

    def _all_ready(self, timeout_s: float) -> None:
        wait_all_ready(self._ports, timeout_s, self._watch)

    def _watch(self) -> None:
        for line in self._fleet.watch():
            self._tell(line)

    def _ceiling(self) -> float:
        """Parts a second of Triton alone: the best of several ways to send the same calls."""
        ways = [replace(self._load, at_once=at_once, batch=batch, seconds=self._seconds / 3) for at_once, batch in _WAYS]
        rates: list[float] = [found["parts"] / found["seconds"] for found in map(self._direct, ways)]
        self._tell(f"ceiling: {', '.join(f'{rate:.1f}' for rate in rates)} parts/s")
        return max(rates)

    def _direct(self, load: Load) -> dict[str, Any]:
        path = self._settings.state / "direct.json"
        load.write(path)
        command = ["taskset", "-c", "0", sys.executable, "-m", "streams", "feed", "--load", str(path)]
        done = subprocess.run(command, env=child_env(self._settings), stdout=subprocess.PIPE, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _through(self, load: Load, settle_s: float = _SETTLE_S) -> Pipeline:
        path = self._settings.state / "load.json"
        load.write(path)
        self._all_ready(_READY_S)
        verdicts = _Verdicts(self._settings.client())
        self._fleet.start(GATEWAY, ["feed", "--load", str(path)], child_env(self._settings), OTHER)
        self._until(lambda: bool(verdicts.read()), 120)
        time.sleep(settle_s)
        first = self._sample()
        time.sleep(max(1.0, load.seconds - 2 * settle_s))
        last = self._sample()
        self._all_ready(0)
        self._until(lambda: self._fleet.children[GATEWAY].done, 300)
        self._until(lambda: _quiet(verdicts), 300)
        found = verdicts.read()
        verdicts.close()
        return _between(first, last, found)

    def _until(self, holds: Callable[[], bool], timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while not holds():
            self._watch()
            if time.monotonic() > end:
                raise TimeoutError("the pipeline did not finish its load")
            time.sleep(0.2)

    def _sample(self) -> Sample:
        return Sample(at_ms=1000 * time.time(), usage={**self._servers.usage(), **self._fleet.usage()})

    def _free(self) -> Pipeline:
        """The same images through models that cost nothing, as fast as the outbox takes them."""
        store, settings = ModelStore(self._settings.store), self._settings
        files = {"anomaly": free_anomaly(), "classify": free_classify()}
        written = {kind: store.write(f"{PRODUCT}-{kind}", kind, onnx, {}, {}) for kind, onnx in files.items()}
        for model in written.values():
            ask(self._servers.triton, partial(TritonClient.load, model=model.name))
        with Registry(settings.client()) as registry:
            registry.wait_ready()
            registry.publish_model_set(free_model_set(written["anomaly"], written["classify"]), who="bench", why="no arithmetic")
            registry.publish_policy(free_policy(), who="bench", why="no arithmetic")
        return self._through(replace(self._load, kind="parts", product=PRODUCT, view=VIEW, at_once=_FREE_AT_ONCE))


_WAYS = ((2, 1), (8, 1), (2, 8))


def _between(first: Sample, last: Sample, verdicts: list[tuple[int, VerdictV1]]) -> Pipeline:
    inside = [(at, verdict) for at, verdict in verdicts if first.at_ms <= at < last.at_ms]
    parts = max(1, len(inside))
    spent = {name: used.cpu_s - first.usage[name].cpu_s for name, used in last.usage.items() if name in first.usage}
    latencies = sorted(float(at - to_millis(v.captured_at)) for at, v in inside if v.captured_at is not None)
    return Pipeline(
        parts_per_s=len(inside) / ((last.at_ms - first.at_ms) / 1000),
        cpu_ms_per_part={name: 1000 * cpu_s / parts for name, cpu_s in spent.items()},
        rss_mb={name: used.rss_mb for name, used in last.usage.items()},
        latencies_ms=latencies,
    )


def _added(ours: list[float], direct: list[float], share: float) -> float | None:
    a, b = quantile(ours, share), quantile(direct, share)
    return None if a is None or b is None else round(a - b, 1)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}
