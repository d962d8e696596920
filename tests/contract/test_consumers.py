"""The consumer kit stands alone: an integrator copies one file.

What a program imports, it declares; the loop is everywhere the same.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.contract.test_architecture import imported

KIT = Path(__file__).parents[2] / "deploy/consumers"
PROGRAMS = sorted(KIT.glob("*.py"))
PACKAGES = {"confluent_kafka": "confluent-kafka", "paho": "paho-mqtt", "pg8000": "pg8000"}


def inline_metadata(path: Path) -> dict[str, list[str]]:
    """The block of PEP 723."""
    (block,) = re.findall(r"(?m)^# /// script\n((?:^#(?: .*)?\n)+?)^# ///$", path.read_text())
    return tomllib.loads("".join(line[2:] + "\n" for line in block.splitlines()))


def loop(path: Path) -> str:
    return path.read_text().partition("# --- the loop:")[2].partition("# --- end of the loop")[0]


def test_there_are_programs() -> None:
    assert {path.stem for path in PROGRAMS} >= {"mqtt", "postgres", "qdas"}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_imports_what_it_declares_and_nothing_of_ours(path: Path) -> None:
    tops = {module.split(".")[0] for module in imported(path)} - set(sys.stdlib_module_names)
    assert not tops & {"schemas", "streams", "tests", "tools"}
    declared = {one.partition("==")[0] for one in inline_metadata(path)["dependencies"]}
    assert {PACKAGES[top] for top in tops} <= declared
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"__import__", "exec", "eval"}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_its_versions_are_those_that_are_tested(path: Path) -> None:
    project = tomllib.loads((KIT.parents[1] / "pyproject.toml").read_text())
    pinned = set(project["tool"]["uv"]["constraint-dependencies"])
    assert set(inline_metadata(path)["dependencies"]) <= pinned


def test_the_loop_is_the_same_in_every_program() -> None:
    assert len({loop(path) for path in PROGRAMS}) == 1
    assert "def run(" in loop(PROGRAMS[0])


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_its_help_needs_no_server(path: Path) -> None:
    shown = subprocess.run([sys.executable, str(path), "--help"], capture_output=True, text=True, check=True)
    for option in ("--kafka", "--group", "--park"):
        assert option in shown.stdout
