"""An audit pass cannot be told from any other part before the answer."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.review.blind import Item, Look, Machine, Picture, audit_now, is_blind, look
from tests.helpers.calm import CALM
from tests.helpers.labels import IMAGE, part

PICTURE = Picture(view="v1", image=IMAGE, width_px=640, height_px=640)
SAID = Machine(percentile=99.7, disposition="review", reasons=("unknown_defect",), proposals=(("dent", 0.4),), due_ms=17)
PASSED = Machine(percentile=40.0, disposition="pass", reasons=("all_good",))


def item(n: int = 1, **changes: Any) -> Item:
    values: dict[str, Any] = {
        "inspection": part(n),
        "product": "disc",
        "pictures": (PICTURE,),
        "shown": "review",
        "machine": SAID,
    }
    return Item(**(values | changes))


def test_the_page_gets_the_same_of_an_audit_pass_as_of_a_review() -> None:
    audit = look(item(shown="audit", machine=PASSED), 0.5)
    assert audit == look(item(shown="review"), 1) == look(item(opinion="second"), 0) == look(item(shown="challenge"), 0)


@CALM
@given(
    st.integers(0, 10**6),
    st.sampled_from(["review", "audit", "challenge"]),
    st.sampled_from(["first", "second", "third"]),
    st.floats(0, 1),
    st.sampled_from([SAID, PASSED, Machine()]),
)
def test_a_blind_look_depends_on_the_picture_alone(n: int, shown: Any, opinion: Any, share: float, machine: Machine) -> None:
    one = item(n, shown=shown, opinion=opinion, machine=machine)
    seen = look(one, share)
    plain = replace(one, machine=Machine(), shown="audit", opinion="first")
    assert seen == look(plain, share) if is_blind(one, share) else seen.machine == machine


def test_a_look_has_no_field_that_says_why() -> None:
    assert {field.name for field in fields(Look)} == {"inspection", "product", "pictures", "machine"}


def test_blind_is_nothing_special() -> None:
    """A share of the ordinary reviews is blind too, always the same ones."""
    blind = [is_blind(item(n), 0.25) for n in range(8000)]
    assert sum(blind) == pytest.approx(2000, abs=160)
    assert blind == [is_blind(item(n), 0.25) for n in range(8000)]


def test_audits_come_as_often_as_there_are_and_no_pattern_repeats() -> None:
    pattern = [audit_now("ada", "2026-01-05", n, 30, 70) for n in range(4000)]
    assert sum(pattern) == pytest.approx(1200, abs=120)
    assert pattern != [audit_now("ada", "2026-01-06", n, 30, 70) for n in range(4000)]
    assert sum(audit_now("ada", "2026-01-05", n, 1, 100_000) for n in range(4000)) == pytest.approx(200, abs=60)
    assert not any(audit_now("ada", "2026-01-05", n, 0, 5) for n in range(100))
    assert all(audit_now("ada", "2026-01-05", n, 5, 0) for n in range(100))
