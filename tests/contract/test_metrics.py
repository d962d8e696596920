"""The table of metrics: its document is fresh, names carry units, labels are closed and never an id."""

from __future__ import annotations

import re

import pytest

from tools.metrics import DOCUMENT, MetricRow, document, rows

ROWS = list(rows())


def test_the_document_is_what_the_table_says() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run python -m tools.metrics"


def test_all_of_them_are_found() -> None:
    assert len(ROWS) > 40
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_metric_is_named_as_prometheus_wants_it(row: MetricRow) -> None:
    assert re.fullmatch(r"verdictline_[a-z_]+", row.name)
    assert (row.kind == "counter") == row.name.endswith("_total")
    assert not re.search(r"_(ms|us|kb|mb|percent|minutes)\b", row.name), "base units: seconds, bytes, ratio"
    assert row.kind != "histogram" or row.buckets
    assert len(row.text) > 10


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_labels_are_sized_and_hold_no_ids(row: MetricRow) -> None:
    assert row.worst <= 50_000
    assert not set(row.labels) & {"id", "inspection", "partition", "offset", "serial", "lot", "version", "digest"}


def test_deadlines_have_a_bucket() -> None:
    (row,) = [row for row in ROWS if row.name == "verdictline_verdict_seconds"]
    assert {0.2, 0.3, 0.5, 1, 2, 5, 10} <= set(row.buckets), "gates of 0.2 to 2 s, decide_within of 5 and 10 s"
