"""Where each view of many parts lies to a policy's limits, as one small number each: views with one number are judged alike.

A part's evidence is a handful of numbers; what a policy sees of them is which limits they exceed. Of parts that agree in that
one is judged by `retained.would`, and the others get its answer. Where sizes decide there is no such number: -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.policy import GOOD
from streams.judgement.rules import Rules

ALONE = -1
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Views of parts with one model set, a row each. score: nan where there is none; shares: (rows, classes), nan likewise.

    classes: sorted. view: index into `views`. score_us, kind_us: append times; due_us: from when on evidence is late.
    odd: something failed, or the evidence names other classes: judged alone.
    """

    views: Sequence[str]
    classes: Sequence[str]
    view: Ints
    score: Floats
    score_us: Ints
    shares: Floats
    kind_us: Ints
    odd: NDArray[np.bool_]


def numbers(classes: int) -> int:
    """How many numbers `crossings` has for so many classes: all of them are below it."""
    return 4 * (2 * classes + 4)


def crossings(rules: Rules, columns: Columns, due_us: Ints) -> Ints:
    """One number a row; equal numbers of one view mean that `would` cannot tell them apart. They mean the same in all calls
    with the same rules and classes.
    """
    strange = _strange(rules, columns, due_us)
    kind, sized = _kinds(rules, columns, due_us)
    found = strange * (2 * len(columns.classes) + 4) + kind
    return np.where(columns.odd | (sized & _could_be_measured(rules)), ALONE, found)


def _could_be_measured(rules: Rules) -> bool:
    return rules.policy.geometry is not None and rules.model_set.model("segmentation") is not None


def _strange(rules: Rules, columns: Columns, due_us: Ints) -> Ints:
    """0: no score in time; 1: no threshold; 2: normal; 3: anomalous."""
    limits = np.array([np.nan if (t := rules.threshold(view)) is None else t for view in columns.views])[columns.view]
    seen = np.where(np.isnan(limits), 1, np.where(columns.score > limits, 3, 2))
    return np.where(np.isnan(columns.score) | (columns.score_us >= due_us), 0, seen)


def _kinds(rules: Rules, columns: Columns, due_us: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """(0: no shares in time; 1: unknown; 2 and on: the accepted class), and whether the size of such a thing may decide."""
    policy, names = rules.policy, list(columns.classes)
    known = [name in policy.classes for name in names]
    limits = np.array([policy.classes[name].threshold if name in policy.classes else np.inf for name in names])
    over = columns.shares >= limits if names else np.zeros(columns.shares.shape, bool)
    defect = over & np.array([name != GOOD for name in names], bool)
    chosen = np.where(defect.any(axis=1, keepdims=True), defect, over) if names else over
    label = np.where(chosen, columns.shares, -np.inf).argmax(axis=1) if names else np.zeros(len(columns.view), np.int64)
    some = chosen.any(axis=1) if names else np.zeros(len(columns.view), bool)
    sized = np.array([ok and policy.classes[name].geometry for ok, name in zip(known, names, strict=True)] or [False])
    unknown_sized = policy.geometry is not None and policy.geometry.unknown_above_px is not None
    kind = np.where(some, 2 + label, 1)
    late = columns.kind_us >= due_us
    absent = np.isnan(columns.shares).any(axis=1) if names else np.ones(len(columns.view), bool)
    return np.where(absent | late, 0, kind), np.where(some, sized[label], unknown_sized)
