"""Every row of the map has a processor that its process can run: it stops, says whether it is ready, and how far it has come."""

from __future__ import annotations

from importlib import import_module
from typing import get_type_hints

import pytest

from streams.pipeline import PIPELINE, Row

FACE = {"run", "ready", "positions"}


@pytest.mark.parametrize("row", PIPELINE, ids=lambda row: row.name)
def test_a_processor_has_what_its_process_asks(row: Row) -> None:
    """As in `shell.Engine`; `build` says what it gives. faust hears signals itself."""
    build = import_module(f"streams.wiring.processors.{row.name}").build
    given = get_type_hints(build)["return"]
    wanted = FACE if row.engine == "faust" else FACE | {"stop"}
    assert not {name for name in wanted if not callable(getattr(given, name, None))}, given
