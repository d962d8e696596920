"""Each database has one line of schema versions: two that were written at the same time would leave it without a head."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ADAPTERS = Path(__file__).parents[2] / "streams/wiring/adapters"
FOLDERS = sorted(ADAPTERS.glob("*/migrations/versions"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parents[1].name)
def test_every_version_follows_the_one_before(folder: Path) -> None:
    files = sorted(folder.glob("v*.py"))
    numbers = [path.name[1:5] for path in files]
    assert numbers == [f"{n:04d}" for n in range(1, len(files) + 1)]
    for path, number in zip(files, numbers, strict=True):
        text = path.read_text()
        assert re.search(r'^revision = "(\d+)"', text, re.MULTILINE)[1] == number  # type: ignore[index]
        before = re.search(r'^down_revision = "(\d+)"', text, re.MULTILINE)
        assert (before[1] if before else None) == (None if number == "0001" else f"{int(number) - 1:04d}")


def test_both_databases_are_looked_at() -> None:
    assert {"database", "desk"} <= {folder.parents[1].name for folder in FOLDERS}
