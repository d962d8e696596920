"""Unknowns that look alike are found together, named at once after a look at the doubtful ones, and undone as a whole."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from schemas.label import LabelV1
from schemas.taxonomy import ClassProposalV1
from streams.review import clusters
from streams.review.clusters import (
    LEAST_MEMBERS,
    Cluster,
    Unknown,
    applied,
    borderline,
    clustered,
    to_look_at,
    undone,
)
from streams.review.labels import Shelf, shelve
from streams.review.neighbours import SKETCH, unit
from tests.helpers.labels import NOW, SHA, label, part


def unknowns(*sizes: int, noise: float = 0.05, seed: int = 5, **changes: Any) -> list[Unknown]:
    """Heaps of these sizes around random directions; numbered through, a minute apart, on two lines in turns."""
    chance, found = np.random.default_rng(seed), list[Unknown]()
    for size in sizes:
        centre = unit(chance.normal(size=SKETCH))
        for _ in range(size):
            n, vector = len(found), unit(centre + noise * chance.normal(size=SKETCH))
            at: dict[str, Any] = {"inspection": part(n), "station": f"plant/line-{n % 2}/cam-1", "at_ms": n * 60_000}
            found.append(Unknown(**(at | {"embedding": vector} | changes)))
    return found


def numbers(cluster: Cluster) -> set[int]:
    return {int(one.inspection[-12:]) for one in cluster.members}


def test_heaps_across_lines_are_found_the_biggest_and_newest_first() -> None:
    found = clustered([*unknowns(12, 20, 12), *unknowns(1, noise=0, seed=77, inspection=part(99))])
    assert [numbers(one) - {99} for one in found] == [set(range(12, 32)), set(range(32, 44)), set(range(12))]
    assert all(borderline(one, 1) == [part(99)] for one in found if 99 in numbers(one))  # a stray is looked at first
    assert found[0].stations == ("plant/line-0/cam-1", "plant/line-1/cam-1")
    assert found[0].newest_ms == 31 * 60_000
    assert found[0].typical in {one.inspection for one in found[0].members}


def test_the_order_in_which_they_came_does_not_matter() -> None:
    these = unknowns(9, 14)
    assert clustered(these[::-1]) == clustered(these)


def test_size_and_shape_part_what_looks_alike() -> None:
    chance = np.random.default_rng(3)
    small = unknowns(15, noise=0.02, area_share=0.001, elongation=1.1)
    large = [
        Unknown(
            inspection=part(100 + n),
            station=one.station,
            at_ms=one.at_ms,
            embedding=unit(small[0].embedding + 0.02 * chance.normal(size=SKETCH)),
            area_share=0.2,
            elongation=9.0,
        )
        for n, one in enumerate(small)
    ]
    assert sorted(len(one.members) for one in clustered([*small, *large])) == [15, 15]
    mixed = clustered([*small, *large], weight=0)
    assert {min(len({n for n in numbers(one) if n < 100}), 15) for one in mixed} != {0, 15}


def test_copies_of_one_image_push_nobody_out() -> None:
    """A camera that stands still, or a file sent again: more than half of a heap."""
    one, other = unknowns(13), unknowns(12, seed=6)
    heap = [replace(each, embedding=one[0].embedding) if n < 7 else each for n, each in enumerate(one)]
    found = clustered([*heap, *(replace(each, inspection=part(100 + n)) for n, each in enumerate(other))])
    assert [len(each.members) for each in found] == [13, 12]


def test_few_are_no_cluster_and_many_are_cut_to_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clustered(unknowns(2 * LEAST_MEMBERS - 1)) == []
    assert clustered([]) == []
    monkeypatch.setattr(clusters, "MOST", 25)
    assert [numbers(one) for one in clustered(unknowns(20, 15))] == [set(range(20, 35)), set(range(10, 20))]


def test_doubtful_members_come_first_and_each_once() -> None:
    """A part half way to the other heap is looked at before any other."""
    these = unknowns(15, 15)
    between = unit(0.66 * these[0].embedding + 0.34 * these[20].embedding)
    odd = Unknown(inspection=part(500), station="plant/line-1/cam-1", at_ms=0, embedding=between)
    cluster = next(one for one in clustered([*these, odd]) if 0 in numbers(one))
    if 500 in numbers(cluster):
        assert borderline(cluster, 1) == [part(500)]
    every = borderline(cluster, 99)
    assert len(every) == len(set(every)) == len(cluster.members)
    assert [to_look_at(one) for one in clustered(unknowns(12, 60))] == [6, 3]


def proposal(members: range, **changes: Any) -> ClassProposalV1:
    values = {"product": "disc", "taxonomy": SHA, "name": "Chip", "members": tuple(map(part, members))}
    about = {"borderline": (part(members[0]),), "who": "ada", "why": "the same chip", "proposed_at": NOW}
    return ClassProposalV1.model_validate(values | about | changes)


DRAFTS = {part(n): label(n, answer="unsure", looked_ms=700 + n) for n in range(6)}
LATER = NOW + timedelta(hours=1)


def named(members: range = range(6)) -> list[LabelV1]:
    return applied(proposal(members), "chip", "b" * 64, DRAFTS, NOW)


def test_a_named_cluster_is_a_label_for_each_member() -> None:
    labels = named()
    assert [one.inspection for one in labels] == [part(n) for n in range(6)]
    assert {(one.answer, one.label, one.taxonomy, one.shown, one.proposal) for one in labels} == {
        ("defect", "chip", "b" * 64, "cluster", proposal(range(6)).id)
    }
    assert [one.looked_ms for one in labels] == [700, 0, 0, 0, 0, 0]  # only the borderline one was looked at
    assert shelve(Shelf(), [*labels, *named()]).copies == 6


def test_it_is_undone_as_a_whole_but_for_what_was_answered_since() -> None:
    labels = named()
    since = label(3, answer="good", withdraws=labels[3].id, answered_at=LATER)
    other = label(1, who="bob")
    shelf = shelve(Shelf(), [*labels, since, other])
    withdrawn, undo = undone(proposal(range(6)), shelf.standing(), LATER)
    assert (withdrawn.withdrawn, withdrawn.id, len(undo)) == (True, proposal(range(6)).id, 5)
    left = shelve(shelf, undo).standing()
    assert [(one.who, one.inspection) for one in left] == [("ada", part(3)), ("bob", part(1))]
    assert undone(proposal(range(6)), left, LATER)[1] == []


def test_what_cannot_be_applied_is_refused() -> None:
    with pytest.raises(ValueError, match="1 members have no draft"):
        named(range(7))
    with pytest.raises(ValueError, match="named the cluster"):
        applied(proposal(range(2), who="bob"), "chip", "b" * 64, DRAFTS, NOW)


def test_scikit_learn_is_loaded_only_where_unknowns_are_clustered() -> None:
    script = (
        "import sys, streams.review.clusters, streams.review.queue, streams.review.neighbours; print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
