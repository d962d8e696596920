"""Subgroups under any delivery: replays, restarts, copies and ticks at any moment change nothing. And what charts signal."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.common import Disposition
from schemas.spc import LimitsV1, SignalV1, StageBreakV1
from schemas.verdict import VerdictV1
from streams.monitors.spc.arl import arl1
from streams.monitors.spc.attributes import AttributeLimits
from streams.monitors.spc.packing import course_of, line_of, memory_of, pack_course, pack_line, pack_memory
from streams.monitors.spc.part import Part, Said, Stage
from streams.monitors.spc.station import judge
from tests.helpers.spc import PRODUCT, T0_MS, Machine, Shelf, act, digest_of, plan, reviewed, values, verdict

CHARTS: tuple[dict[str, Any], ...] = (
    {"name": "nonconforming", "of": "nonconforming", "chart": "laney_p", "trial_n": 5},
    {"name": "between", "of": "nonconforming", "chart": "g", "trial_n": 5},
)
Fed = tuple[VerdictV1, int]  # and when it came


@st.composite
def logs(draw: st.DrawFn) -> list[Fed]:
    """verdict.v1 of one station: out of order, late, with copies, later revisions, new models, lots, other purposes."""
    count = draw(st.integers(10, 40))
    change, lot = draw(st.integers(1, 40)), draw(st.integers(5, 25))
    placed: list[tuple[int, int, VerdictV1]] = []
    for n in range(count):
        said: Disposition = draw(st.sampled_from(("pass", "pass", "pass", "scrap", "rework", "review", "no_verdict")))
        purpose = draw(st.sampled_from(("production",) * 6 + ("challenge",)))
        models = digest_of("2" if n < change else "9")
        one = verdict(n, said, purpose=purpose, model_set=models, lot=f"L{n // lot}")
        late = draw(st.sampled_from((0, 0, 0, 1, 700, 1500, 9_000, 40_000)))
        placed.append((1000 * n + late, n, one))
        if draw(st.integers(0, 5)) == 0:
            placed.append((1000 * n + late + draw(st.integers(0, 30_000)), n, one))
        if draw(st.integers(0, 5)) == 0 and purpose == "production":
            placed.append(
                (1000 * n + late + draw(st.integers(0, 60_000)), n, reviewed(one, draw(st.sampled_from(("pass", "scrap")))))
            )
    placed.sort(key=lambda one: one[0])
    return [(one, T0_MS + at + 300) for at, _, one in placed]


def fed(log: list[Fed], **rule: Any) -> Machine:
    machine = Machine().tell(plan(*CHARTS, **rule))
    for one, at_ms in log:
        machine.judge(one, at_ms=at_ms)
    return machine


RULES: tuple[dict[str, Any], ...] = ({"n": 4}, {"every_s": 10, "n": 7}, {"lot": True, "n": 9, "grace_s": 5})


@settings(max_examples=30, deadline=None)
@given(logs(), st.sampled_from(RULES), st.data())
def test_a_restart_at_any_record_and_a_record_read_twice_change_nothing(
    log: list[Fed], rule: dict[str, Any], data: st.DataObject
) -> None:
    whole = fed(log, **rule).finish()
    again = Machine().tell(plan(*CHARTS, **rule))
    cuts = data.draw(st.sets(st.integers(0, len(log)), max_size=8))
    for index, (one, at_ms) in enumerate(log):
        again.judge(one, at_ms=at_ms)
        if index in cuts:
            _restart(again)
            again.judge(one, at_ms=at_ms, offset=again.offset)
    assert values(again.finish().said) == values(whole.said)
    assert again.memory.order == whole.memory.order


@settings(max_examples=30, deadline=None)
@given(logs(), st.sampled_from(RULES), st.data())
def test_when_time_is_asked_for_changes_nothing(log: list[Fed], rule: dict[str, Any], data: st.DataObject) -> None:
    whole = fed(log, **rule).finish()
    asked = Machine().tell(plan(*CHARTS, **rule))
    steps = [*pairwise(at_ms for _, at_ms in log), (log[-1][1], log[-1][1])]
    for (one, at_ms), (_, until) in zip(log, steps, strict=True):
        asked.judge(one, at_ms=at_ms)
        if until > at_ms:
            asked.wait(data.draw(st.integers(at_ms, until - 1)))
    assert values(asked.finish().said) == values(whole.said)
    assert len(asked.said) == len(whole.said)


@settings(max_examples=30, deadline=None)
@given(logs(), st.sampled_from(RULES))
def test_every_part_counts_once_or_is_told_of(log: list[Fed], rule: dict[str, Any]) -> None:
    machine = fed(log, **rule).finish()
    production = {one.inspection for one, _ in log if one.purpose == "production"}
    closed = sum(sum(sub.counts.values()) for sub in machine.subgroups)
    still = sum(sum(tally.counts) for tally in machine.memory.opens.values())
    numbers = {name.rpartition(":")[2] for name in production}
    forgotten = {line.split()[1] for line in machine.lost if "forgotten" in line} & numbers  # from before the first that was seen
    assert closed + still == len(production) - len(forgotten)
    effective = {one.inspection: one for one, _ in sorted(log, key=lambda fed: fed[0].revision)}
    if not machine.lost and not machine.memory.opens:
        wanted = sum(effective[name].disposition in ("rework", "scrap") for name in production)
        assert sum(sub.nonconforming for sub in machine.subgroups) == wanted


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(30)), st.integers(0, 29))
def test_order_within_the_wait_changes_nothing(order: list[int], change: int) -> None:
    parts = [verdict(n, "scrap" if n % 3 == 0 else "pass", model_set=digest_of("2" if n < change else "9")) for n in range(30)]
    first = verdict(100, epoch=1)  # so that the sequence has begun
    told = [(first, T0_MS), *((part, T0_MS + 60_000 + i) for i, part in enumerate(parts))]
    mixed = [(first, T0_MS), *((parts[n], T0_MS + 60_000 + i) for i, n in enumerate(order))]
    assert [sub.counts for sub in fed(mixed, n=4).finish().subgroups] == [sub.counts for sub in fed(told, n=4).finish().subgroups]


def _restart(machine: Machine) -> None:
    """All of the state through JSON."""
    machine.memory = memory_of(pack_memory(machine.memory))
    lines = {key: line_of(pack_line(line)) for key, line in machine.shelf.lines.items()}
    courses = {key: course_of(pack_course(course)) for key, course in machine.shelf.courses.items()}
    machine.shelf = Shelf(lines, courses)


# ---------------------------------------------------------------- what charts signal
STAGE = Stage("1" * 64, "2" * 64, "3" * 64, (), ())
OTHER = STAGE._replace(model_set="9" * 64)


def lots(machine: Machine, bad: list[list[bool]], first: int = 0, stage: Stage = STAGE) -> int:
    """Lots of parts, judged; the number of the next part."""
    n = first
    for index, lot in enumerate(bad):
        for one in lot:
            at = T0_MS + 100 * n
            part = Part(
                1,
                n,
                at,
                at,
                PRODUCT,
                "production",
                Said("scrap" if one else "pass"),
                lot=f"{first}-{index}",
                stage=stage[1] or "",
            )
            machine.offset += 1
            machine._take(*judge(machine.memory, machine.shelf, part, stage, machine.offset))
            n += 1
    return n


def drawn(rng: np.random.Generator, count: int, size: int, rate: float) -> list[list[bool]]:
    return [list(row) for row in (rng.random((count, size)) < rate)]


def signal_after(seed: int, before: float, after: float, size: int = 500, learnt: int = 30) -> tuple[int, SignalV1, LimitsV1]:
    """(subgroups after the change until the first signal, it, the limits)."""
    rng = np.random.default_rng(seed)
    chart = {"name": "nonconforming", "of": "nonconforming", "chart": "laney_p", "trial_n": learnt}
    machine = Machine().tell(plan(chart, n=size, grace_s=0))
    n = lots(machine, drawn(rng, learnt, size, before))
    machine.finish().tell(act("freeze")).finish()
    for index in range(1, 60):
        n = lots(machine, drawn(rng, 1, size, after), n)
        machine.finish()
        if found := [s for s in machine.of(SignalV1) if s.phase == "II"]:
            return index, found[0], machine.of(LimitsV1)[-1]
    raise AssertionError("no signal in 60 subgroups")


def test_a_rise_from_1_to_3_percent_is_signalled_within_its_run_length() -> None:
    """Six plants. Each was promised a mean run length by its own limits; all together keep the promise."""
    waited, promised, rules = [], [], []
    for seed in range(6):
        after, signal, limits = signal_after(seed, 0.01, 0.03)
        known = AttributeLimits(
            chart="laney_p",
            center=limits.center,
            sigma_z=limits.sigma_z,
            d2=1.128,
            subgroups=tuple(map(str, range(limits.provenance.n))),
        )
        waited.append(after)
        promised.append(arl1(known, 500, "nelson_1_2", 0.03))
        rules.append((signal.rule, signal.direction))
    assert set(rules) == {("nelson_1", "high")}
    assert max(promised) < 2.5
    assert np.mean(waited) <= np.mean(promised) + 3 * np.std(promised + waited) / np.sqrt(6)


def test_lots_that_wander_do_not_flood_the_primed_chart_as_they_do_the_plain_one() -> None:
    """600 lots of 100 in control, their rate beta distributed around 5 % with a sd of 3 points."""
    rng = np.random.default_rng(3)
    alike = 0.03**2 / (0.05 * 0.95)
    rates = rng.beta(0.05 * (1 / alike - 1), 0.95 * (1 / alike - 1), size=660)
    kinds = (("primed", "laney_p"), ("plain", "p"))
    charts = [{"name": n, "of": "nonconforming", "chart": kind, "trial_n": 60, "rule_set": "nelson_1"} for n, kind in kinds]
    machine = Machine().tell(plan(*charts, n=100, grace_s=0))
    lots(machine, [list(rng.random(100) < rate) for rate in rates])
    machine.finish()
    limits = {one.characteristic: one for one in machine.of(LimitsV1)}
    false = {name: sum(s.characteristic == name for s in machine.of(SignalV1)) for name in limits}
    stated = limits["primed"].arl0_subgroups
    assert stated is not None
    expected = 660 / stated
    assert false["primed"] <= expected + 3 * np.sqrt(expected) + 0.3 * expected  # limits of 60 lots are known to a third
    assert false["plain"] > 3 * false["primed"]


def test_a_new_model_set_that_rejects_more_is_a_stage_and_no_signal() -> None:
    rng = np.random.default_rng(8)
    machine = Machine().tell(
        plan({"name": "nonconforming", "of": "nonconforming", "chart": "laney_p", "trial_n": 25}, n=500, grace_s=0)
    )
    n = lots(machine, drawn(rng, 30, 500, 0.01))
    machine.finish().tell(act("freeze")).finish()
    before = len(machine.of(SignalV1))
    lots(machine, drawn(rng, 12, 500, 0.03), n, OTHER)
    machine.finish()
    assert [one.changed for one in machine.of(StageBreakV1)] == [(), ("model_set",)]
    assert len(machine.of(SignalV1)) == before
    assert [one.status for one in machine.of(LimitsV1)] == ["trial", "frozen", "carried"]
