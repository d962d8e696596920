"""The drift bench reads its targets right: what is found in runs becomes rows, rows become the page."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import pytest

from streams.monitors import segments
from streams.monitors.evidence import Kind
from streams.workbench.drift_bench import exact, report, samples, targets
from streams.workbench.drift_bench.cells import BASELINE, CHANGE_AT, Cell, Run, chance, judged
from streams.workbench.drift_bench.estimate import Estimate
from streams.workbench.drift_bench.ours import Seen
from streams.workbench.drift_bench.peers import RiverMissing, require_river
from streams.workbench.drift_bench.plan import FULL, cells
from streams.workbench.drift_bench.rows import Row, dump
from streams.workbench.drift_bench.simulator import Frozen, Jump, Moved


def right(cell: Cell) -> Kind:
    """What a faultless monitor says of a cell with a change."""
    change = cell.change
    if isinstance(change, Jump):
        return "defect_rate_up"
    if isinstance(change, Frozen):
        return "stuck"
    assert isinstance(change, Moved)
    if change.scale != 1:
        return "baseline_shrink" if change.scale < 1 else "baseline_spread"
    return "baseline_up" if change.shift > 0 else "baseline_down"


def all_runs(kind: Kind | None, delay: int) -> Mapping[str, list[Run]]:
    """100 runs of each cell. kind: what is said after `delay` parts, None for what is right."""
    found = {}
    for cell in cells(FULL):
        said = () if cell.change is None else (Seen(kind=kind or right(cell), at=CHANGE_AT + delay - 1, start=CHANGE_AT),)
        found[cell.name] = [Run(parts=cell.parts, events=said)] * 100
    return found


def missed(kind: Kind | None, delay: int) -> set[int]:
    return {row.target for row in targets.rows(all_runs(kind, delay)) if not row.reaches(row.goal)}


def test_a_faultless_monitor_meets_every_target() -> None:
    rows = targets.rows(all_runs(None, 4))
    assert {row.target for row in rows} == {*range(1, 12), 13}
    assert missed(None, 4) == set()
    assert all(row.reaches(row.stretch) for row in rows if row.stretch)


def test_a_slow_one_misses_what_is_about_speed() -> None:
    assert missed(None, 9000) == {3, 4, 5, 7, 9, 11}


def test_one_that_calls_everything_drift_is_caught() -> None:
    assert missed("baseline_up", 4) >= {4, 6, 7, 9}


def test_one_that_calls_everything_a_defect_is_caught() -> None:
    assert missed("defect_rate_up", 4) >= {3, 4, 5, 8, 9, 11}


def test_one_that_cries_wolf_misses_the_run_lengths() -> None:
    noisy = Run(parts=50_000, events=(Seen(kind="baseline_down", at=49_999, start=None),))
    found = {**all_runs(None, 4), **{cell.name: [noisy] * 200 for cell in cells(FULL) if cell.change is None}}
    assert {row.target for row in targets.rows(found) if not row.reaches(row.goal)} == {1, 2}


def test_runs_with_an_event_before_the_change_are_left_out_and_counted() -> None:
    early = Run(parts=9, events=(Seen(kind="stuck", at=5, start=None), Seen(kind="baseline_up", at=CHANGE_AT, start=None)))
    found = {name: [*runs, early] for name, runs in all_runs(None, 4).items()}
    (row, *_) = [row for row in targets.rows(found) if row.target == 3]
    assert row.found.runs == 400
    assert row.note.startswith("4 of 404 runs left out")


# ---------------------------------------------------------------- decisions on samples, exactness


def test_a_moved_sample_is_refused_and_the_same_one_passes() -> None:
    assert not any(samples._passes(run, shift) for run in range(4) for shift in (-0.6, 0.6))
    assert all(samples._passes(run, 0.0) for run in range(4))


def test_dirt_raises_the_share_that_is_flagged() -> None:
    clean, dirty = (samples._flagged(("gamma", share, 40)).value for share in (0.0, 0.05))
    assert clean < 0.3 < dirty


def test_judging_again_or_in_pieces_changes_nothing() -> None:
    assert not any(exact.differs(run) for run in range(3))


def test_another_event_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    through = segments.apply
    monkeypatch.setattr(exact, "apply", lambda baseline, state, part: (through(baseline, state, part)[0], []))
    assert exact.differs(1)


def test_a_missing_river_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    require_river()
    monkeypatch.setitem(sys.modules, "river", None)
    with pytest.raises(RiverMissing, match="uv sync"):
        require_river()


# ---------------------------------------------------------------- one real run, the page
def test_a_run_ends_with_the_event_that_it_waits_for() -> None:
    cell = Cell(name="t", parts=6000, at=1000, change=Moved(shift=1.0), until=BASELINE)
    found = judged(cell, 0)
    assert found.events[-1].kind == "baseline_up"
    assert found.parts == found.events[-1].at + 1
    assert 1000 <= found.events[-1].at < 1400
    assert chance("t", 0).random() == chance("t", 0).random()


def test_the_page_says_what_was_measured() -> None:
    row = Row(target=3, name="shift", found=Estimate(value=7, se=1, runs=200), goal=5, stretch=4, note="why")
    peer = {"name": "p", "runs": 9, "arl0": 1e5, "median_delay": {"+1": None}, "called_drift": {"1->5": 0.25}}
    found = {"targets": dump([row]), "peers": [peer], "notes": ["quick"], "runs": 200, "seconds": 3.0}
    page = "".join(f"{name}\n<!-- bench: {name} -->\nold\n<!-- end -->\n" for name in report.BLOCKS)
    written = report.written(page, found)
    assert "old" not in written
    assert "| 3 | shift | ≤ 5 | 7 | 1 | **no** | 4: **no** | 200 |" in written
    assert "| p | 9 | 1.0e+05 | never | 25 % |" in written
    assert "Missed: 3." in written
    assert report.written(written, found) == written
    with pytest.raises(ValueError, match="no block"):
        report.written("", found)
