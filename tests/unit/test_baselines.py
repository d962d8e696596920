"""On which baseline a stream stands: by the records of baseline.v1, in any order that compaction can leave."""

from __future__ import annotations

import pytest

from schemas.baseline import BaselineV1
from schemas.common import BaselineState, digest
from schemas.envelope import Record
from schemas.standing import Standing
from schemas.topics import BASELINE
from streams.wiring.adapters.baselines import BaselineShelf
from tests.helpers.baselines import AT, Said, baseline, baseline_record, pointer, score_stream, state_of
from tests.helpers.evidence_log import appended

STREAM = score_stream()
KEY = digest(STREAM)
CALIBRATION = baseline(STREAM, "calibration", scores=3)
FIRST = baseline(STREAM)
NEXT = baseline(STREAM, "refreshed", scores=12, parent=digest(FIRST), anchor=digest(FIRST))
RETIRED = pointer(FIRST).model_copy(update={"baseline": None, "at": AT})


def shelf_of(*messages: Said | Record) -> BaselineShelf:
    shelf = BaselineShelf()
    for offset, one in enumerate(messages):
        record = one if isinstance(one, Record) else baseline_record(one)
        shelf.take(appended(record, offset, 0))
    return shelf


def raw(key: bytes, value: bytes | None) -> Record:
    return Record(topic=BASELINE, key=key, value=value)


def stands(*messages: Said) -> Standing:
    return shelf_of(*messages).standing(KEY)


def on(message: BaselineV1 | None, state: BaselineState, *, by_act: bool = True) -> Standing:
    return Standing(baseline=None if message is None else digest(message), by_act=by_act, state=state)


def test_without_an_act_the_models_own_scores_hold_and_nothing_is_stamped() -> None:
    assert stands() == on(None, "provisional", by_act=False)
    assert stands(CALIBRATION) == on(CALIBRATION, "provisional", by_act=False)
    suspect = stands(CALIBRATION, state_of(CALIBRATION, "suspect"))
    assert suspect == on(CALIBRATION, "suspect", by_act=False)
    assert suspect.stamped is None
    assert stands(FIRST) == on(None, "provisional", by_act=False)  # written, not in force


def test_an_act_puts_a_baseline_in_force_and_drifts_word_counts_for_that_one_alone() -> None:
    assert stands(FIRST, pointer(FIRST)) == on(FIRST, "active")
    assert stands(CALIBRATION, pointer(CALIBRATION)) == on(CALIBRATION, "provisional")
    stale = (CALIBRATION, FIRST, pointer(FIRST), state_of(FIRST, "stale"))
    assert stands(*stale) == on(FIRST, "stale")
    assert stands(*stale, NEXT, pointer(NEXT)) == on(NEXT, "active")
    assert stands(*stale, NEXT, pointer(NEXT), state_of(FIRST, "suspect")) == on(NEXT, "active")  # late, of the old one
    assert stands(*stale, RETIRED) == on(None, "retired")
    assert stands(*stale, RETIRED).stamped is None
    assert stands(FIRST, pointer(FIRST)).stamped == digest(FIRST)


@pytest.mark.parametrize(
    ("said", "is_"), [("active", "provisional"), ("provisional", "provisional"), ("suspect", "suspect"), ("stale", "stale")]
)
def test_an_expired_certificate_is_at_most_provisional(said: str, is_: BaselineState) -> None:
    assert stands(FIRST, pointer(FIRST), state_of(FIRST, said, expired=True)) == on(FIRST, is_)


def test_a_pointer_before_its_version_waits_for_it() -> None:
    """Compaction keeps the last copy of a version, which may lie behind its pointer."""
    shelf = shelf_of(pointer(FIRST))
    assert (shelf.skipped, shelf.standing(KEY)) == (1, on(None, "provisional", by_act=False))
    assert stands(pointer(FIRST), FIRST) == on(FIRST, "active")
    assert stands(NEXT, pointer(FIRST), pointer(NEXT), FIRST) == on(NEXT, "active")
    assert stands(pointer(FIRST), RETIRED, FIRST) == on(None, "retired")


def test_records_that_break_the_contract_change_nothing() -> None:
    other = score_stream("plant/line-1/other")
    good = (FIRST, pointer(FIRST), state_of(FIRST, "suspect"))
    strange = baseline(other)
    bad = (
        baseline_record(FIRST, key="f" * 64),  # another content than its digest says
        baseline_record(pointer(NEXT)),  # never published
        baseline_record(pointer(strange), key=f"current/{KEY}"),
        baseline_record(pointer(FIRST).model_copy(update={"baseline": digest(strange)})),  # of another stream
        baseline_record(state_of(strange, "stale"), key=f"state/{KEY}"),
        raw(b"\xff", b"{"),
        raw(f"state/{KEY}".encode(), b"[]"),
        raw(f"current/{KEY}".encode(), b"{"),
    )
    shelf = shelf_of(*good, strange, *bad)
    assert (shelf.skipped, shelf.standing(KEY)) == (len(bad), on(FIRST, "suspect"))
    assert set(shelf.streams()) == {KEY, digest(other)}
    assert [shelf.entries[digest(one)].offset for one in (FIRST, strange)] == [0, 3]
    gone = [raw(f"{kind}/{KEY}".encode(), None) for kind in ("current", "state")]
    assert shelf_of(*good, *gone).standing(KEY) == on(None, "provisional", by_act=False)
