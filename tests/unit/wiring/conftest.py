"""One PostgreSQL for the tests of the database; each takes an empty database on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.helpers.database import fresh_engine
from tests.helpers.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of this program's schema; the whole test runs on both."""
    engine = fresh_engine(None if request.param == "sqlite" else request.getfixturevalue("postgres").fresh(), tmp_path)
    yield engine
    engine.dispose()
