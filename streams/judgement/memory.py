"""Triage's state as bytes and back, the alarms that wake it, and the numbers that it has forgotten.

Knows the shape of the state, none of its meaning. `load(dump(state)) == state`.
"""

from __future__ import annotations

import base64
import heapq
import json
from collections.abc import Iterable
from typing import Any, cast

from schemas.common import Region
from schemas.envelope import Received, parse_rfc3339, rfc3339
from schemas.evidence import BaselineStampV1, ChallengeStampV1, InstanceV1
from streams.judgement.facts import Failure, Kind, Shape, Strangeness, ViewFacts
from streams.judgement.part import Given, Held, Job, Part, Rest, State

VERSION = 1
Interval = tuple[int, int]  # from, up to and not with
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def dump(state: State) -> bytes:
    data: dict[str, Any]
    if isinstance(state, Part):
        data = {
            "p": _job(state.job),
            "s": state.seen,
            "w": {view: _facts(facts) for view, facts in state.views.items()},
            "g": _given(state.given),
        }
    elif isinstance(state, Held):
        data = {"h": [_received(record) for record in state.records], "u": state.until_ms}
    else:
        data = {"r": state.revision, "u": state.until_ms, "s": state.seen}
    return _encode({"v": VERSION, **data}).encode()


def load(value: bytes) -> State:
    """Raises ValueError for bytes of another version of this program."""
    data = json.loads(value)
    if data.get("v") != VERSION:
        raise ValueError(f"state of version {data.get('v')!r}: this program reads version {VERSION}")
    if "p" in data:
        views = {view: _facts_of(facts) for view, facts in data["w"].items()}
        return Part(job=_job_of(data["p"]), seen=data["s"], views=views, given=_given_of(data["g"]))
    if "h" in data:
        return Held(until_ms=data["u"], records=tuple(map(_received_of, data["h"])))
    return Rest(revision=data["r"], until_ms=data["u"], seen=data["s"])


