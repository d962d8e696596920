"""Challenge parts that ran among a history's parts: announcement, evidence, verdict, registration and the result of their set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from schemas.challenge import ChallengeItemV1, ChallengePartV1, ChallengeResultV1
from schemas.codec import record_of
from schemas.common import Disposition, ImageRef, Message
from schemas.envelope import Received, Record, from_millis
from schemas.evidence import ChallengeStampV1
from tests.helpers.evidence_log import T0_MS, Published, appended, log_of, play, verdicts
from tests.helpers.history import MODELS, RULES, part
from tests.helpers.judgement import PRODUCT, STATION, announced, anomaly, classification

RAN_AT = from_millis(T0_MS) + timedelta(minutes=10)
_FIRST = 50_000  # offsets beyond those of the history


@dataclass(frozen=True, slots=True, kw_only=True)
class Rabbit:
    """One showing, as part n of its station. image: what tells one image from another; picture: it lies there. seen: what the
    classifier says. registered: what its registration says besides.
    """

    n: int
    name: str
    kind: str = "defect"
    label: str | None = "scratch"
    proof: str = "digital"
    image: str = "0"
    views: tuple[str, ...] = ("v1",)
    score: float = 0.97
    seen: str = "dent"
    registered: tuple[tuple[str, Any], ...] = ()
    station: str = STATION
    picture: ImageRef | None = None

    @property
    def inspection(self) -> str:
        return part(self.n, self.station)

    @property
    def stamp(self) -> ChallengeStampV1:
        label = self.label if self.kind == "defect" else None
        values = {"set": "s1", "part": self.name, "proof": self.proof, "kind": self.kind, "label": label}
        return ChallengeStampV1.model_validate(values)

    def ref(self, view: str) -> ImageRef:
        if self.picture is not None:
            return self.picture
        sha = (self.image * 64)[:64]
        return ImageRef(uri=f"kafka://capture.v1/0/{self.n}", sha256=sha, bytes=1000, content_type="image/png")


def rabbits(*shown: Rabbit) -> list[Received]:
    """Scored as a defect that the models find: a part in the queue looks like that, too."""
    events = [(600.0 + i, message) for i, one in enumerate(shown) for message in evidence(one)]
    log = log_of(events)
    said, _ = play(log, Published(RULES, MODELS))
    told = [record for record in said if record.topic == "verdict.v1"]
    also = told_of(shown, {one.inspection: one.disposition for one in verdicts(told)}, RAN_AT)
    broker = [appended(record, _FIRST + i, T0_MS + 700_000) for i, record in enumerate((*told, *also))]
    moved = [replace(one, offset=_FIRST + one.offset) for one in log]
    return [*moved, *broker]


def told_of(shown: Sequence[Rabbit], became: Mapping[str, Disposition], at: datetime) -> list[Record]:
    """Their registrations, and the result of their set. became: by inspection."""
    registered = [_registered(one) for one in {one.name: one for one in shown}.values() if one.kind != "graded"]
    items = tuple(
        ChallengeItemV1(stamp=one.stamp, inspection=one.inspection, disposition=became[one.inspection], caught=True)
        for one in shown
    )
    said = {"station": shown[0].station, "product": PRODUCT, "proof": "digital", "set": "s1", "trigger": "parts", "passed": True}
    result = ChallengeResultV1.model_validate({**said, "items": items, "at": at})
    every = enumerate((*registered, result))
    return [record_of(one, id=f"{one.TYPE}/{i}", station=result.station, subject="s1") for i, one in every]


def evidence(one: Rabbit) -> Sequence[Message]:
    hello = announced(one.inspection, RULES, MODELS, views=one.views, serial=None, purpose="challenge", challenge=one.stamp)
    seen: list[Message] = [hello]
    for view in one.views:
        mine = {"purpose": "challenge", "image": one.ref(view)}
        seen += [
            anomaly(one.inspection, MODELS, score=one.score, view=view).model_copy(update={**mine, "p_value": 0.03}),
            classification(one.inspection, MODELS, one.seen, view=view).model_copy(update=mine),
        ]
    return seen


def _registered(one: Rabbit) -> ChallengePartV1:
    own: dict[str, Any] = {"images": {view: one.ref(view) for view in one.views}} if one.proof == "digital" else {}
    own |= {"serial": f"RR-{one.name}", "custody": "lab"} if one.proof == "physical" else {}
    values = {
        "station": one.station,
        "product": PRODUCT,
        "part": one.name,
        "proof": one.proof,
        "kind": one.kind,
        "label": one.label,
    }
    act = {"who": "m.weber", "why": "a test", "at": RAN_AT}
    return ChallengePartV1.model_validate({**values, **own, **act, **dict(one.registered)})
