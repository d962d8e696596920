"""What must hold before a person may sign, and what is then written."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from schemas.baseline import BaselineV1, CertificateV1, SampleV1
from schemas.common import digest
from streams.monitors.commissioning import Facts, Part, Signed, Wanted, commissioned, lots_of, pooled, sample_of, top, unmet
from streams.monitors.references import fitted
from streams.monitors.refresh import Ledger, gate_refresh
from tests.helpers.streams import STREAM

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)


def parts(scores: list[float], lot: int | None = 20) -> list[Part]:
    return [
        Part(epoch=5, n=n, score=score, at_ms=n, lot=None if lot is None else f"L-{n // lot}") for n, score in enumerate(scores)
    ]


def drawn(seed: int, n: int, shift: float = 0.0) -> list[float]:
    scores: list[float] = np.exp(0.4 * np.random.default_rng(seed).normal(shift, 1, n)).tolist()
    return scores


def test_the_sample_is_in_the_order_of_the_line_each_part_once() -> None:
    some = parts(drawn(1, 60))
    assert pooled([*reversed(some), *some[:5]]) == some
    assert pooled(some, since=(5, 40))[0].n == 40
    assert lots_of(some) == (20, 20, 20)
    assert lots_of(parts([1.0], lot=None)) == ()
    assert [part.score for part in top(some)] == sorted((part.score for part in some), reverse=True)[:5]
    with pytest.raises(ValueError, match="no production score"):
        sample_of([], arl0=1e6, deff=None)


def test_each_condition_is_said_and_nothing_else() -> None:
    some, wanted = parts(drawn(2, 100)), Wanted(parts=100, lots=5)
    assert unmet(some, Facts(reviewed_by="ann"), wanted) == []
    assert "nobody looked" in unmet(some, Facts(), wanted)[0]
    assert "101 are wanted" in unmet(some, Facts(reviewed_by="ann"), Wanted(parts=101, lots=5))[0]
    assert "6 are wanted" in unmet(some, Facts(reviewed_by="ann"), Wanted(parts=100, lots=6))[0]
    assert "baseline_up" in unmet(some, Facts(reviewed_by="ann", alarms=("baseline_up",)), wanted)[0]
    assert unmet(some, Facts(reviewed_by="ann", alarms=("defect_rate_up", "new_stream")), wanted) == []
    assert (
        "scratch passed" in unmet(some, Facts(reviewed_by="ann", proofs={"digital": "scratch passed", "physical": ""}), wanted)[0]
    )
    silent = parts(drawn(2, 100), lot=None)
    assert "--deff" in unmet(silent, Facts(reviewed_by="ann"), wanted)[0]
    assert unmet(silent, Facts(reviewed_by="ann", deff=3.0), wanted) == []


def test_small_silent_steps_add_up_against_the_anchor() -> None:
    """A poisoned refresh: each step is small against the baseline before, and the third is refused all the same."""
    anchor = BaselineV1(
        stream=STREAM, origin="calibration", sample=SampleV1(scores=tuple(drawn(3, 3000)), in_order=True, arl0=1e6)
    )
    now, known = anchor, {digest(anchor): anchor}
    accepted = []
    for step in range(1, 5):
        some = parts(drawn(10 + step, 3000, shift=0.09 * step))
        sample = sample_of(some, arl0=1e6, deff=None)
        first = known[now.anchor] if now.anchor else now
        ledger = Ledger(tuple(shift.shift_sd for shift in now.ledger if shift.silent))
        decision = gate_refresh(fitted(first.sample), fitted(sample), ledger)
        accepted.append(decision.accepted)
        if not decision.accepted:
            continue
        signed = Signed(who="ann", why="monthly", at=AT, new_anchor=False)
        now = commissioned(
            some,
            sample,
            now,
            digest(now),
            origin="refreshed",
            shift_sd=decision.shift_sd,
            scale=decision.scale,
            certificate=CertificateV1(),
            signed=signed,
        )
        known[digest(now)] = now
    assert accepted == [True, True, False, False]
    assert now.anchor == digest(anchor)
    assert [round(shift.shift_sd, 1) for shift in now.ledger] == [0.1, 0.2]


def test_an_accepted_shift_begins_a_generation() -> None:
    anchor = BaselineV1(stream=STREAM, origin="calibration", sample=SampleV1(scores=(1.0,) * 20, in_order=False, arl0=1e6))
    some = parts(drawn(4, 200))
    signed = Signed(who="ann", why="new lamp", at=AT, new_anchor=True)
    made = commissioned(
        some,
        sample_of(some, arl0=1e6, deff=None),
        anchor,
        digest(anchor),
        origin="commissioned",
        shift_sd=float("inf"),
        scale=float("inf"),
        certificate=CertificateV1(days=90),
        signed=signed,
    )
    assert (made.anchor, made.generation, made.parent) == (None, 2, digest(anchor))
    assert made.ledger[0].shift_sd == 99
    assert not made.ledger[0].silent
    assert (made.first, made.last) == ("a/b/c:5-000000000000", "a/b/c:5-000000000199")
