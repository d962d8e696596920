"""Golden parts, as one score stream sees them: the same good part again and again, so what moves is not the material.

An injected image is the same to the last byte, so its score may differ from the first one by no more than the model's tolerance:
beyond it, what serves the model changed. A physical master is held to the mean of its own first passes; its repeatability comes
from all masters of the stream together. Knows no challenge set: whether a part was found is somebody else's question.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from schemas.common import Proof

LEARNED = 8  # passes of a physical master that its mean is learned from
FEWEST = 3  # of them, from which a comparison is made
RECENT = 8  # passes that are remembered after them
MOST = 16  # parts: those seen longest ago are forgotten
_SURE, _WARN = 2.576, 4.5  # normal quantiles of a two-sided 1 % (asked at an alarm), of 7e-6 (asked at every pass)
_WARN_OF = 4  # latest passes that a warning rests on
Verdict = Literal["moved", "still", "unclear"]


class Pass(NamedTuple):
    """at: how many production parts the stream had judged before."""

    at: int
    score: float


class Golden(NamedTuple):
    """One golden part. image: start of its SHA-256, "" for a physical one. n, mean, squares: of the passes learned from.

    squares: sum of squared deviations from their mean. recent: the passes after them. warned: until it is back.
    """

    part: str
    proof: Proof
    image: str
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    recent: tuple[Pass, ...] = ()
    warned: bool = False


class Answer(NamedTuple):
    """What the golden parts of one proof say since some part. change: mean over the passes, in the score's unit."""

    verdict: Verdict
    parts: tuple[str, ...] = ()
    passes: int = 0
    before: float = 0.0
    now: float = 0.0
    sure: float = 0.0

    @property
    def change(self) -> float:
        return self.now - self.before


UNCLEAR = Answer("unclear")


def step(state: Sequence[Golden], seen: Golden, at: int, score: float, tolerance: float) -> tuple[Golden, ...]:
    """One pass more. seen: part, proof and image alone; at: production parts judged before; tolerance: of the stream's model.

    Another image under the same name is another part.
    """
    same = next((one for one in state if one[:3] == seen[:3]), seen)
    others = [one for one in state if one.part != seen.part]
    after = _learned(same, score) if same.n < learns(same) else same._replace(recent=(*same.recent, Pass(at, score))[-RECENT:])
    known = (*others, after)[-MOST:]
    if len(after.recent) >= _WARN_OF:
        found = _of([after], known, warned_since(after), tolerance, _SURE if after.warned else _WARN, math.inf)
        after = after._replace(warned=found.verdict == "moved")
    return (*known[:-1], after)


def raised(before: Sequence[Golden], after: Sequence[Golden]) -> Golden | None:
    """The part that a step has warned of."""
    told = {one[:3] for one in before if one.warned}
    return next((one for one in after if one.warned and one[:3] not in told), None)


def warned_since(one: Golden) -> int:
    """Production parts judged before the first of the passes that a warning rests on."""
    return one.recent[-_WARN_OF].at


def warning(state: Sequence[Golden], one: Golden, tolerance: float) -> Answer:
    """What the warning of a part of `state` rests on."""
    return _of([one], state, warned_since(one), tolerance, _SURE, math.inf)


def answer(state: Sequence[Golden], proof: Proof, since: int, tolerance: float, by: float | None = None) -> Answer:
    """What they say of the passes after `since` production parts. by: how far production moved, in the score's unit.

    moved: beyond what repeats explain (1 %). still: so near to where they were that half of `by` can be excluded; without `by`:
    not moved. unclear: too few passes, or neither.
    """
    own = [one for one in state if one.proof == proof and one.n >= (FEWEST if proof == "physical" else 1)]
    return _of(own, state, since, tolerance, _SURE, math.inf if by is None else abs(by) / 2)


def learns(one: Golden) -> int:
    """Passes that its reference takes."""
    return LEARNED if one.proof == "physical" else 1


def dump(state: Sequence[Golden]) -> list[Any]:
    """As JSON data: 60 bytes a part and 20 a pass."""
    return [list(one) for one in state]


def load(data: Sequence[Any]) -> tuple[Golden, ...]:
    return tuple(_loaded(*one) for one in data)


def _loaded(part: str, proof: Proof, image: str, n: int, mean: float, squares: float, recent: Any, warned: bool) -> Golden:
    return Golden(part, proof, image, n, mean, squares, tuple(Pass(*each) for each in recent), warned)


def _learned(one: Golden, score: float) -> Golden:
    """B. P. Welford, Technometrics 4 (1962) 419."""
    n = one.n + 1
    mean = one.mean + (score - one.mean) / n
    return one._replace(n=n, mean=mean, squares=one.squares + (score - one.mean) * (score - mean))


def _of(own: Sequence[Golden], known: Sequence[Golden], since: int, tolerance: float, z: float, near: float) -> Answer:
    """The mean change over all passes after `since`, each against its own part's mean."""
    passes = [(one, each.score) for one in own for each in one.recent if each.at >= since]
    if not passes:
        return UNCLEAR
    parts = tuple(dict.fromkeys(one.part for one, _ in passes))
    before, now = (sum(values) / len(passes) for values in zip(*((one.mean, score) for one, score in passes), strict=True))
    sure = tolerance if own[0].proof == "digital" else max(tolerance, _doubt(passes, known, z))
    change = abs(now - before)
    verdict: Verdict = "moved" if change > sure else "still" if change + sure < near else "unclear"
    return Answer(verdict, parts, len(passes), before, now, sure)


def _doubt(passes: Sequence[tuple[Golden, float]], known: Sequence[Golden], z: float) -> float:
    """Half the width of the interval around a mean change, from Student's t; infinite where nothing repeats yet."""
    masters = [one for one in known if one.proof == "physical" and one.n > 1]
    freedom = sum(one.n - 1 for one in masters)
    if not freedom:
        return math.inf
    spread = math.sqrt(sum(one.squares for one in masters) / freedom)
    weights = {one.part: sum(other.part == one.part for other, _ in passes) / len(passes) for one, _ in passes}
    of_means = sum(weight**2 / next(one.n for one, _ in passes if one.part == part) for part, weight in weights.items())
    return student(z, freedom) * spread * math.sqrt(1 / len(passes) + of_means)


def student(z: float, freedom: int) -> float:
    """Quantile of Student's t from the normal one: first terms of R. Fisher, E. Cornish, Technometrics 2 (1960) 209.

    Within 2 % for 4 degrees of freedom at 2.6, within 5 % for 7 at 4.5.
    """
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
