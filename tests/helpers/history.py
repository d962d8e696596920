"""What a plant has said, as records of its topics: parts with their evidence, and the verdicts that triage gives of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np

from schemas.codec import keyed, record_of
from schemas.common import Message, digest
from schemas.envelope import Received, Record, from_millis
from schemas.ids import inspection_id
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from schemas.topics import TOPICS
from schemas.verdict import VerdictV1
from tests.helpers.evidence_log import T0_MS, Published, appended, log_of, play
from tests.helpers.judgement import (
    CLASSES,
    STATION,
    announced,
    anomaly,
    classification,
    failed,
    instance,
    model_set,
    policy,
    reviewed,
    segmentation,
)

EPOCH = 1_767_600_000_000
MODELS = model_set("anomaly", "classification", "segmentation")
RULES = policy(
    classes={
        "good": {"threshold": 0.6, "disposition": "pass"},
        "scratch": {"threshold": 0.6, "disposition": "rework", "geometry": True},
        "dent": {"threshold": 0.6, "disposition": "scrap"},
    },
    geometry={
        "mm_per_px": {"*": 0.1},
        "unknown_above_px": 40_000,
        "rules": [{"measure": "length_mm", "at_least": 2, "disposition": "scrap"}],
    },
    audit_fraction=0.1,
)
EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"


def part(n: int, station: str = STATION) -> str:
    return str(inspection_id(station, EPOCH, n))


def parts(
    count: int, seed: int = 0, rules: PolicyV1 = RULES, models: ModelSetV1 = MODELS, station: str = STATION
) -> Iterator[tuple[float, Message]]:
    """(seconds after T0, message): one part a second with two views; some fail, some come late, some are reviewed.

    Some things are said twice. In the order of the log.
    """
    rng, events = np.random.default_rng(seed), []
    for n in range(count):
        events += _part(n, rng, rules, models, station)
    yield from sorted(events, key=lambda event: event[0])


def _part(n: int, rng: np.random.Generator, rules: PolicyV1, models: ModelSetV1, station: str) -> list[tuple[float, Message]]:
    inspection, at = part(n, station), float(n)
    views = ("v1", "v2") if rng.random() < 0.5 else ("v1",)
    shot = from_millis(T0_MS) + timedelta(seconds=n)
    hello = announced(
        inspection, rules, models, views=views, serial=f"S{n}", lot=f"L{n // 50}", tool=f"T{n % 3}", captured_at=shot
    )
    late = 7.0 if rng.random() < 0.05 else 0.1
    events: list[tuple[float, Message]] = [(at, hello)]
    for view in views:
        heat = np.abs(rng.normal(size=(32, 32))) * rng.random()
        score = float(rng.random() * 1.1)
        seen = anomaly(inspection, models, score=score, view=view, heat=heat)
        known = models.model("anomaly")
        calibration = known.calibration[view] if known else ()
        p_value = (1 + sum(one >= score for one in calibration)) / (1 + len(calibration))
        shares = rng.dirichlet([3, 1, 1]) if rng.random() < 0.7 else rng.dirichlet([1, 4, 1])
        kinds = dict(zip(CLASSES, map(float, shares), strict=True))
        events += [
            (at + 0.1, seen.model_copy(update={"p_value": p_value})),
            (at + 0.1, classification(inspection, models, kinds, view=view)),
        ]
        if rng.random() < 0.03:
            events.append((at + 0.05, failed(inspection, "classification", by="classification", view=view)))
        if rng.random() < 0.9:
            sizes = [instance(float(rng.random() * 4), 0.1, label="scratch") for _ in range(int(rng.integers(0, 3)))]
            events.append((at + 0.3, segmentation(inspection, models, *sizes, view=view)))
    events = [events[0], *((moment + late - 0.1, message) for moment, message in events[1:])]
    if rng.random() < 0.1:
        events.append((at + 9.5, events[1][1]))
    if rng.random() < 0.2:
        events.append((at + 9, reviewed(inspection, 1, "pass" if rng.random() < 0.5 else "scrap")))
    return events


_KEPT: dict[tuple[int, int, str, str], tuple[Received, ...]] = {}


def history(count: int, seed: int = 0, rules: PolicyV1 = RULES, models: ModelSetV1 = MODELS) -> tuple[Received, ...]:
    """The records of evidence.v1, verdict.v1, policy.v1 and model-set.v1."""
    key = (count, seed, digest(rules), digest(models))
    if key not in _KEPT:
        _KEPT[key] = _history(count, seed, rules, models)
    return _KEPT[key]


def _history(count: int, seed: int, rules: PolicyV1, models: ModelSetV1) -> tuple[Received, ...]:
    log = log_of(parts(count, seed, rules, models))
    outputs, _ = play(log, Published(rules, models))
    said = [appended(record, i, _decided_ms(record)) for i, record in enumerate(r for r in outputs if r.topic == "verdict.v1")]
    versions = [version(rules), version(models)]
    return (*(appended(record, 0, T0_MS) for record in versions), *log, *said)


def version(message: PolicyV1 | ModelSetV1) -> Record:
    key = digest(message)
    return keyed(message, id=key, key=key, subject=f"current/{message.product}", time=None)


def examples() -> list[Received]:
    """Every good example of every JSON message of the topics, each as a record of its topic under the key that it has there."""
    found: list[Received] = []
    for topic, kind in ((one, message) for one in TOPICS for message in one.messages):
        for path in sorted((EXAMPLES / kind.TYPE).glob("good-*.json")):
            message = kind.read(path.read_bytes())
            station = str(getattr(message, "station", STATION))
            record = record_of(message, id=f"{kind.TYPE}/{path.stem}", station=station, subject=_subject(message))
            if not topic.by_station:
                key = digest(message) if not hasattr(message, "who") else f"current/{path.stem}"
                record = Record(topic=topic.name, key=key.encode(), value=record.value, headers=record.headers)
            found.append(appended(record, len(found), T0_MS))
    return found


def _subject(message: Message) -> str:
    return str(getattr(message, "inspection", "something"))


def _decided_ms(record: Record) -> int:
    return round(VerdictV1.read(record.value or b"").decided_at.timestamp() * 1000)


def shuffled(records: Sequence[Received], seed: int = 0) -> list[Received]:
    """In any order, and some of them twice."""
    rng = np.random.default_rng(seed)
    twice = [*records, *(record for record in records if rng.random() < 0.2)]
    return [twice[int(i)] for i in rng.permutation(len(twice))]
