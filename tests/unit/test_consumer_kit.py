"""What programs of the consumer kit make of single messages; as processes they are tested in tests/kafka."""

from __future__ import annotations

import csv
import importlib.util
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from schemas.spc import SubgroupV1
from schemas.verdict import VerdictV1
from tests.helpers.consumers import KIT, verdict

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
STATION = "plant/line-1/cam-1"
MIDNIGHT = datetime(2026, 5, 5, tzinfo=UTC)


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"kit_{name}", KIT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def data_of(message: VerdictV1 | SubgroupV1) -> dict[str, Any]:
    return dict(json.loads(message.json_bytes()))


@pytest.mark.parametrize("visit", [2**31, -1, 1.5, "2"])
def test_a_visit_that_no_column_holds_is_put_aside(visit: Any) -> None:
    """The database would refuse it, for ever, and the program would end each time that it is started."""
    made = program("postgres")
    good = data_of(verdict(STATION, 1, "pass"))
    assert made.verdict("x", good)[1]["visit"] == 1
    with pytest.raises(ValueError, match="is no number from 0"):
        made.verdict("x", good | {"visit": visit})


def subgroup(revision: int, start: datetime) -> dict[str, Any]:
    path = sorted((EXAMPLES / SubgroupV1.TYPE).glob("good-*.json"))[0]
    found = SubgroupV1.model_validate_json(path.read_text())
    return data_of(found.model_copy(update={"revision": revision, "start": start, "end": MIDNIGHT + timedelta(hours=1)}))


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0), (1, 0, 1)])
@pytest.mark.parametrize("together", [True, False])
def test_a_subgroup_that_begins_a_day_earlier_stands_in_one_file(tmp_path: Path, order: tuple[int, ...], together: bool) -> None:
    """A late part was taken before midnight."""
    made = program("qdas")
    starts = {0: MIDNIGHT + timedelta(seconds=1), 1: MIDNIGHT - timedelta(seconds=1)}
    batches = [made.subgroup(tmp_path, ZoneInfo("UTC"), "utf-8", subgroup(one, starts[one])) for one in order]
    for some in [batches] if together else [[batch] for batch in batches]:
        made.write(tmp_path, some)
    files = {path.name: rows_of(path) for path in tmp_path.rglob("*.csv")}
    assert {name: [row["revision"] for row in rows] for name, rows in files.items()} == {"2026-05-04.csv": ["1"]}


def test_text_that_a_spreadsheet_would_run_stays_text(tmp_path: Path) -> None:
    made = program("qdas")
    for n, serial in enumerate(("=1+1", "+49", "-1", "@x", "S1")):
        one = data_of(verdict(STATION, n, "pass", serial=serial))
        made.write(tmp_path, [made.verdict(tmp_path, one)])
        made.write(tmp_path, [made.verdict(tmp_path, one)])  # a repeat
    rows = [row for path in tmp_path.rglob("*.csv") for row in rows_of(path)]
    assert [row["serial"] for row in rows] == ["'=1+1", "'+49", "'-1", "'@x", "S1"]
