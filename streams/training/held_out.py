"""What two heads answer about parts that neither has learned from, and how often each is right. Pure; knows no store.

Whole groups are held out: a row is answered by a fit of the same recipe without its fold. The head in force answers as it is
where it has never seen the row's group. A part is a group of one class: it counts as right where more than half of its images
are, so several images of one part are one observation. Intervals are Clopper and Pearson's; the two heads are compared on the
parts about which they differ (Q. McNemar, Psychometrika 12 (1947) 153, as an exact binomial test).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.policy import GOOD
from streams.judgement.facts import UNKNOWN
from streams.judgement.policy import accepted
from streams.monitors.shares import Share, exact_share
from streams.training.features import FloatArray, IntArray, softmax
from streams.training.heads.classes import C, fit_classes
from streams.training.heads.logistic import fit_logistic
from streams.training.stages import expected_shares
from streams.training.taught import Taught

PROVEN = 0.05


def held_out(taught: Taught, x: FloatArray, fold: IntArray) -> FloatArray:
    """Probabilities (n, K) of x, columns sorted by class. fold: what each row is held out with; -1: answered by the whole fit.

    A class that a fit without that fold does not have gets 0.
    """
    kinds = sorted(set(taught.label))
    target = np.searchsorted(kinds, taught.label)
    shares = expected_shares(kinds)
    whole = fit_classes(taught.embedding, taught.label, taught.fold, shares).head
    mean, std = taught.embedding.mean(0), taught.embedding.std(0) + np.float32(1e-6)
    z, asked = (taught.embedding - mean) / std, (x - mean) / std
    moved = np.log([shares[kind] * len(kinds) for kind in kinds])
    answers = np.zeros((len(x), len(kinds)), np.float32)
    for out in np.unique(fold):
        rows, left = fold == out, taught.fold != out
        if out < 0:
            answers[rows] = softmax(np.asarray(x[rows] @ whole.weight + whole.bias, np.float32))
            continue
        there, own = np.unique(target[left], return_inverse=True)
        if len(there) < 2:
            continue
        w, b = fit_logistic(np.asarray(z[left], np.float32), own, len(there), C)
        logits = np.asarray((asked[rows] @ w + b) / whole.temperature + moved[there], np.float32)
        answers[np.ix_(rows, there)] = softmax(logits)
    return answers


def labels_of(answers: FloatArray, kinds: Sequence[str], thresholds: Mapping[str, float]) -> list[str]:
    """As a verdict would name them: the class that is accepted, or `unknown`."""
    rows: list[list[float]] = answers.tolist()
    return [accepted(thresholds, dict(zip(kinds, row, strict=True))) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A group of one class, what each head calls it, and where its images stand."""

    group: str
    label: str
    before: str
    after: str
    at: tuple[int, ...]

    @property
    def gained(self) -> bool:
        return self.before != self.label == self.after

    @property
    def lost(self) -> bool:
        return self.before == self.label != self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One class, or all (label None). found: right of its parts; called: right of the parts that were called so.

    chance: of a difference as large where both heads are equally good; 1 where they never differ.
    """

    label: str | None
    found_before: Share
    found_after: Share
    called_before: Share
    called_after: Share
    gained: int
    lost: int
    chance: float


def parts(labels: Sequence[str], groups: Sequence[str], before: Sequence[str], after: Sequence[str]) -> list[Part]:
    """A row an image, all four of one length."""
    rows: dict[tuple[str, str], list[int]] = {}
    for at, key in enumerate(zip(groups, labels, strict=True)):
        rows.setdefault(key, []).append(at)
    return [
        Part(group=group, label=label, before=_most(before[i] for i in at), after=_most(after[i] for i in at), at=tuple(at))
        for (group, label), at in rows.items()
    ]


def compared(found: Sequence[Part], label: str | None = None) -> Compared:
    """label: of one class alone."""
    own = [one for one in found if label in (None, one.label)]
    gained, lost = sum(one.gained for one in own), sum(one.lost for one in own)
    return Compared(
        label=label,
        found_before=_share(one.before == one.label for one in own),
        found_after=_share(one.after == one.label for one in own),
        called_before=_share(one.before == one.label for one in found if _named(one.before, label)),
        called_after=_share(one.after == one.label for one in found if _named(one.after, label)),
        gained=gained,
        lost=lost,
        chance=by_chance(gained, lost),
    )


def passed(found: Sequence[Part]) -> tuple[Share, Share]:
    """(before, after): defective parts that are called good."""
    bad = [one for one in found if one.label != GOOD]
    return _share(one.before == GOOD for one in bad), _share(one.after == GOOD for one in bad)


def by_chance(gained: int, lost: int) -> float:
    """Two-sided: as unequal a split of gained + lost, each as likely as the other."""
    n = gained + lost
    tail: float = sum(math.comb(n, k) for k in range(min(gained, lost) + 1)) / (1 << n)
    return min(1.0, 2 * tail)


def _named(answer: str, label: str | None) -> bool:
    return answer != UNKNOWN if label is None else answer == label


def _most(answers: Iterable[str]) -> str:
    """What more than half of a part's images are called."""
    counts = Counter(answers)
    ((best, votes),) = counts.most_common(1)
    return best if 2 * votes > counts.total() else UNKNOWN


def _share(hits: Iterable[bool]) -> Share:
    seen = list(hits)
    return exact_share(sum(seen), len(seen))
