"""Challenge parts, schedules and verdicts as small as they can be, and a station's machine to put them in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.challenge import ChallengeDueV1, ChallengePartV1, ChallengeResultV1, ChallengeScheduleV1, StationProofV1
from schemas.common import Disposition, ImageRef, Message
from schemas.envelope import from_millis, to_millis
from schemas.evidence import ChallengeStampV1
from schemas.ids import inspection_id
from schemas.verdict import UsedV1, VerdictV1, WhyV1
from streams.monitors.challenge.answers import Judged, judged
from streams.monitors.challenge.memory import StationState
from streams.monitors.challenge.station import Registration, judge, overdue, register
from streams.monitors.challenge.turn import Said
from tests.helpers.judgement import SHA, model_ref

STATION, PRODUCT, EPOCH = "plant/line-1/cam-1", "disc", 1_767_600_000_000
T0_MS = 1_767_600_000_000  # 2026-01-05 08:00 UTC
THRESHOLD = 0.9
ACT: dict[str, Any] = {"who": "ada", "why": "test", "at": from_millis(T0_MS)}


def image(sha256: str = SHA) -> ImageRef:
    return ImageRef(uri=f"file:///images/{sha256}", sha256=sha256, bytes=100, content_type="image/png")


def part(name: str, proof: str = "digital", kind: str = "defect", *, station: str = STATION, **changes: Any) -> ChallengePartV1:
    own: dict[str, Any] = {"images": {"v1": image()}} if proof == "digital" else {"serial": f"RR-{name}", "custody": "lab"}
    values = {"station": station, "product": PRODUCT, "part": name, "proof": proof, "kind": kind, **own, **ACT}
    return ChallengePartV1.model_validate(values | changes)


def schedule(proof: str = "digital", *, station: str = STATION, **changes: Any) -> ChallengeScheduleV1:
    values = {"station": station, "product": PRODUCT, "proof": proof, "within_s": 60, **ACT}
    return ChallengeScheduleV1.model_validate(values | changes)


def stamp(due: ChallengeDueV1, name: str, kind: str = "defect") -> ChallengeStampV1:
    return ChallengeStampV1.model_validate({"set": due.set, "part": name, "proof": due.proof, "kind": kind})


def verdict(
    n: int, disposition: Disposition = "pass", *, score: float = 0.1, station: str = STATION, **changes: Any
) -> VerdictV1:
    """A production part; with `challenge` a challenge part."""
    at = from_millis(T0_MS + n)
    used = UsedV1(stage="anomaly", view="v1", offset=n, model=model_ref("anomaly"), score=score, p_value=0.5)
    values: dict[str, Any] = {
        "inspection": str(inspection_id(station, EPOCH, n)),
        "revision": 1,
        "station": station,
        "product": PRODUCT,
        "serial": f"S{n}",
        "purpose": "challenge" if changes.get("challenge") else "production",
        "disposition": disposition,
        "reasons": (WhyV1(code="accepted"),),
        "decided_by": "policy",
        "model_set": SHA,
        "evidence": (used,),
        "announced_at": at,
        "decided_at": at,
    }
    return VerdictV1(**(values | changes))


@dataclass
class Station:
    """Its machine, fed in order; offsets count up by themselves. at: seconds after T0."""

    state: StationState | None = None
    said: list[Said] = field(default_factory=list)
    events: list[Judged] = field(default_factory=list)
    offset: int = -1
    told: int = -1
    n: int = -1
    at: float = 0.0

    def tell(self, *messages: Registration) -> None:
        for message in messages:
            self.told += 1
            self.take(*register(self.state, message, self.told, self.at_ms))

    @property
    def at_ms(self) -> int:
        return T0_MS + round(self.at * 1000)

    def make(self, count: int, *, every_s: float = 1.0, **changes: Any) -> list[VerdictV1]:
        """Production parts, one after the other."""
        return [self.judge(self.verdict(**changes), every_s=every_s) for _ in range(count)]

    def answer(
        self, due: ChallengeDueV1, name: str, disposition: Disposition = "scrap", *, kind: str = "defect", **changes: Any
    ) -> VerdictV1:
        return self.judge(self.verdict(disposition, challenge=stamp(due, name, kind), **changes))

    def verdict(self, disposition: Disposition = "pass", **changes: Any) -> VerdictV1:
        self.n += 1
        return verdict(self.n, disposition, **changes)

    def judge(self, message: VerdictV1, *, every_s: float = 0.0) -> VerdictV1:
        self.at += every_s
        self.offset += 1
        assert self.state is not None
        self.events.append(judged(message, self.offset, self.at_ms, {"v1": THRESHOLD}))
        self.take(*judge(self.state, self.events[-1]))
        return message

    def tick(self) -> None:
        assert self.state is not None
        self.take(*overdue(self.state, self.at_ms))

    def take(self, state: StationState, said: Sequence[Said]) -> None:
        self.state = state
        self.said += said

    def of(self, kind: type[Any], said: Iterable[Said] | None = None) -> list[Any]:
        return [one.message for one in (self.said if said is None else said) if isinstance(one.message, kind)]

    @property
    def dues(self) -> list[ChallengeDueV1]:
        return self.of(ChallengeDueV1)

    @property
    def results(self) -> list[ChallengeResultV1]:
        return self.of(ChallengeResultV1)

    @property
    def proofs(self) -> list[StationProofV1]:
        return self.of(StationProofV1)

    def proven(self, proof: str = "digital") -> bool:
        return bool([one for one in self.proofs if one.proof == proof][-1].proven)


def due(set: str = "manual/1", parts: tuple[str, ...] = ("a",), *, proof: str = "digital", at: float = 0.0, within_s: float = 60,
        station: str = STATION) -> ChallengeDueV1:  # fmt: skip
    """A person's own set."""
    start = T0_MS + round(at * 1000)
    values = {"station": station, "product": PRODUCT, "proof": proof, "set": set, "trigger": "manual", "parts": parts}
    times = {"due_at": from_millis(start), "answer_by": from_millis(start + round(within_s * 1000))}
    return ChallengeDueV1.model_validate({**values, **times, "who": "ada", "why": "test"})


def messages(said: Iterable[Said]) -> list[tuple[str, Message]]:
    return [(one.id, one.message) for one in said]


def millis(due: ChallengeDueV1) -> int:
    return to_millis(due.answer_by)
