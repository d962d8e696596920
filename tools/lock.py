"""Writes requirements.lock (exact versions with hashes) and the same versions as constraints into pyproject.toml.

    uv run python tools/lock.py            adds what a new dependency needs, changes nothing else
    uv run python tools/lock.py --upgrade  takes the newest versions that fit

Neither file names an index, so both work wherever the machine gets its packages from. uv.lock, which does, is not committed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYPROJECT, LOCK = ROOT / "pyproject.toml", ROOT / "requirements.lock"
BEGIN, END = "# --- written by tools/lock.py\n", "# --- end of tools/lock.py\n"
EXPORT = ["uv", "export", "--quiet", "--frozen", "--all-groups", "--no-emit-project", "--no-header", "--no-annotate"]


def versions(lock: str) -> list[str]:
    """`name==version`, with its marker where it has one, of every package in the lock."""
    lines = (line for line in lock.splitlines() if line and not line.startswith((" ", "#")))
    return [line.removesuffix("\\").strip() for line in lines]


def with_constraints(pyproject: str, constraints: list[str]) -> str:
    """The text of pyproject.toml with the block between the two marks replaced. Raises ValueError where they are missing."""
    head, begin, rest = pyproject.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"pyproject.toml has no block between {BEGIN!r} and {END!r}")
    rows = "".join(f'    "{constraint}",\n' for constraint in constraints)
    return f"{head}{BEGIN}constraint-dependencies = [\n{rows}]\n{END}{tail}"


def main(upgrade: bool) -> None:
    if upgrade:
        PYPROJECT.write_text(with_constraints(PYPROJECT.read_text(), []))
    subprocess.run(["uv", "lock", *(["--upgrade"] if upgrade else [])], cwd=ROOT, check=True)
    lock = subprocess.run([*EXPORT, "--format", "requirements.txt"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    if "://" in lock:
        raise SystemExit("the lock names an address: a dependency does not come from an index")
    LOCK.write_text(lock)
    PYPROJECT.write_text(with_constraints(PYPROJECT.read_text(), versions(lock)))
    subprocess.run(["uv", "lock", "--quiet"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main("--upgrade" in sys.argv[1:])
