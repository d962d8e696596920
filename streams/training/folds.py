"""Which groups are scored by a model that never saw them. A group (one part, one shot series) is never torn apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from streams.training.features import IntArray


def group_folds(groups: Sequence[str], labels: Sequence[str], folds: int, rng: np.random.Generator) -> IntArray:
    """Fold (0...) of each item: each label's groups are dealt out in turn, so that every fold has some of each.

    There are no more folds than groups. Raises ValueError for fewer than two groups.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group, label in zip(groups, labels, strict=True):
        counts[group][label] += 1
    if len(counts) < 2:
        raise ValueError("items of one group cannot be judged by a model that never saw them")
    label_of = {group: min(own, key=lambda label: (-own[label], label)) for group, own in counts.items()}
    fold_of: dict[str, int] = {}
    for label in sorted(set(label_of.values())):
        own = sorted(group for group in label_of if label_of[group] == label)
        for position in rng.permutation(len(own)):
            fold_of[own[position]] = len(fold_of) % min(folds, len(counts))
    return np.array([fold_of[group] for group in groups], np.int64)


def spread(groups: Sequence[str], most: int, rng: np.random.Generator) -> list[int]:
    """Positions of at most `most` items, taken from as many groups as there are, in ascending order."""
    if len(groups) <= most:
        return list(range(len(groups)))
    by_group: dict[str, list[int]] = {}
    for position in rng.permutation(len(groups)):
        by_group.setdefault(groups[int(position)], []).append(int(position))
    turns = sorted((turn, order, own[turn]) for order, own in enumerate(by_group.values()) for turn in range(len(own)))
    return sorted(position for _, _, position in turns[:most])
