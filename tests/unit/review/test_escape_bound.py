"""The live bound on escapes: right at any moment, whatever comes when, and a state that can be kept."""

from __future__ import annotations

import math
from collections.abc import Generator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.review.escape_bound import (
    STAKES,
    Audit,
    Design,
    audited,
    dump,
    escape_bound,
    load,
    log_wealth,
    looked_at_once,
    passed,
    stakes,
)
from tests.helpers.calm import CALM

DESIGN = Design(floor=0.05)
PROBABILITIES = st.sampled_from([0.05, 0.1, 0.5, 1.0])
Pass = tuple[float, bool, bool]  # probability, drawn, bad
PASSES = st.lists(st.tuples(PROBABILITIES, st.booleans(), st.booleans()), max_size=60)


def add(audit: Audit, one: Pass) -> Audit:
    probability, drawn, bad = one
    return audited(audit, probability, bad) if drawn else passed(audit, probability)


def after(passes: list[Pass]) -> Audit:
    audit = Audit(design=DESIGN)
    for one in passes:
        audit = add(audit, one)
    return audit


def test_nothing_found_is_close_to_the_bound_of_one_look() -> None:
    audit = passed(Audit(design=DESIGN), 0.05, 95_000)
    for _ in range(5_000):
        audit = audited(audit, 0.05, bad=False)
    bound = escape_bound(audit)
    assert (bound.passes, bound.audited, bound.found, bound.estimate_ppm) == (100_000, 5_000, 0, 0)
    assert looked_at_once(0, 5_000) < bound.ppm < 1.2 * looked_at_once(0, 5_000)
    assert looked_at_once(0, 5_000) == pytest.approx(1e6 * (1 - 0.05 ** (1 / 5_000)))  # the rule of three, exactly


@pytest.mark.parametrize("found", [1, 3, 10, 50, 300])
def test_what_is_found_costs_no_more_than_it_says(found: int) -> None:
    """The docstring's factors against the bound of one look."""
    audit = passed(Audit(design=DESIGN), 0.05, 950_000)
    for n in range(50_000):
        audit = audited(audit, 0.05, bad=n < found) if n < 2 * found else passed(audit, 0.05)
    factor = escape_bound(audit).ppm / looked_at_once(found, 50_000)
    assert 1 < factor < {1: 1.6, 3: 1.6, 10: 1.4, 50: 1.25, 300: 1.15}[found]


def test_everything_audited_is_everything_known() -> None:
    audit = Audit(design=Design(floor=1.0))
    for n in range(1000):
        audit = audited(audit, 1.0, bad=n % 100 == 0)
    assert escape_bound(audit).found == 10 <= escape_bound(audit).escapes <= 16
    assert escape_bound(audit).estimate_ppm == 10_000


def test_while_an_answer_is_pending_there_is_no_estimate_but_a_bound() -> None:
    audit = passed(Audit(design=Design(floor=0.5)), 0.5, 500)
    for n in range(400):
        audit = audited(audit, 0.5, bad=n < 40)
    bound = escape_bound(audit, [0.5] * 100)
    assert bound.estimate_ppm is None
    assert bound.escapes > escape_bound(audit).escapes
    assert escape_bound(audit).estimate_ppm == pytest.approx(1e6 * 80 / 900)


def test_a_find_where_audits_are_rare_counts_more() -> None:
    rare, often = (escape_bound(audited(passed(Audit(design=DESIGN), 0.05, 10_000), share, True)) for share in (0.05, 0.5))
    assert rare.escapes > often.escapes
    assert rare.estimate_ppm == pytest.approx(1e6 * 20 / 10_001)
    assert often.estimate_ppm == pytest.approx(1e6 * 2 / 10_001)


@CALM
@given(PASSES)
def test_the_bound_holds_what_was_found_and_no_more_than_all(passes: list[Pass]) -> None:
    bound = escape_bound(after(passes))
    assert bound.found <= bound.escapes <= bound.passes == len(passes)


@CALM
@given(PASSES, st.randoms())
def test_the_order_does_not_matter(passes: list[Pass], chance: object) -> None:
    shuffled = list(passes)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert escape_bound(after(shuffled)).escapes == escape_bound(after(passes)).escapes


