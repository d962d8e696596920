"""One console per test, over databases of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.console import Desk, console


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with console(tmp_path) as found:
        yield found
