"""How well people (or a person and the line) agree on parts, and with what the parts are: attribute agreement, AIAG MSA.

Knows answers, no page and no stream. Kappa falls with prevalence: the counts are part of every answer, and a sample should hold
30 to 50 % borderline parts. Sources: J. Cohen, Educational and Psychological Measurement 20 (1960) 37; J. Fleiss, Psychological
Bulletin 76 (1971) 378; AIAG, Measurement Systems Analysis, 4th ed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from streams.monitors.shares import Share, exact_share

Grade = Literal["good", "marginal", "unacceptable"]
_Z = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Kappa:
    """Agreement beyond chance; None where both only ever gave one answer. observed, expected: shares of equal answers.

    low, high: 95 %, by the large-sample standard error (J. Fleiss, J. Cohen, B. Everitt, Psychological Bulletin 72 (1969) 323).
    """

    value: float | None
    low: float | None
    high: float | None
    observed: float
    expected: float
    n: int


def cohen(cells: Sequence[Sequence[int]]) -> Kappa:
    """Of two raters. cells: square, row is the first rater's answer, column the second's. Raises ValueError for no answer."""
    size, n = len(cells), sum(map(sum, cells))
    if n == 0 or any(len(row) != size for row in cells) or min(min(row) for row in cells) < 0:
        raise ValueError("kappa needs a square table of counts with an answer in it")
    share = [[cell / n for cell in row] for row in cells]
    rows, columns = [math.fsum(row) for row in share], [math.fsum(column) for column in zip(*share, strict=True)]
    observed = math.fsum(share[i][i] for i in range(size))
    expected = math.fsum(row * column for row, column in zip(rows, columns, strict=True))
    if expected == 1:
        return Kappa(value=None, low=None, high=None, observed=observed, expected=expected, n=n)
    value = (observed - expected) / (1 - expected)
    width = _Z * math.sqrt(max(0.0, _variance(share, rows, columns, value, expected)) / n)
    low, high = max(-1.0, value - width), min(1.0, value + width)
    return Kappa(value=value, low=low, high=high, observed=observed, expected=expected, n=n)


def _variance(
    share: Sequence[Sequence[float]], rows: Sequence[float], columns: Sequence[float], kappa: float, expected: float
) -> float:
    """n times the variance of kappa."""
    each = range(len(rows))
    on = math.fsum(share[i][i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in each)
    off = (1 - kappa) ** 2 * math.fsum(share[i][j] * (columns[i] + rows[j]) ** 2 for i in each for j in each if i != j)
    return (on + off - (kappa - expected * (1 - kappa)) ** 2) / (1 - expected) ** 2


def crossed(first: Sequence[Hashable], second: Sequence[Hashable], answers: Sequence[Hashable]) -> list[list[int]]:
    """The table for `cohen` from two raters' answers to the same parts in the same order. Raises ValueError for other answers."""
    if unknown := {*first, *second} - {*answers}:
        raise ValueError(f"answers that are not among {list(answers)}: {sorted(map(str, unknown))}")
    place = {answer: i for i, answer in enumerate(answers)}
    cells = [[0] * len(answers) for _ in answers]
    for one, other in zip(first, second, strict=True):
        cells[place[one]][place[other]] += 1
    return cells


def fleiss(rows: Sequence[Sequence[int]]) -> float | None:
    """Kappa of m >= 2 ratings of each part. rows: a part each, how many ratings gave each answer. None where all gave one answer.

    Raises ValueError where the parts have not the same number of ratings.
    """
    m = sum(rows[0]) if rows else 0
    if m < 2 or any(sum(row) != m for row in rows):
        raise ValueError("Fleiss' kappa needs parts with the same number of ratings, two or more")
    agreed = math.fsum((sum(cell * cell for cell in row) - m) / (m * (m - 1)) for row in rows) / len(rows)
    expected = math.fsum((sum(column) / (m * len(rows))) ** 2 for column in zip(*rows, strict=True))
    return None if expected == 1 else (agreed - expected) / (1 - expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """All answers to one part. bad: what the part is; called_bad: one answer a trial."""

    bad: bool
    called_bad: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """One rater against the reference; shares with Clopper and Pearson's 95 %.

    effectiveness: parts of which all trials are right; miss: bad called good, of trials on bad parts; false_alarm: good called
    bad, of trials on good ones; cells: trials by (reference, answer), good first.
    """

    effectiveness: Share
    miss: Share
    false_alarm: Share
    cells: tuple[tuple[int, int], tuple[int, int]]
    kappa: Kappa

    @property
    def grade(self) -> Grade:
        """AIAG: good from 90 % effectiveness, at most 2 % misses and 5 % false alarms; marginal from 80, 5 and 10 %.

        A rater who was shown no bad part, or no good one, is graded by the rest.
        """
        measured = (self.effectiveness.value or 0.0, self.miss.value or 0.0, self.false_alarm.value or 0.0)
        for name, (right, missed, alarmed) in _GRADES.items():
            if measured[0] >= right and measured[1] <= missed and measured[2] <= alarmed:
                return name
        return "unacceptable"


_GRADES: Mapping[Grade, tuple[float, float, float]] = {"good": (0.9, 0.02, 0.05), "marginal": (0.8, 0.05, 0.1)}


def appraise(parts: Sequence[Trials]) -> Appraisal:
    """Raises ValueError for no part, or a part without a trial."""
    if not parts or not all(part.called_bad for part in parts):
        raise ValueError("an appraisal needs parts, and a trial of each")
    right = sum(all(called == part.bad for called in part.called_bad) for part in parts)
    cells = [[0, 0], [0, 0]]
    for part in parts:
        for called in part.called_bad:
            cells[part.bad][called] += 1
    return Appraisal(
        effectiveness=exact_share(right, len(parts)),
        miss=exact_share(cells[1][0], sum(cells[1])),
        false_alarm=exact_share(cells[0][1], sum(cells[0])),
        cells=((cells[0][0], cells[0][1]), (cells[1][0], cells[1][1])),
        kappa=cohen(cells),
    )
