"""Whatever the order, however often, wherever it restarts: one verdict in time, the same bytes, nothing released too late."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.common import BaselineState, Message
from schemas.envelope import Received, Record
from schemas.evidence import AnnouncedV1
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from streams.judgement import memory
from streams.judgement.memory import contains, with_number
from streams.judgement.part import Held, Part
from streams.judgement.shard import TriageShard
from streams.judgement.versions import RuleBook
from tests.helpers.evidence_log import T0_MS, Published, appended, evidence_record, play, tick, verdicts
from tests.helpers.judgement import (
    STATION,
    announced,
    anomaly,
    classification,
    evidence_key,
    failed,
    instance,
    model_set,
    policy,
    reviewed,
    segmentation,
    stamp,
)

MODELS = model_set("anomaly", "classification", "segmentation")
SCRAP = {"measure": "length_mm", "at_least": 2, "disposition": "scrap"}
GEOMETRY = {"mm_per_px": {"*": 0.1}, "unknown_above_px": 10, "rules": [SCRAP]}
RULES = policy(
    geometry=GEOMETRY,
    classes={
        "good": {"threshold": 0.8, "disposition": "pass"},
        "scratch": {"threshold": 0.8, "disposition": "rework", "geometry": True},
        "dent": {"threshold": 0.8, "disposition": "scrap"},
    },
    baseline={"suspect": {"do": "audit", "audit_fraction": 0.5}, "stale": {"do": "hold"}},
    audit_fraction=0.1,
    audit_steps=[{"p_at_most": 0.2, "audit_fraction": 0.5}],
)
PUBLISHED = Published(RULES, MODELS)
PARTS = tuple(f"{STATION}:1700000000000-{n:012d}" for n in range(3))
VIEWS = dict(zip(PARTS, (("v1",), ("v1", "v2"), ("v1",)), strict=True))
STATES: dict[str, tuple[BaselineState, ...]] = dict(
    zip(PARTS, (("active",), ("provisional", "suspect"), ("stale",)), strict=True)
)


def hello_of(part: str) -> AnnouncedV1:
    """Each part stands on other baselines: one in order, two in doubt, one that holds what it lets pass."""
    states = zip(VIEWS[part], STATES[part], strict=True)
    return announced(part, RULES, MODELS, views=VIEWS[part], baselines={view: stamp(STATION, view, one) for view, one in states})


def everything(inspection: str, views: tuple[str, ...]) -> list[Message]:
    """All that may ever be said of a part, the contradictory too."""
    said: list[Message] = [hello_of(inspection), failed(inspection, "segmentation", view=views[0])]
    for view in views:
        said += [anomaly(inspection, MODELS, score, view) for score in (0.1, 0.95)]
        said += [classification(inspection, MODELS, label, view) for label in ("good", "scratch", "dent")]
        said += [segmentation(inspection, MODELS, instance(length), view=view) for length in (1.0, 3.0)]
    said += [reviewed(inspection, revision, disposition) for revision in (1, 2) for disposition in ("pass", "scrap")]
    return [*said, failed(inspection, "anomaly", "classification", view=views[-1])]


STEPS_MS = st.sampled_from([0, 1, 40, 900, 2600, 5000, 61_000, 601_000, -3000])
Steps = list[tuple[int, str]]  # milliseconds since the record before, its name below
TICK = "tick"
CATALOG = {TICK: evidence_record(tick())}
for one in PARTS:
    for number, message in enumerate(everything(one, VIEWS[one])):
        record = evidence_record(message)
        CATALOG[f"{one[-1]}/{number} {evidence_key(message)[45:70]}"] = record
        if number < 3:
            CATALOG[f"{one[-1]}/{number} broken"] = Record(topic=record.topic, key=record.key, value=b"{", headers=record.headers)


def name_of(message: Message) -> str:
    return next(name for name, record in CATALOG.items() if record == evidence_record(message))


def life(part: str, pause_ms: int, label: str, disposition: str) -> Steps:
    """A part as it usually goes: all in order, with one pause before the last evidence, and a person in the end."""
    said: list[Message] = [hello_of(part)]
    for view in VIEWS[part]:
        said += [anomaly(part, MODELS, 0.1, view), classification(part, MODELS, label, view)]
    *first, last = map(name_of, said)
    reviews = [name_of(reviewed(part, revision, disposition)) for revision in (1, 2)]
    return [*((1, name) for name in first), (1, TICK), (pause_ms, last), (1, TICK), *((1, name) for name in reviews)]


LIVES = [
    life(part, pause_ms, label, disposition)
    for part in PARTS
    for pause_ms in (1, 5000, 700_000)
    for label, disposition in (("good", "pass"), ("good", "scrap"), ("dent", "pass"), ("scratch", "pass"))
]
ONE = st.tuples(STEPS_MS, st.sampled_from([*CATALOG, TICK, TICK])).map(lambda step: [step])
LOGS: st.SearchStrategy[Steps] = st.lists(ONE | st.sampled_from(LIVES), max_size=12).map(
    lambda runs: [s for run in runs for s in run]
)


def written(steps: Steps) -> list[Received]:
    log, at_ms = [], T0_MS
    for offset, (step_ms, name) in enumerate([*steps, (6000, TICK), (61_000, TICK)]):
        at_ms += step_ms
        log.append(appended(CATALOG[name], offset, at_ms))
    return log


@dataclass
class Changelog:
    """What compaction leaves: the last value of each key, in the order of the last writes."""

    entries: dict[str, bytes | None]

    def write(self, changed: dict[str, bytes | None]) -> None:
        for key, value in changed.items():
            self.entries.pop(key, None)
            self.entries[key] = value

    def restored(self) -> TriageShard:
        shard = TriageShard(RuleBook(PUBLISHED))
        for key, value in self.entries.items():
            shard.restore(key, value)
        return shard


@settings(max_examples=250, deadline=None)
@given(LOGS, st.sets(st.integers(0, 60), max_size=4))
def test_a_restart_anywhere_gives_the_same_bytes(steps: Steps, restarts: set[int]) -> None:
    log = written(steps)
    straight, _ = play(log, PUBLISHED)
    shard, changelog = TriageShard(RuleBook(PUBLISHED)), Changelog({})
    outputs: list[Record] = []
    for record in log:
        if record.offset in restarts:
            shard = changelog.restored()
        effects = shard.step(record)
        changelog.write(dict(effects.changed))
        outputs += effects.outputs
    assert outputs == straight


@settings(max_examples=250, deadline=None)
@given(LOGS)
def test_one_verdict_by_the_deadline_and_no_release_after_it(steps: Steps) -> None:
    log = written(steps)
    outputs, shard = play(log, PUBLISHED)
    given = verdicts(outputs)
    revisions: dict[str, list[int]] = {}
    for verdict in given:
        revisions.setdefault(verdict.inspection, []).append(verdict.revision)
    named = {part for part in PARTS for record in log if is_announcement(record, part)}
    assert {part for part, numbers in revisions.items() if numbers[0] == 1} == named
    assert all(numbers == list(range(1, len(numbers) + 1)) for part, numbers in revisions.items() if part in named)
    assert set(Counter(record.headers for record in outputs if record.topic == "verdict.v1").values()) <= {1}
    for verdict in given:
        if verdict.decided_by == "policy" and verdict.disposition == "pass":
            assert verdict.decided_at < verdict.announced_at + timedelta(seconds=5)
            assert (verdict.revision, verdict.late) == (1, False)
            assert {used.stage for used in verdict.evidence} == {"anomaly", "classification"}
            assert all(used.label == "good" for used in verdict.evidence if used.stage == "classification")
            assert all(used.score is not None and used.score <= 0.9 for used in verdict.evidence if used.stage == "anomaly")
            assert verdict.inspection != PARTS[2]  # its baseline is stale: held
        assert not (verdict.late and verdict.disposition == "pass")
        if verdict.inspection in PARTS and verdict.policy is not None:
            assert [one.state for one in verdict.baselines.values()] == list(STATES[verdict.inspection])
            assert verdict.false_reject_rate_valid is (verdict.inspection == PARTS[0])
    assert len(shard.tally.verdicts) == len(given)


def is_announcement(record: Received, part: str) -> bool:
    return record.header("ce_type") == "verdictline.evidence.announced.v1" and record.header("ce_subject") == part


@settings(max_examples=150, deadline=None)
@given(LOGS)
def test_state_survives_as_bytes(steps: Steps) -> None:
    shard = TriageShard(RuleBook(PUBLISHED))
    for record in written(steps)[:-2]:
        for key, value in shard.step(record).changed.items():
            if value is not None and not key.startswith("~"):
                assert memory.dump(memory.load(value)) == value
    for state in shard._states.values():
        if isinstance(state, Part | Held):
            assert memory.load(memory.dump(state)) == state


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(5)), st.lists(st.integers(0, 4), max_size=5), st.booleans(), st.sampled_from([1.0, 3.0]))
def test_in_time_order_and_repeats_do_not_matter(order: list[int], again: list[int], strange: bool, length: float) -> None:
    part = PARTS[0]
    said = [
        evidence_record(message)
        for message in (
            hello_of(part),
            anomaly(part, MODELS, 0.95 if strange else 0.1),
            classification(part, MODELS, "scratch"),
            segmentation(part, MODELS, instance(length)),
            tick(),
        )
    ]
    log = [appended(said[i], offset, T0_MS + offset) for offset, i in enumerate([*order, *again])]
    outputs, shard = play(log, PUBLISHED)
    assert [verdict.disposition for verdict in verdicts(outputs)] == ["scrap" if length == 3 else "rework"]
    assert shard.tally.copies.total() == len([i for i in again if i != 4])
    assert not shard.tally.conflicts


class Flaky:
    """Versions that raise once, as a bug or a lost topic would."""

    def __init__(self) -> None:
        self.raises = False

    def policy(self, digest: str) -> PolicyV1 | None:
        if self.raises:
            raise RuntimeError("the topic is gone")
        return PUBLISHED.policy(digest)

    def model_set(self, digest: str) -> ModelSetV1 | None:
        return PUBLISHED.model_set(digest)


@settings(max_examples=100, deadline=None)
@given(LOGS, st.sets(st.integers(0, 60)))
def test_a_step_that_raised_has_changed_nothing(steps: Steps, broken: set[int]) -> None:
    log, versions = written(steps), Flaky()
    shard = TriageShard(RuleBook(versions))
    outputs: list[Record] = []
    for record in log:
        versions.raises = record.offset in broken
        shard._rules._rules.clear()
        try:
            effects = shard.step(record)
        except RuntimeError:
            versions.raises = False
            effects = shard.step(record)
        outputs += effects.outputs
    assert outputs == play(log, PUBLISHED)[0]


@given(st.lists(st.integers(0, 12), max_size=30))
def test_forgotten_numbers_are_kept_exactly(numbers: list[int]) -> None:
    intervals: tuple[tuple[int, int], ...] = ()
    for n in numbers:
        intervals = with_number(intervals, n)
    assert [n for n in range(14) if contains(intervals, n)] == sorted(set(numbers))
    assert memory.load_numbers(memory.dump_numbers(intervals)) == intervals


def test_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 9"):
        memory.load(b'{"v":9}')
