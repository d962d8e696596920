"""Agreement against AIAG's 150 trials, Cohen's and Fleiss' own examples, and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from streams.review.agreement import Trials, appraise, cohen, crossed, fleiss

# AIAG, Measurement Systems Analysis: 50 parts, three trials of three appraisers; (0/0, 0/1, 1/0, 1/1), 0 is reject.
PAIRS = {"AB": (44, 6, 3, 97, 0.863), "BC": (42, 5, 9, 94, 0.788), "AC": (43, 7, 8, 92, 0.776)}
REFERENCE = {"A": (45, 5, 3, 97, 0.879), "B": (45, 2, 3, 100, 0.923), "C": (42, 9, 6, 93, 0.774)}
FLEISS = (
    """0 0 0 0 14 / 0 2 6 4 2 / 0 0 3 5 6 / 0 3 9 2 0 / 2 2 8 1 1 / 7 7 0 0 0 / 3 2 6 3 0 / 2 5 3 2 2 / 6 5 2 1 0 / 0 2 2 3 7"""
)


@pytest.mark.parametrize("cells", [*PAIRS.values(), *REFERENCE.values()])
def test_kappa_of_aiags_trials(cells: tuple[int, int, int, int, float]) -> None:
    a, b, c, d, expected = cells
    found = cohen([[a, b], [c, d]])
    assert found.value is not None
    assert round(found.value, 3) == expected
    oracle = cohens_kappa(np.array([[a, b], [c, d]]))
    assert (found.value, found.low, found.high) == pytest.approx((oracle.kappa, oracle.kappa_low, oracle.kappa_upp), abs=1e-4)
    assert found.n == 150


def test_cohens_own_example_and_fleiss_own() -> None:
    found = cohen([[20, 5], [10, 15]])
    assert found.value == pytest.approx(0.4)
    assert [found.observed, found.expected] == pytest.approx([0.7, 0.5])
    rows = [[int(word) for word in row.split()] for row in FLEISS.split("/")]
    value = fleiss(rows)
    assert value is not None
    assert round(value, 4) == 0.2099
    assert value == pytest.approx(fleiss_kappa(np.array(rows)))


def appraiser(cells: tuple[int, int, int, int], right: int) -> list[Trials]:
    """Fifty parts, three trials each, with these cells by (answer, reference), 0 is bad, so many parts all right.

    The published cells do not say which part had which trial: errors are spread over the parts that are not all right.
    """
    bad_called_bad, good_called_bad, bad_called_good, _ = cells
    bad = (bad_called_bad + bad_called_good) // 3
    wrong = 50 - right
    split = next(k for k in range(wrong + 1) if k <= bad_called_good <= 3 * k and wrong - k <= good_called_bad <= 3 * (wrong - k))
    parts = []
    for is_bad, number, errors, odd in ((True, bad, bad_called_good, split), (False, 50 - bad, good_called_bad, wrong - split)):
        spread = [errors // odd + (i < errors % odd) for i in range(odd)] if odd else []
        for mistakes in spread + [0] * (number - odd):
            parts.append(Trials(bad=is_bad, called_bad=tuple([not is_bad] * mistakes + [is_bad] * (3 - mistakes))))
    return parts


@pytest.mark.parametrize(
    ("name", "right", "misses", "alarms", "grade"),
    [("A", 42, 3, 5, "unacceptable"), ("B", 45, 3, 2, "unacceptable"), ("C", 40, 6, 9, "unacceptable")],
)
def test_appraisers_against_the_reference(name: str, right: int, misses: int, alarms: int, grade: str) -> None:
    cells = REFERENCE[name]
    found = appraise(appraiser(cells[:4], right))
    assert (found.effectiveness.events, found.effectiveness.n) == (right, 50)
    assert (found.miss.events, found.miss.n) == (misses, 48)
    assert (found.false_alarm.events, found.false_alarm.n) == (alarms, 102)
    assert found.kappa.value is not None
    assert round(found.kappa.value, 3) == cells[4]
    assert found.grade == grade  # a miss rate of 3/48 is above 5 %
    assert found.effectiveness.low < right / 50 < found.effectiveness.high


def test_grades() -> None:
    def grade(missed: int, alarmed: int) -> str:
        bad = [Trials(bad=True, called_bad=(i >= missed,)) for i in range(100)]
        return appraise(bad + [Trials(bad=False, called_bad=(i < alarmed,)) for i in range(100)]).grade

    assert [grade(2, 5), grade(3, 5), grade(2, 6), grade(5, 10), grade(6, 5), grade(5, 11)] == [
        "good",
        "marginal",
        "marginal",
        "marginal",
        "unacceptable",
        "unacceptable",
    ]


def test_one_answer_for_everything_has_no_kappa() -> None:
    assert cohen([[50, 0], [0, 0]]).value is None
    assert fleiss([[3, 0], [3, 0]]) is None
    only_good = appraise([Trials(bad=False, called_bad=(False,))] * 20)
    assert (only_good.miss.value, only_good.kappa.value, only_good.grade) == (None, None, "good")


def test_bad_input_says_so() -> None:
    with pytest.raises(ValueError, match="square table"):
        cohen([[1, 2], [3]])
    with pytest.raises(ValueError, match="square table"):
        cohen([[0, 0], [0, 0]])
    with pytest.raises(ValueError, match="same number of ratings"):
        fleiss([[1, 2], [1, 1]])
    with pytest.raises(ValueError, match="a trial of each"):
        appraise([Trials(bad=True, called_bad=())])
    with pytest.raises(ValueError, match="maybe"):
        crossed(["ok", "maybe"], ["ok", "ok"], ["ok", "nok"])


ANSWERS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=60)


@settings(deadline=None)
@given(ANSWERS)
def test_kappa_depends_on_no_order_of_parts_and_on_no_order_of_raters(pairs: list[tuple[str, str]]) -> None:
    first, second = zip(*pairs, strict=True)
    there, back = cohen(crossed(first, second, "abc")), cohen(crossed(second[::-1], first[::-1], "abc"))
    assert there.value == (None if back.value is None else pytest.approx(back.value))
    if there.value is not None and there.low is not None and there.high is not None:
        assert there.low <= there.value <= there.high <= 1


@settings(deadline=None)
@given(ANSWERS)
def test_fleiss_of_two_raters_is_at_most_cohens(pairs: list[tuple[str, str]]) -> None:
    """Both share the observed agreement; Fleiss takes one set of margins for all, which expects no less by chance."""
    rows = [[(a == x) + (b == x) for x in "abc"] for a, b in pairs]
    one = cohen(crossed([a for a, _ in pairs], [b for _, b in pairs], "abc")).value
    other = fleiss(rows)
    if one is not None and other is not None:
        assert other <= one + 1e-9