class Alarms:
    """(log time, inspection) in order. An entry may be out of date: who takes it looks at the state."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []

    def set(self, at_ms: int, inspection: str) -> None:
        heapq.heappush(self._heap, (at_ms, inspection))

    def take(self, now_ms: int) -> list[tuple[int, str]]:
        """All that are due at now_ms, taken out, in order of (time, inspection)."""
        taken = []
        while self._heap and self._heap[0][0] <= now_ms:
            taken.append(heapq.heappop(self._heap))
        return taken

    def give_back(self, taken: Iterable[tuple[int, str]]) -> None:
        for entry in taken:
            heapq.heappush(self._heap, entry)


def contains(intervals: tuple[Interval, ...], n: int) -> bool:
    return any(start <= n < end for start, end in intervals)


def with_number(intervals: tuple[Interval, ...], n: int) -> tuple[Interval, ...]:
    """Sorted, disjoint, merged where they touch: one interval for a station that misses no number."""
    merged: list[Interval] = []
    for start, end in sorted((*intervals, (n, n + 1))):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def dump_numbers(intervals: tuple[Interval, ...]) -> bytes:
    return _encode(intervals).encode()


def load_numbers(value: bytes) -> tuple[Interval, ...]:
    return tuple((start, end) for start, end in json.loads(value))


def _job(job: Job) -> list[Any]:
    captured = None if job.captured_at is None else rfc3339(job.captured_at)
    times = (job.announced_ms, job.due_ms, captured)
    part = (job.station, job.product, job.purpose, job.lot, job.serial, job.visit, job.previous)
    stamps = {view: [one.stream, one.baseline, one.state] for view, one in job.baselines.items()}
    challenge = None if job.challenge is None else job.challenge.model_dump(mode="json", exclude_none=True)
    named = (job.acquisition, job.policy, job.model_set, job.frames, job.inspection, job.refused)
    gate = None if job.gate_time is None else rfc3339(job.gate_time)
    return [*times, *part, *named, stamps, challenge, job.tool, gate]


def _job_of(data: list[Any]) -> Job:
    """What an earlier program wrote ends before the stamps of baselines, the tool, or the gate."""
    missing: list[Any] = [{}, None, None, None][len(data) - 16 :]
    stamps, challenge, tool, gate = data[16:] + missing
    return Job(
        announced_ms=data[0],
        due_ms=data[1],
        captured_at=None if data[2] is None else parse_rfc3339(data[2]),
        gate_time=None if gate is None else parse_rfc3339(gate),
        inspection=data[14],
        refused=data[15],
        station=data[3],
        product=data[4],
        purpose=data[5],
        lot=data[6],
        tool=tool,
        serial=data[7],
        visit=data[8],
        previous=data[9],
        acquisition=data[10],
        policy=data[11],
        model_set=data[12],
        frames={view: (width, height) for view, (width, height) in data[13].items()},
        baselines={view: BaselineStampV1(stream=s, baseline=b, state=state) for view, (s, b, state) in stamps.items()},
        challenge=None if challenge is None else ChallengeStampV1.model_validate(challenge),
    )


def _given(given: Given | None) -> list[Any] | None:
    if given is None:
        return None
    before = (given.label, given.superseded, given.superseded_label)
    return [given.revision, given.disposition, given.decided_by, given.at_ms, given.waiting, *before]


def _given_of(data: list[Any] | None) -> Given | None:
    """What an earlier program wrote ends before the label."""
    if data is None:
        return None
    revision, disposition, decided_by, at_ms, waiting, label, superseded, superseded_label = (*data, None, None, None)[:8]
    return Given(
        revision=revision,
        disposition=disposition,
        decided_by=decided_by,
        at_ms=at_ms,
        waiting=waiting,
        label=label,
        superseded=superseded,
        superseded_label=superseded_label,
    )


def _facts(facts: ViewFacts) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if (one := facts.anomaly) is not None:
        box = None if one.region is None else [one.region.x0, one.region.y0, one.region.x1, one.region.y1]
        data["a"] = [one.offset, one.score, box, one.area_px]
    if (kind := facts.kind) is not None:
        data["k"] = [kind.offset, kind.label, kind.best, kind.probability]
    if facts.shape is not None:
        data["s"] = [facts.shape.offset, [one.model_dump(mode="json", exclude_none=True) for one in facts.shape.instances]]
    if facts.asked is not None:
        data["q"] = facts.asked
    if facts.failures:
        data["f"] = [[failure.stage, failure.code, failure.detail] for failure in facts.failures]
    return data


def _facts_of(data: dict[str, Any]) -> ViewFacts:
    anomaly, kind, shape = data.get("a"), data.get("k"), data.get("s")
    return ViewFacts(
        anomaly=None if anomaly is None else _strangeness(*anomaly),
        kind=None if kind is None else Kind(offset=kind[0], label=kind[1], best=kind[2], probability=kind[3]),
        shape=None if shape is None else Shape(offset=shape[0], instances=tuple(map(InstanceV1.model_validate, shape[1]))),
        asked=data.get("q"),
        failures=tuple(Failure(stage=stage, code=code, detail=detail) for stage, code, detail in data.get("f", ())),
    )


def _strangeness(offset: int, score: float, box: list[int] | None, area_px: int) -> Strangeness:
    region = None if box is None else Region(x0=box[0], y0=box[1], x1=box[2], y1=box[3])
    return Strangeness(offset=offset, score=score, region=region, area_px=area_px)


def _received(record: Received) -> list[Any]:
    headers = [[name, _text(value)] for name, value in record.headers]
    place = (record.topic, record.partition, record.offset, record.timestamp_ms)
    return [*place, _text(record.key), _text(record.value), headers]


def _received_of(data: list[Any]) -> Received:
    return Received(
        topic=data[0],
        partition=data[1],
        offset=data[2],
        timestamp_ms=data[3],
        key=_bytes(data[4]),
        value=_bytes(data[5]),
        headers=tuple((name, cast(bytes, _bytes(value))) for name, value in data[6]),
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
