"""One console per test, over databases of its own; one Chromium per file: while it runs, its thread takes no other event loop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.helpers.chromium import chromium
from tests.helpers.console import Desk, console


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with console(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found
