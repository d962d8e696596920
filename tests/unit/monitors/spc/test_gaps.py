"""Gaps between bad parts run over the borders of subgroups: also where people overturn the verdicts that they hang from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from schemas.common import Disposition
from schemas.verdict import VerdictV1
from streams.monitors.spc.packing import course_of, memory_of, pack_course, pack_memory
from tests.helpers.spc import Machine, plan, reviewed, verdict

SIZE, COUNT = 20, 160
RARE = {"name": "between", "of": "nonconforming", "chart": "g", "trial_n": 5}
TIMES = {"name": "times", "of": "nonconforming", "chart": "t", "trial_n": 5}


def machine() -> Machine:
    return Machine().tell(plan(RARE, TIMES, n=SIZE))


def made(bad: Sequence[int], count: int) -> list[VerdictV1]:
    return [verdict(n, "scrap" if n in bad else "pass", "crack" if n in bad else None) for n in range(count)]


def overturn(one: Machine, part: VerdictV1, now: Disposition, revision: int = 2) -> VerdictV1:
    said = reviewed(part, now, "crack" if now == "scrap" else None, revision)
    one.judge(said, at_ms=one.memory.clock_ms)
    return said


def published(one: Machine) -> tuple[list[int], list[float]]:
    """Gaps and their seconds, of all subgroups in their order."""
    return [gap for sub in one.subgroups for gap in sub.gaps], [time for sub in one.subgroups for time in sub.gap_s]


def true_gaps(parts: Sequence[VerdictV1]) -> tuple[list[int], list[float]]:
    """From the verdicts that stand: one part a second, so as many seconds as numbers."""
    bad = [n for n, part in enumerate(parts) if part.disposition == "scrap"]
    return [b - a - 1 for a, b in pairwise([-1, *bad])], [float(b - a) for a, b in pairwise(bad)]


def test_the_last_bad_part_of_a_subgroup_is_none_after_all() -> None:
    one, parts = machine(), made([4, 19, 45], 60)
    one.judge(*parts).finish()
    assert published(one) == ([4, 14, 25], [15.0, 26.0])
    parts[19] = overturn(one, parts[19], "pass")
    one.finish()
    assert published(one) == true_gaps(parts) == ([4, 40], [41.0])
    changed = [(sub.first_n, sub.revision, sub.why) for sub in one.subgroups if sub.revision]
    assert [first for first, _, _ in changed] == [0, 20, 40]  # of the one between the open gap is longer
    assert "before: " in changed[-1][2]


def test_a_part_before_the_first_bad_one_of_its_subgroup_turns_bad() -> None:
    one, parts = machine(), made([4, 35], 60)
    one.judge(*parts).finish()
    parts[25] = overturn(one, parts[25], "scrap")
    one.finish()
    assert published(one) == true_gaps(parts) == ([4, 20, 9], [21.0, 10.0])


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_overturned_the_gaps_are_those_of_the_verdicts_that_stand(seed: int) -> None:
    """Some while their subgroup is open, some when it is closed, some twice; the state goes through its bytes between."""
    rng = np.random.default_rng(seed)
    parts = made(sorted(rng.choice(COUNT, 12, replace=False).tolist()), COUNT)
    one = machine()
    for n, part in enumerate(parts):
        one.judge(part)
        if n % 10 == 9:
            again = int(rng.integers(max(0, n - 60), n + 1))
            now: Disposition = "pass" if parts[again].disposition == "scrap" else "scrap"
            parts[again] = overturn(one, parts[again], now, parts[again].revision + 1)
            one.memory = memory_of(pack_memory(one.memory))
            one.shelf.courses = {key: course_of(pack_course(course)) for key, course in one.shelf.courses.items()}
    one.finish()
    assert published(one) == true_gaps(parts)
    assert one.lost == []
