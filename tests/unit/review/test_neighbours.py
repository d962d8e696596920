"""The most similar parts: exact where few, close to it where many, near-duplicates, and what leaves the index is gone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.review.neighbours import CANDIDATES, SKETCH, Neighbours, doubled, sketch, spread, unit
from tests.helpers.calm import CALM

DIMENSION = 96


def vectors(n: int, seed: int = 1, kinds: int = 20, noise: float = 0.5) -> Any:
    """Like a trunk's: not negative, in clumps."""
    chance = np.random.default_rng(seed)
    centres = np.abs(chance.normal(size=(kinds, DIMENSION)))
    return np.abs(centres[chance.integers(0, kinds, n)] + noise * chance.normal(size=(n, DIMENSION))).astype(np.float32)


def index(of: Any, capacity: int | None = None) -> Neighbours:
    found = Neighbours(np.zeros((capacity or len(of), DIMENSION), np.float16), doubled)
    for n, vector in enumerate(of):
        found.add(f"p{n:06d}", vector)
    return found


def cosine(one: Any, other: Any) -> float:
    return float(unit(one) @ unit(other))


def test_a_few_are_ordered_exactly() -> None:
    all_ = vectors(200)
    found = index(all_).nearest(all_[7], 5)
    best = sorted(range(200), key=lambda n: -cosine(all_[7], all_[n]))[:5]
    assert [one.id for one in found] == [f"p{n:06d}" for n in best]
    assert found[0].similarity == pytest.approx(1, abs=1e-3)  # the part itself, in half precision
    assert [one.similarity for one in found] == [pytest.approx(cosine(all_[7], all_[n]), abs=1e-3) for n in best]


def test_of_many_nearly_all_true_neighbours_are_found() -> None:
    all_ = vectors(8000)
    many = index(all_)
    hits = [
        len({one.id for one in many.nearest(query, 8)} & {one.id for one in many.nearest_of_all(query, 8)})
        for query in all_[::160] + 0.1 * vectors(50, seed=2)
    ]
    assert len(many) > 2 * CANDIDATES
    assert np.mean(hits) / 8 > 0.95


def test_near_duplicates_and_novelty() -> None:
    all_ = vectors(50)
    some = index(all_)
    again = all_[3] + np.float32(1e-3)
    assert [one.id for one in some.duplicates(again, 0.9999)] == ["p000003"]
    assert some.duplicates(-all_[3], 0.9) == []
    assert some.novelty(again) == pytest.approx(0, abs=1e-3)
    assert some.novelty(-all_[3]) > 1
    assert Neighbours(np.zeros((1, DIMENSION), np.float16)).novelty(again) == 2


def test_left_out_replaced_and_removed() -> None:
    all_ = vectors(30)
    some = index(all_)
    assert "p000004" not in {one.id for one in some.nearest(all_[4], 30, without={"p000004"})}
    assert len(some.nearest(all_[4], 30, without={"p000004"})) == 29
    some.remove("p000004")
    some.add("p000005", all_[4])
    assert (len(some), some.nearest(all_[4], 1)[0].id, "p000004" in some) == (29, "p000005", False)
    with pytest.raises(KeyError):
        some.remove("p000004")


def test_equal_ones_go_by_id() -> None:
    same = np.repeat(vectors(1), 6, axis=0)
    assert [one.id for one in index(same).nearest(same[0], 4)] == ["p000000", "p000001", "p000002", "p000003"]


def test_room_is_made_or_it_says_that_there_is_none() -> None:
    assert len(index(vectors(10), capacity=2)) == 10
    full = Neighbours(np.zeros((1, DIMENSION), np.float16))
    full.add("a", vectors(1)[0])
    with pytest.raises(ValueError, match="room for 1 parts"):
        full.add("b", vectors(1)[0])


@pytest.mark.parametrize("bad", [np.zeros(DIMENSION), np.full(DIMENSION, np.nan), np.full(DIMENSION, np.inf)])
def test_what_has_no_direction_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="no direction"):
        index(vectors(3)).nearest(bad, 1)


def test_a_sketch_keeps_angles() -> None:
    all_ = vectors(40, kinds=4)
    short = np.array([sketch(vector) for vector in all_])
    long = np.array([unit(vector) for vector in all_])
    assert short.shape == (40, SKETCH)
    assert np.allclose(np.linalg.norm(short, axis=1), 1, atol=1e-5)
    apart = np.triu_indices(40, 1)
    assert np.corrcoef((short @ short.T)[apart], (long @ long.T)[apart])[0, 1] > 0.8


ACTS = st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 29)), max_size=30)


@CALM
@given(ACTS)
def test_whatever_comes_and_goes_it_is_what_a_plain_search_finds(acts: list[tuple[bool, int, int]]) -> None:
    all_, plain = vectors(30, kinds=30), dict[str, Any]()
    some = Neighbours(np.zeros((2, DIMENSION), np.float16), doubled)
    for add, id, n in acts:
        if add:
            some.add(f"i{id}", all_[n])
            plain[f"i{id}"] = np.asarray(unit(all_[n]), np.float16).astype(np.float32)
        elif f"i{id}" in plain:
            some.remove(f"i{id}")
            del plain[f"i{id}"]
    found = some.nearest(all_[0], len(plain))
    assert sorted(found, key=lambda one: (-one.similarity, one.id)) == found
    assert {one.id for one in found} == set(plain)
    assert [one.similarity for one in found] == [pytest.approx(float(plain[one.id] @ unit(all_[0])), abs=1e-4) for one in found]


def test_spread_takes_one_of_each_heap_first() -> None:
    heaps = np.array([unit(vector) for vector in np.repeat(np.eye(4, 8) + 0.01, 5, axis=0)])
    chosen = list(spread(heaps, 4))
    assert sorted(at // 5 for at in chosen) == [0, 1, 2, 3]
    assert sorted(spread(heaps, 99)) == list(range(20))
