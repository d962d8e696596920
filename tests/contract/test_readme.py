"""The README says what is there: its commands exist with their options, its table and its tree are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.__main__ import COMMANDS, application
from streams.pipeline import PIPELINE
from tests.helpers.commands import insist_on_command

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = re.findall(r"^uv run verdictline ([^#\n]+)", README, re.MULTILINE)


def _blocks() -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("line", sorted({" ".join(line.split()) for line in LINES}))
def test_every_command_exists_with_its_options(line: str) -> None:
    insist_on_command(line)


def test_every_command_has_a_line_of_help() -> None:
    shown = CliRunner().invoke(application([]), ["--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    for name in {name.split()[0] for name in COMMANDS}:
        assert re.search(rf"^[│| ]*{name} +\S+", shown.output, re.MULTILINE), name


def test_the_table_of_processors_is_the_map() -> None:
    rows = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in README.splitlines() if line.startswith("| `")]
    assert rows[1:] == [(f"`{r.name}`", ", ".join(r.reads), ", ".join(r.writes), r.engine, r.answers) for r in PIPELINE]


def test_the_tree_is_there() -> None:
    (tree,) = [block for block in _blocks() if block.startswith("schemas/ ")]
    parents: dict[int, Path] = {}
    named = set()
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        for entry in re.split(r" {2,}", line.strip())[0].split():
            path = parents.get(depth - 1, ROOT) / entry
            assert path.exists(), path
            named.add(path)
            parents[depth] = path
    packages = {path.parent for path in (ROOT / "streams").glob("*/__init__.py")}
    assert packages <= named, packages - named


def test_the_shown_output_was_run() -> None:
    assert "verdictline demo" in README
    assert re.search(r"announced (\d+), judged \1, missing 0, conflicts 0", README)
    assert not re.search(r"^[A-Z]+_[A-Z]+$", README, re.MULTILINE), "a placeholder"
