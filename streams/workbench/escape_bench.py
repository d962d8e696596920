"""How often the live bound on escapes is wrong, and how far from one look it is: whole lives, looked at after every bad part.

Between two bad parts the bound only rises, so this looks at every moment at which it could be wrong, and at every audit.
Good parts change nothing but the number of passes: only bad ones are drawn. Knows no Kafka.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streams.review.escape_bound import PPM, STAKES, Audit, Design, escape_bound, log_wealth, looked_at_once, stakes

Floats = NDArray[np.float64]
Law = tuple[tuple[float, float], ...]  # (audit probability, share of the parts that have it)
When = Literal["steady", "until found"]
PASSES = 50_000
CHUNK = 100

UNIFORM: Law = ((0.05, 1.0),)
WEIGHTED: Law = ((0.5, 0.02), (0.1, 0.08), (0.02, 0.9))  # of good passes, whose p-values are uniform
LAWS: dict[str, tuple[Law, Law]] = {  # of good parts, of bad ones
    "uniform": (UNIFORM, UNIFORM),
    "weighted, bad parts are strange": (WEIGHTED, ((0.5, 0.6), (0.1, 0.25), (0.02, 0.15))),
    "weighted, bad parts look like good ones": (WEIGHTED, WEIGHTED),
    "weighted, bad parts hide": (WEIGHTED, ((0.02, 1.0),)),
    "all": (((1.0, 1.0),), ((1.0, 1.0),)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """wrong: lives in which the bound was ever below the truth. audits, truth_ppm, bound_ppm: mean at the end of a life.

    once_ppm: bound of one look with as many audits, all drawn alike; None where the probabilities differ.
    """

    law: str
    when: When
    ppm: float
    lives: int
    wrong: int
    audits: float
    truth_ppm: float
    bound_ppm: float
    once_ppm: float | None


def coverage(law: str, when: When, ppm: float, lives: int, seed: int = 1) -> Row:
    """`lives` lives of 50,000 passes with this rate of escapes."""
    chance = np.random.default_rng([seed, round(ppm), *law.encode(), *when.encode()])
    parts = [_lives(law, when, ppm, n, chance) for n in _chunks(lives)]
    wrong, truth, bound, once, audits = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Row(
        law=law,
        when=when,
        ppm=ppm,
        lives=lives,
        wrong=int(wrong.sum()),
        audits=float(audits.mean()),
        truth_ppm=float(truth.mean()),
        bound_ppm=float(bound.mean()),
        once_ppm=float(once.mean()) if len(LAWS[law][1]) == 1 and LAWS[law][0] == LAWS[law][1] else None,
    )


def table(lives: int) -> Iterator[Row]:
    for law in LAWS:
        for ppm in (0, 100, 1000, 10_000):
            yield coverage(law, "steady", ppm, lives)
        yield coverage(law, "until found", 10_000, lives)


def once_looked_at_always(ppm: float, lives: int, seed: int = 1) -> float:
    """Share of lives in which the bound of one look, asked after every audit (5 %, drawn alike), is ever below the truth."""
    chance, share = np.random.default_rng([seed, round(ppm)]), UNIFORM[0][0]
    wrong = 0
    known: dict[tuple[int, int], float] = {}
    for _ in range(lives):
        at = np.flatnonzero(chance.random(PASSES) < share)
        bad = chance.random(PASSES) < ppm / PPM
        truth, found = np.cumsum(bad)[at] / (at + 1) * PPM, np.cumsum(bad[at])
        for n, (k, true) in enumerate(zip(found.tolist(), truth.tolist(), strict=True), start=1):
            if (k, n) not in known:
                known[k, n] = looked_at_once(k, n)
            if true > known[k, n]:
                wrong += 1
                break
    return wrong / lives


def _chunks(lives: int) -> list[int]:
    return [min(CHUNK, lives - done) for done in range(0, lives, CHUNK)]


def _lives(law: str, when: When, ppm: float, lives: int, chance: np.random.Generator) -> tuple[NDArray[np.generic], ...]:
    """(was ever wrong, true ppm, bound, bound of one look, audits), a value a life. `until found`: the first find ends it."""
    good, bad = LAWS[law]
    floor = min(probability for probability, _ in (*good, *bad))
    counts = chance.binomial(PASSES, ppm / PPM, lives)
    likely = chance.choice([p for p, _ in bad], size=(lives, max(1, counts.max())), p=[share for _, share in bad])
    there = np.arange(likely.shape[1]) < counts[:, None]
    drawn = there & (chance.random(likely.shape) < likely)
    if when == "until found":
        there &= np.cumsum(drawn, axis=1) - drawn == 0
        drawn &= there
    terms = np.where(drawn[..., None], np.log1p(-stakes(floor) / likely[..., None]), 0.0)
    logs = np.cumsum(terms, axis=1)
    wealth = log_wealth(floor, logs, np.cumsum(there, axis=1).astype(float))
    wrong = (np.where(there, wealth, -np.inf) >= np.log(20)).any(axis=1)
    found, truth = drawn.sum(axis=1), there.sum(axis=1)
    audits = found + chance.binomial(PASSES - truth, sum(p * share for p, share in good))
    bound = [_bound(floor, int(k), row) for k, row in zip(found, logs[:, -1], strict=True)]
    once = [looked_at_once(int(k), int(n)) for k, n in zip(found, audits, strict=True)]
    return wrong, PPM * truth / PASSES, np.array(bound), np.array(once), audits


def _bound(floor: float, found: int, logs: Floats) -> float:
    assert logs.shape == (STAKES,)
    return escape_bound(Audit(design=Design(floor=floor), passes=PASSES, found=found, logs=tuple(logs.tolist()))).ppm
