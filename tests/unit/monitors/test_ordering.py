"""Scores in the order of their inspections: nothing twice, nothing out of order, and what waits is bounded."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from streams.monitors.ordering import GAP_MS, MOST, Fate, Order, Scored, admit, closes, overdue


def run(parts: list[Scored]) -> tuple[Order, list[Scored], list[Fate]]:
    order = Order()
    out: list[Scored] = []
    fates: list[Fate] = []
    for part in parts:
        order, released, fate = admit(order, part)
        out += released
        fates.append(fate)
    return order, out, fates


def part(n: int, at_ms: int = 0, epoch: int = 5) -> Scored:
    return Scored(epoch, n, at_ms, float(n))


def numbers(parts: list[Scored]) -> list[tuple[int, int]]:
    return [(part.epoch, part.n) for part in parts]


def test_a_hole_holds_back_until_filled_or_until_its_time_is_over() -> None:
    order, out, _ = run([part(7, 0)])  # what came before the first is not known either
    assert out == []
    assert closes(order) == GAP_MS
    order, out = overdue(order, GAP_MS - 1)
    assert out == []
    order, out = overdue(order, GAP_MS)
    assert numbers(out) == [(5, 7)]
    order, out, _ = admit(order, part(8, GAP_MS + 1))
    assert numbers(out) == [(5, 8)]
    order, out, _ = admit(order, part(10, GAP_MS + 2))
    assert out == []
    order, out, _ = admit(order, part(9, GAP_MS + 3))
    assert numbers(out) == [(5, 9), (5, 10)]


def test_an_append_time_closes_a_hole_before_the_part_itself_is_taken() -> None:
    order, out, fates = run([part(7, 0), part(6, GAP_MS)])
    assert numbers(out) == [(5, 7)]
    assert fates[1] == "late"
    assert admit(order, part(6, GAP_MS))[2] == "copy"  # the second copy of a late one


def test_a_new_epoch_waits_for_the_old_one_and_then_ends_it() -> None:
    order, out, _ = run([part(0, 0), part(1, GAP_MS), part(0, GAP_MS, epoch=6), part(2, GAP_MS)])
    assert numbers(out) == [(5, 0), (5, 1), (5, 2)]
    order, out = overdue(order, 2 * GAP_MS)
    assert numbers(out) == [(6, 0)]
    assert admit(order, part(3, 2 * GAP_MS))[2] == "copy"  # of an epoch that is over


def test_a_full_buffer_gives_up_its_first_hole_and_says_later_who_came_for_it() -> None:
    order, out, _ = run([part(0, 0), *(part(n, GAP_MS) for n in range(2, MOST + 3))])
    assert numbers(out) == [(5, 0), *((5, n) for n in range(2, MOST + 3))]
    order, out, fate = admit(order, part(1, GAP_MS))
    assert (out, fate) == ([], "copy")  # further behind than is remembered
    order, out, _ = run([part(0, 0), *(part(n, GAP_MS) for n in range(2, 2 * MOST + 4, 2))])
    assert len(out) == 2
    assert len(order.waiting) == MOST
    assert admit(order, part(1, GAP_MS))[2] == "late"


def test_a_clock_set_back_closes_nothing_early_and_loses_nothing() -> None:
    _, out, fates = run([part(0, 10**9), part(1, 10**9 + GAP_MS), part(3, 0), part(2, 1), part(4, 2)])
    assert numbers(out) == [(5, n) for n in range(5)]
    assert set(fates) == {"fresh"}


@given(
    st.integers(1, 120), st.integers(0, 30), st.randoms(use_true_random=False), st.sets(st.integers(0, 119)), st.integers(0, 40)
)
def test_any_order_within_the_bound_gives_every_score_once_and_in_order(
    count: int, spread: int, chance: random.Random, missing: set[int], copies: int
) -> None:
    there = [n for n in range(count) if n not in missing]
    arrivals = sorted(there, key=lambda n: n + chance.uniform(0, spread))  # nobody overtakes more than `spread` numbers
    arrivals += chance.sample(arrivals, min(copies, len(arrivals)))
    parts = [part(n, at_ms) for at_ms, n in enumerate(arrivals)]
    order, out, fates = run(parts)
    rest = overdue(order, 10**9)[1]
    assert numbers(out + rest) == [(5, n) for n in there]
    assert fates.count("fresh") == len(there)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 2), st.integers(0, 20_000)), max_size=200), st.data())
def test_whatever_comes_nothing_is_released_twice_or_out_of_order_and_ticks_change_nothing(
    raw: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    times = sorted(at for _, _, at in raw)
    parts = [part(n, at, epoch) for (n, epoch, _), at in zip(raw, times, strict=True)]
    plain_order, plain, fates = run(parts)
    assert numbers(plain) == sorted(set(numbers(plain)))
    assert len(plain) + len(plain_order.waiting) == fates.count("fresh")
    assert len(plain_order.waiting) <= MOST
    ticked, out = Order(), []
    for index, item in enumerate(parts):
        ticked, released, _ = admit(ticked, item)
        out += released
        if data.draw(st.booleans()):
            until = parts[index + 1].at_ms if index + 1 < len(parts) else item.at_ms
            ticked, released = overdue(ticked, data.draw(st.integers(item.at_ms, until)))
            out += released
    assert out == [one for one in plain if one in out]
    end = 10**6
    assert out + overdue(ticked, end)[1] == plain + overdue(plain_order, end)[1]
