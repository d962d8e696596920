"""What else the topics say in the reported shift: baselines, drift, challenges, acts, labels. From the examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from schemas.act import ActV1
from schemas.baseline import BaselinePointerV1, BaselineStateV1
from schemas.challenge import ChallengeResultV1, DetectionLimitV1, StationProofV1, SuspectWindowV1
from schemas.codec import keyed, record_of
from schemas.common import Message, digest
from schemas.drift import DriftEventV1
from schemas.envelope import Received, rfc3339
from schemas.label import LabelV1
from schemas.verdict import VerdictV1
from streams.workbench.shift import PRODUCTS, policy
from tests.helpers.evidence_log import appended

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
STATION, PRODUCT = "plant-a/line-2/cam-1", "disc"
M = TypeVar("M", bound=Message)


def example(kind: type[M], name: str, /, **changes: Any) -> M:
    """The example with these fields, station and product of the second place."""
    data = json.loads((EXAMPLES / kind.TYPE / f"good-{name}.json").read_text())
    if "stream" in data:
        data["stream"] |= {"station": STATION, "product": PRODUCT, "view": "v1"}
    elif "station" in data:
        data |= {"station": STATION, "product": PRODUCT}
    return kind.model_validate({**data, **changes})


def extras(begin: datetime, judged: list[VerdictV1], audit: float) -> Iterator[Received]:
    """begin: of the shift. judged: its effective verdicts."""
    for offset, (at, message) in enumerate(_said(begin, judged)):
        yield appended(_record(message, offset), 10_000 + offset, round(at.timestamp() * 1000))
    for offset, product in enumerate(PRODUCTS):
        rules = policy(product, audit)
        record = keyed(rules, id=digest(rules), key=digest(rules), subject=f"current/{product}", time=None)
        yield appended(record, offset, 0)


def _record(message: Message, offset: int) -> Any:
    if isinstance(message, BaselinePointerV1 | BaselineStateV1):
        word = "state" if isinstance(message, BaselineStateV1) else "current"
        key = f"{word}/{digest(message.stream)}"
        return keyed(message, id=f"{key}/{offset}", key=key, subject=key, time=None)
    if isinstance(message, ActV1):
        return keyed(message, id=f"act/{offset}", key=message.where, subject=message.where, time=message.at)
    name = message.id if isinstance(message, LabelV1) else f"{message.TYPE}/{offset}"
    subject = message.inspection if isinstance(message, LabelV1) else STATION
    return record_of(message, id=name, station=STATION, subject=subject)


def _said(begin: datetime, judged: list[VerdictV1]) -> Iterator[tuple[datetime, Message]]:
    def after(minutes: float) -> datetime:
        return begin + timedelta(minutes=minutes)

    def at(minutes: float) -> str:
        return rfc3339(after(minutes))

    rules = digest(policy(PRODUCT, 0.02))
    yield after(0), example(BaselinePointerV1, "in-force", at=at(-3000))
    yield after(95), example(BaselineStateV1, "suspect", since=at(95))
    yield after(95), example(DriftEventV1, "stuck", kind="baseline_up", state="suspect", at=at(95), parts_since=412, **_EFFECT)
    for minutes, passed in ((60, True), (240, False)):
        yield after(minutes), _set(at(minutes), passed)
    yield after(240), example(StationProofV1, "not-proven", at=at(240), last_pass_at=at(60))
    yield after(240), example(SuspectWindowV1, "two-parts", at=at(240), last_pass_at=at(60))
    yield after(241), example(DetectionLimitV1, "scratch", at=at(241), view="v1")
    act = {"where": f"current/{PRODUCT}/{STATION}", "digest": rules, "why": "stricter on scratches"}
    yield after(120), example(ActV1, "policy", at=at(120), **act)
    looked = [one for one in judged if one.product == PRODUCT and one.decided_by == "person"][:12]
    for index, one in enumerate(looked):
        for who, opinion in (("m.keller", "first"), ("s.braun", "second")):
            said = "defect" if one.disposition != "pass" or (index == 3 and opinion == "second") else "good"
            names = {"inspection": one.inspection, "serial": one.serial, "lot": one.lot, "who": who, "opinion": opinion}
            more = {"answer": said, "answered_at": at(300 + index)}
            yield after(300 + index), example(LabelV1, "good-part-of-two-views", **names, **more)


_EFFECT: Mapping[str, Any] = {
    "effect_sd": {"value": 0.61, "low": 0.38, "high": 0.84},
    "cause": {"name": "camera_light", "by": ("brightness 4.1 sd up",)},
    "detail": "good parts stand higher since part 3,100",
}


def _set(at: str, passed: bool) -> ChallengeResultV1:
    data = json.loads((EXAMPLES / ChallengeResultV1.TYPE / "good-missed.json").read_text())
    (missed,) = data["items"]
    kinds = (*(("defect", f"scratch-{n:02d}") for n in range(1, 9)), ("golden", "master-01"), ("golden", "master-02"))
    items = []
    for kind, part in kinds:
        right = passed or part != "scratch-04"
        disposition = "pass" if (kind == "golden") is right else "scrap"
        stamp = {**missed["stamp"], "part": part, "kind": kind}
        items.append({**missed, "stamp": stamp, "caught": right, "disposition": disposition})
    named = {"station": STATION, "product": PRODUCT, "passed": passed, "items": items, "at": at, "set": f"{data['set']}/{at}"}
    return ChallengeResultV1.model_validate({**data, **named})