@CALM
@given(PASSES)
def test_a_state_can_be_kept(passes: list[Pass]) -> None:
    audit = after(passes)
    assert load(dump(audit)) == audit


@CALM
@given(PASSES, PASSES)
def test_split_is_whole(first: list[Pass], second: list[Pass]) -> None:
    audit = load(dump(after(first)))
    for one in second:
        audit = add(audit, one)
    assert audit == after([*first, *second])


@CALM
@given(PASSES, st.lists(PROBABILITIES, min_size=1, max_size=5), st.lists(st.booleans(), min_size=5, max_size=5))
def test_an_answer_that_is_still_owed_is_taken_for_the_worst(passes: list[Pass], pending: list[float], bad: list[bool]) -> None:
    waiting = escape_bound(after(passes), pending)
    answered = escape_bound(after([*passes, *((p, True, b) for p, b in zip(pending, bad, strict=False))]))
    assert waiting.escapes >= answered.escapes
    assert waiting.passes == answered.passes


def test_what_could_not_be_drawn_is_not_covered() -> None:
    audit = passed(passed(Audit(design=DESIGN), None, 7), 0.01)
    audit = audited(audit, 0.01, bad=True)
    assert (audit.uncovered, audit.passes, audit.found) == (9, 0, 0)
    assert escape_bound(audit).ppm == 1e6  # nothing is known yet


def test_each_stake_is_a_fair_bet() -> None:
    """The factor that one bad part brings has mean 1, for every stake and probability: this is what the proof rests on."""
    growth = 1 / (1 - stakes(0.05))
    for probability in (0.05, 0.06, 0.3, 1.0):
        found = growth * np.exp(audited(Audit(design=DESIGN), probability, True).logs)
        assert np.allclose(probability * found + (1 - probability) * growth, 1)
    assert log_wealth(0.05, np.zeros(STAKES), np.zeros(1))[0] == pytest.approx(0, abs=1e-12)


def plans(name: str, chance: np.random.Generator) -> Generator[tuple[float, bool], bool, None]:
    """(probability, bad) of each pass; `send` whether the last bad one was found. An adversary stops once one is found."""
    found = False
    for n in range(1500):
        strange = chance.random() < 0.1
        bad = {
            "steady": chance.random() < 0.01,
            "burst": 700 <= n < 760,
            "until found": not found and n % 5 == 0,
            "hides where audits are rare": not strange and chance.random() < 0.02,
        }[name]
        answer = yield (0.5 if strange else 0.05), bad
        found = found or bool(answer)


@pytest.mark.parametrize("name", ["steady", "burst", "until found", "hides where audits are rare"])
def test_it_is_wrong_in_no_more_than_a_twentieth_of_all_lives(name: str) -> None:
    """Looked at after every pass; the largest share of wrong lives that 4 sigma of 250 lives allow. The bench does 2,000."""
    chance, wrong, lives = np.random.default_rng(7), 0, 250
    for _ in range(lives):
        audit, truth, plan = Audit(design=DESIGN), 0, plans(name, chance)
        step = next(plan)
        while True:
            probability, bad = step
            drawn = chance.random() < probability
            audit, truth = add(audit, (probability, drawn, bad)), truth + bad
            if bad and truth > escape_bound(audit).escapes:  # between bad parts the bound only rises: here it can be wrong
                wrong += 1
                break
            try:
                step = plan.send(drawn and bad)
            except StopIteration:
                break
    assert wrong <= lives * 0.05 + 4 * math.sqrt(lives * 0.05 * 0.95)


@pytest.mark.parametrize(("floor", "confidence"), [(0, 0.95), (1.1, 0.95), (0.1, 1.0), (-1, 0.95)])
def test_a_design_that_cannot_be_is_refused(floor: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        Design(floor=floor, confidence=confidence)


def test_foreign_state_is_refused() -> None:
    with pytest.raises(ValueError, match="version"):
        load(dump(Audit(design=DESIGN)).replace(b'"v":1', b'"v":2'))
    with pytest.raises(ValueError, match=r"1\.5"):
        audited(Audit(design=DESIGN), 1.5, bad=False)
