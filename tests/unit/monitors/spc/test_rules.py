"""Run rules: what each needs, what breaks it, and that points one by one give what the whole series gives."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitors.spc.rules import POINTS, RULE_SETS, Rule, RuleSet, RulesState, rules_for, rules_run, rules_step

UP, DOWN = "high", "low"


def first(zs: list[float], rule: Rule, rule_set: RuleSet) -> tuple[int, str] | None:
    """(1-based point, direction) at which a rule first holds."""
    for i, signals in enumerate(rules_run(zs, rule_set), start=1):
        for signal in signals:
            if signal.rule == rule:
                return i, signal.direction
    return None


def test_rule_1_is_strictly_beyond_three() -> None:
    assert first([3.0, -3.0, 3.0 + 1e-12], "nelson_1", "nelson_1") is None
    assert first([0.0, 3.01], "nelson_1", "nelson_1") == (2, UP)
    assert first([0.0, -3.01], "nelson_1", "nelson_1") == (2, DOWN)


def test_rule_2_is_nine_on_a_side_and_the_western_electric_one_eight() -> None:
    assert first([0.5] * 9, "nelson_2", "nelson_1_2") == (9, UP)
    assert first([-0.5] * 8, "nelson_2", "nelson_1_2") is None
    assert first([-0.5] * 8, "weco_eight", "weco_1_2") == (8, DOWN)
    assert first([0.5] * 8 + [-0.5] + [0.5] * 8, "nelson_2", "nelson_1_2") is None


def test_a_point_on_the_centre_line_breaks_a_run() -> None:
    assert first([0.5] * 8 + [0.0] + [0.5] * 8, "nelson_2", "nelson_1_2") is None
    assert first([0.5] * 8 + [0.0] + [0.5] * 9, "nelson_2", "nelson_1_2") == (18, UP)


def test_rule_3_is_six_points_and_ties_break_it() -> None:
    assert first([-1.0, -0.5, 0.1, 0.2, 0.3, 0.4], "nelson_3", "nelson_1_2_3") == (6, UP)
    assert first([1.0, 0.5, 0.1, -0.2, -0.3, -0.4], "nelson_3", "nelson_1_2_3") == (6, DOWN)
    assert first([-1.0, -0.5, 0.1, 0.1, 0.2, 0.3, 0.4], "nelson_3", "nelson_1_2_3") is None


def test_rule_4_is_fourteen_alternating_points_and_ties_break_it() -> None:
    zs = [0.5, -0.5] * 7
    assert first(zs, "nelson_4", "nelson_1_2_3_4") == (14, "both")
    assert first(zs[:13], "nelson_4", "nelson_1_2_3_4") is None
    assert first([*zs[:7], zs[6], *zs[7:]], "nelson_4", "nelson_1_2_3_4") is None


def test_zone_rules_need_the_last_point_among_those_beyond_on_its_side() -> None:
    assert first([2.1, 0.0, 2.1], "weco_two_of_three", "zone") == (3, UP)
    assert first([2.1, 0.0, -2.1], "weco_two_of_three", "zone") is None
    assert first([2.1, 2.1, 0.0], "weco_two_of_three", "zone") == (2, UP)
    assert len([s for s in rules_run([2.1, 2.1, 0.0], "zone")[2] if s.rule == "weco_two_of_three"]) == 0
    assert first([-1.1, -1.1, 0.0, -1.1, -1.1], "weco_four_of_five", "zone") == (5, DOWN)
    assert first([-1.1, -1.1, 0.0, -0.9, -1.1, -1.0], "weco_four_of_five", "zone") is None


def test_a_signal_that_goes_on_says_so() -> None:
    found = rules_run([0.5] * 11, "nelson_1_2")
    assert [[signal.again for signal in signals] for signals in found[8:]] == [[False], [True], [True]]
    assert found[8][0].points == POINTS["nelson_2"] == 9
    assert found[8][0].rule_set == "nelson_1_2"
    beyond = rules_run([4.0, 4.0, -4.0], "nelson_1")
    assert [signals[0].again for signals in beyond] == [False, True, False]


def test_a_subgroup_without_a_part_is_no_point() -> None:
    state, _ = rules_step(RulesState(), 0.5)
    assert rules_step(state, None) == (state, ())
    with_gap = rules_run([0.5] * 4 + [None] + [0.5] * 5)
    assert [signal.rule for signal in with_gap[-1]] == ["nelson_2"]


def test_a_stage_break_forgets() -> None:
    state = RulesState()
    for _ in range(8):
        state, _ = rules_step(state, 0.5)
    assert rules_step(state, 0.5)[1]
    assert rules_step(RulesState(), 0.5)[1] == ()


ZS = st.lists(
    st.one_of(st.none(), st.floats(-4, 4), st.sampled_from([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 0.5, -0.5, 1.5, 2.5])),
    max_size=80,
)
SETS = st.sampled_from(list(RULE_SETS))


def whole(zs: list[float], rule: Rule) -> str | None:
    """The rule at the last point of a series, from its definition over the whole series."""
    tail = zs[-POINTS[rule] :]
    if len(tail) < POINTS[rule] and rule not in ("weco_two_of_three", "weco_four_of_five"):
        return None
    steps = [(b > a) - (b < a) for a, b in pairwise(tail)]
    if rule in ("nelson_1", "weco_1"):
        return (UP if tail[0] > 0 else DOWN) if abs(tail[0]) > 3 else None
    if rule in ("nelson_2", "weco_eight"):
        return UP if all(z > 0 for z in tail) else DOWN if all(z < 0 for z in tail) else None
    if rule == "nelson_3":
        return UP if set(steps) == {1} else DOWN if set(steps) == {-1} else None
    if rule == "nelson_4":
        return "both" if all(a * b == -1 for a, b in pairwise(steps)) else None
    line = 2 if rule == "weco_two_of_three" else 1
    for sign, name in ((1, UP), (-1, DOWN)):
        if sign * tail[-1] > line and sum(sign * z > line for z in tail) >= POINTS[rule] - 1:
            return name
    return None


@settings(deadline=None)
@given(SETS, ZS)
def test_point_by_point_is_what_the_definitions_say_of_the_whole(rule_set: RuleSet, zs: list[float | None]) -> None:
    rounded = [None if z is None else round(z, 6) for z in zs]
    points: list[float] = []
    for z, signals in zip(rounded, rules_run(rounded, rule_set), strict=True):
        if z is None:
            assert signals == ()
            continue
        points.append(z)
        expected = {(rule, said) for rule in RULE_SETS[rule_set] if (said := whole(points, rule))}
        assert {(signal.rule, signal.direction) for signal in signals} == expected


@settings(deadline=None)
@given(SETS, ZS, st.integers(0, 80))
def test_a_state_through_json_goes_on_as_if_nothing_happened(rule_set: RuleSet, zs: list[float | None], at: int) -> None:
    state, found = RulesState(), []
    for i, z in enumerate(zs):
        if i == at:
            state = RulesState.load(json.loads(json.dumps(state.dump())))
        state, signals = rules_step(state, z, rule_set)
        found.append(signals)
    assert found == rules_run(zs, rule_set)
    assert len(json.dumps(state.dump())) < 300


@pytest.mark.parametrize("rule_set", list(RULE_SETS))
def test_mirrored_points_give_mirrored_signals(rule_set: RuleSet) -> None:
    zs = [0.2, 1.4, 2.3, 2.5, -0.1, 1.2, 1.3, 1.1, 0.9, 0.8, 0.7, 0.6, 3.3, 0.1, 0.2]
    turned = {UP: DOWN, DOWN: UP, "both": "both"}
    there, back = rules_run(zs, rule_set), rules_run([-z for z in zs], rule_set)
    assert [[(s.rule, turned[s.direction]) for s in signals] for signals in there] == [
        [(s.rule, s.direction) for s in signals] for signals in back
    ]


def test_counts_have_no_zone_rules() -> None:
    assert rules_for("zone", counts=False) == RULE_SETS["zone"]
    assert rules_for("weco_1_2", counts=True) == ("weco_1", "weco_eight")
    with pytest.raises(ValueError, match="zone rules"):
        rules_for("zone", counts=True)
