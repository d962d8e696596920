"""A subgroup never overtakes the one before it, and what waits behind does not hold up the clock."""

from __future__ import annotations

from tests.helpers.spc import T0_MS, Machine, plan, verdict


def test_of_two_that_wait_the_second_may_be_due_first() -> None:
    """Parts 3 and 4 are given up at 8.03 s. Then part 5 closes the second subgroup, which has its grace before it, and the third
    is over at once. Its time was taken for the station's: nothing was published then, and nothing ever after.
    """
    machine = Machine().tell(plan(every_s=2))
    for n, at_ms in ((0, 6000), (1, 6010), (2, 6020), (5, 6030)):
        machine.judge(verdict(n), at_ms=T0_MS + at_ms)
    counts = []
    for at_ms in (8000, 9000, 9029, 9030):
        machine.wait(T0_MS + at_ms)
        counts.append([sum(one.counts.values()) for one in machine.subgroups])
    assert counts == [[], [2], [2], [2, 1, 1]]
    ids = [one.subgroup_id for one in machine.subgroups]
    assert ids == sorted(ids)
