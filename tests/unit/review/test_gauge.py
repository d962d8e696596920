"""Reviewers against known parts and against each other: counts, shares and kappa, by hand on small tables."""

from __future__ import annotations

import pytest

from streams.review.claims import Said
from streams.review.gauge import Known, pairs, reviewers, together


def said(who: str, answer: str, label: str | None = None) -> Said:
    return Said(who=who, answer=answer, label=label)  # type: ignore[arg-type]


def known(who: str, part: str, answer: str, label: str | None, named: str | None = None) -> Known:
    return Known(part=part, said=said(who, answer, named), label=label)


ADA = [
    known("ada", "a", "defect", "dent", "dent"),
    known("ada", "a", "good", "dent"),
    known("ada", "b", "defect", "dent", "scratch"),
    known("ada", "c", "good", None),
    known("ada", "d", "defect", "good", "dent"),
    known("ada", "e", "unsure", "dent"),
]


def test_against_what_is_known() -> None:
    (ada,) = reviewers(ADA, [])
    assert ada.appraisal is not None
    assert ada.appraisal.cells == ((1, 1), (1, 2))  # good called good, called bad; bad called good, called bad
    assert ada.appraisal.miss.value == pytest.approx(1 / 3)
    assert ada.appraisal.false_alarm.value == 0.5
    assert (ada.appraisal.effectiveness.events, ada.appraisal.effectiveness.n) == (2, 4)  # b and c: a was missed once
    assert (ada.unsure.events, ada.unsure.n) == (1, 6)
    dent = ada.classes["dent"]
    assert [(one.events, one.n) for one in (dent.missed, dent.named, dent.false_alarm)] == [(1, 3), (1, 3), (1, 2)]
    assert (dent.missed.low, dent.missed.high) == pytest.approx((1 - 0.975 ** (1 / 3), 0.905700), abs=1e-5)
    assert (dent.false_alarm.low, dent.false_alarm.high) == pytest.approx((1 - 0.975**0.5, 0.975**0.5)), "by hand"
    assert ada.classes.keys() == {"dent"}, "that she called a dent a scratch is dent's"


def test_a_class_that_only_good_parts_were_called() -> None:
    seen = [known("bob", str(n), "defect" if n == 0 else "good", None, "stain" if n == 0 else None) for n in range(20)]
    (bob,) = reviewers(seen, [])
    stain = bob.classes["stain"]
    assert (stain.missed.n, stain.named.n, stain.false_alarm.events, stain.false_alarm.n) == (0, 0, 1, 20)


def test_against_each_other() -> None:
    reviews = [
        *[[said("bob", "good"), said("ada", "good")]] * 40,
        *[[said("ada", "defect", "dent"), said("bob", "good")]] * 5,
        *[[said("ada", "good"), said("bob", "defect", "dent")]] * 3,
        *[[said("ada", "defect", "dent"), said("bob", "defect", "scratch")]] * 2,
        [said("ada", "unsure"), said("bob", "good")],
    ]
    (pair,) = pairs(reviews)
    assert (pair.first, pair.second, pair.cells, pair.unsure) == ("ada", "bob", ((40, 3), (5, 2)), 1)
    assert pair.kappa is not None
    assert pair.named is not None
    po, pe = 42 / 50, (43 * 45 + 7 * 5) / 2500
    assert pair.kappa.value == pytest.approx((po - pe) / (1 - pe))
    assert pair.named.observed == pytest.approx(40 / 50)
    fleiss = together(reviews)
    assert fleiss is not None
    assert fleiss == pytest.approx((po - (q := 88 / 100) ** 2 - (1 - q) ** 2) / (1 - q**2 - (1 - q) ** 2))
    assert together(reviews, opinions=3) is None


def test_who_is_outvoted_by_two_that_agree() -> None:
    reviews = [
        [said("ada", "good"), said("bob", "defect", "dent"), said("cem", "defect", "dent")],
        [said("ada", "defect", "dent"), said("bob", "defect", "scratch"), said("cem", "good")],
        [said("ada", "good"), said("bob", "unsure"), said("cem", "good")],
        [said("ada", "good"), said("bob", "good")],
    ]
    found = {one.who: (one.overruled.events, one.overruled.n) for one in reviewers([], reviews)}
    assert found == {"ada": (1, 3), "bob": (1, 3), "cem": (0, 3)}
    assert all(one.appraisal is None for one in reviewers([], reviews))


def test_nobody_said_anything() -> None:
    assert (reviewers([], []), pairs([]), together([])) == ([], [], None)
