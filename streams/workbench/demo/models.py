"""Models and policies for a demonstration: fitted once by `verdictline fit` in children of their own, then kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from schemas.common import canonical
from schemas.model_set import ModelSetV1
from schemas.policy import GOOD, ClassRuleV1, GeometryV1, PolicyV1, SeverityRuleV1
from streams.settings import Settings
from streams.wiring.adapters.registry import Registry
from streams.workbench.demo.plan import Plan
from streams.workbench.demo.plant_process import plant_of
from streams.workbench.plant import PRODUCTS, save

PER_CLASS, GOOD_PARTS = 40, 160
DECIDE_WITHIN_S = 10.0
SCRAP_FROM_MM = 4.0
_WHO, _WHY = "demo", "demonstration of a simulated plant"


class FitFailed(Exception):
    """A fit ended badly; the text is its last line and where its output is."""


def prepare_models(plan: Plan, settings: Settings, registry: Registry, tell: Callable[[str], None]) -> None:
    """Fit the products that have no models of this plan's data yet, and put the demonstration's policies in force."""
    stations = {station.product: station.name for station in plan.stations}
    todo = [product for product, name in sorted(stations.items()) if not _kept(plan, settings, registry, product, name)]
    with ThreadPoolExecutor(2) as pool:
        for line in pool.map(lambda product: _fit(plan, settings, product), todo):
            tell(line)
    registry.refresh()
    for station in {station.product: station for station in plan.stations}.values():
        stamp = registry.stamp(station.product, station.name)
        policy = None if stamp is None else registry.policy(stamp.policy)
        models = None if stamp is None else registry.model_set(stamp.model_set)
        if policy is None or models is None:
            raise FitFailed(f"{station.product}: nothing is in force after its fit")
        registry.publish_policy(demo_policy(policy, models), who=_WHO, why=_WHY)


def demo_policy(policy: PolicyV1, models: ModelSetV1) -> PolicyV1:
    """The fit's starting policy with the plant's deadline and, where its scale is known, sizes that decide."""
    known = PRODUCTS.get(policy.product)
    changes: dict[str, object] = {"decide_within_s": DECIDE_WITHIN_S, "audit_fraction": 0.05}
    if known is not None and models.model("segmentation") is not None:
        classes = {
            name: rule if name == GOOD else ClassRuleV1(threshold=rule.threshold, disposition="rework", geometry=True)
            for name, rule in policy.classes.items()
        }
        rules = (SeverityRuleV1(measure="length_mm", at_least=SCRAP_FROM_MM, disposition="scrap"),)
        geometry = GeometryV1(mm_per_px={"*": known.mm_per_px}, u_scale=0.01, coverage=1.0, rules=rules)
        changes |= {"classes": classes, "geometry": geometry}
    return policy.model_copy(update=changes)


def _key(plan: Plan, product: str) -> str:
    folder = str(plan.folder.resolve()) if plan.folder else None
    facts = {"product": product, "seed": plan.seed, "folder": folder, "share": plan.fit_share, "counts": [PER_CLASS, GOOD_PARTS]}
    facts["dirty"] = plan.knobs.dirty_normals
    return hashlib.sha256(canonical(facts)).hexdigest()


def _kept(plan: Plan, settings: Settings, registry: Registry, product: str, station: str) -> bool:
    """This plan's fit was done here, and its model set is still the one in force."""
    mark = _mark(settings, product)
    stamp = registry.stamp(product, station)
    if stamp is None or not mark.exists():
        return False
    return bool(json.loads(mark.read_text(encoding="utf-8")) == {"key": _key(plan, product), "model_set": stamp.model_set})


def _mark(settings: Settings, product: str) -> Path:
    return settings.state / "fits" / f"{product}.json"


def _fit(plan: Plan, settings: Settings, product: str) -> str:
    folder = settings.state / "training" / product
    shutil.rmtree(folder, ignore_errors=True)
    save(plant_of(plan).training_set(product, PER_CLASS, GOOD_PARTS), folder)
    mark = _mark(settings, product)
    mark.parent.mkdir(parents=True, exist_ok=True)
    log = mark.with_suffix(".log")
    options = ["--product", product, "--seed", str(plan.seed), "--who", _WHO, "--why", _WHY, "--replace-policy", "--json"]
    command = [sys.executable, "-m", "streams", "fit", str(folder), *options]
    with log.open("w", encoding="utf-8") as errors:
        done = subprocess.run(command, env=child_env(settings), stdout=subprocess.PIPE, stderr=errors, check=False)
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"]
        raise FitFailed(f"fitting {product} failed: {lines[-1]} ({log})")
    report = json.loads(done.stdout)
    mark.write_text(json.dumps({"key": _key(plan, product), "model_set": report["model_set"]}), encoding="utf-8")
    return "; ".join([f"fitted {product}", *_said(report)])


def _said(report: dict[str, object]) -> Sequence[str]:
    notes = report.get("notes")
    return [str(note) for note in notes] if isinstance(notes, list) else []


def child_env(settings: Settings) -> dict[str, str]:
    """Settings for a child process, as environment."""
    values = {
        "VERDICTLINE_KAFKA": settings.kafka,
        "VERDICTLINE_TRITON": settings.triton,
        "VERDICTLINE_STATE": str(settings.state),
        "VERDICTLINE_MODEL_STORE": str(settings.store),
        "VERDICTLINE_KAFKA_CLIENT": json.dumps(settings.kafka_client),
        "VERDICTLINE_SUMMARY_EVERY_S": str(settings.summary_every_s),
        "VERDICTLINE_CONSOLE_PORT": str(settings.console_port),
        "VERDICTLINE_LOG_LEVEL": settings.log_level,
        "OMP_NUM_THREADS": "1",
    }
    return {**os.environ, **{name: value for name, value in values.items() if value is not None}}
