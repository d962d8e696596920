"""The project's own files agree with each other: lock and constraints, the gate and the README."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from tools.lock import versions, with_constraints

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()


def test_lock_and_constraints_are_equal() -> None:
    """Else `uv run` and `pip install -r requirements.lock` give different versions: run tools/lock.py."""
    assert PYPROJECT["tool"]["uv"]["constraint-dependencies"] == versions(LOCK)


def test_every_version_is_exact_hashed_and_names_no_address() -> None:
    exact = re.compile(r"[A-Za-z0-9._-]+==[^ =]+( ; .+)?")
    assert all(exact.fullmatch(version) for version in versions(LOCK))
    requirements = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(requirements) == len(versions(LOCK)) > 50
    assert all("--hash=sha256:" in requirement for requirement in requirements)
    assert "://" not in LOCK


def test_every_dependency_is_locked() -> None:
    groups = [PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"].values()]
    named = {re.split(r"[^A-Za-z0-9_.-]", one, maxsplit=1)[0].lower().replace("_", "-") for group in groups for one in group}
    assert named <= {version.split("==")[0].lower() for version in versions(LOCK)}


def test_the_block_is_replaced_and_a_missing_one_is_told() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert with_constraints(text, versions(LOCK)) == text
    assert tomllib.loads(with_constraints(text, ["a==1"]))["tool"]["uv"]["constraint-dependencies"] == ["a==1"]
    with pytest.raises(ValueError, match="has no block"):
        with_constraints("[tool.uv]\n", [])


def test_the_gate_runs_the_readmes_test_command_with_the_locked_uv() -> None:
    gate = ROOT / ".ci" / "run"
    assert os.access(gate, os.X_OK)
    lines = gate.read_text().splitlines()
    assert {"uv run ruff check", "uv run ruff format --check", "uv run mypy", "uv run pytest"} <= set(lines)
    assert "set -euo pipefail" in lines
    (version,) = [line.split("=")[1] for line in lines if line.startswith("UV_VERSION=")]
    assert f"uv=={version}" in versions(LOCK)
    assert "uv run pytest" in (ROOT / "README.md").read_text()
