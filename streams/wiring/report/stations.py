"""Whether the stations could be relied upon: baselines and drift, challenge sets, proofs, suspect parts, detection limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.challenge import ChallengeResultV1, DetectionLimitV1, StationProofV1, SuspectWindowV1
from schemas.drift import DriftEventV1
from streams.monitors.shares import Share, exact_share
from streams.wiring.adapters.database.ask_report import InForce

DOUBTED = ("suspect", "stale", "retired")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A score stream's baseline as drift sees it now; judged_under: parts of the window by the state they were stamped with."""

    station: str
    product: str
    view: str
    state: str
    since: datetime
    certificate_expired: bool
    origin: str | None
    generation: int | None
    scores: int | None
    who: str | None
    why: str | None
    put_at: datetime | None
    judged_under: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """An event. effect_sd: shift of good parts in standard deviations of the baseline, with its 95 % interval."""

    at: datetime
    station: str
    product: str
    view: str
    kind: str
    state: str | None
    effect_sd: float | None
    effect_low: float | None
    effect_high: float | None
    parts_since: int | None
    cause: str | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeSet:
    """caught: right answers of those that were due (defect: not passed; golden: passed). missed: parts with a wrong answer."""

    at: datetime
    station: str
    product: str
    proof: str
    trigger: str
    passed: bool
    overdue: bool
    caught: int
    asked: int
    missed: tuple[str, ...]
    unanswered: int
    margin_alarm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StationProof:
    """As it stood at the end of the window. parts_since: production parts of the window since the last pass; all of them where it
    lies before, or there is none. suspect: parts published as suspect within the window.
    """

    station: str
    product: str
    proof: str
    proven: bool
    why: str
    last_pass_at: datetime | None
    parts_since: int
    suspect: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The newest set of the window. value: size that is found 90 % of the time, with its interval; None where it is not known."""

    at: datetime
    station: str
    product: str
    view: str
    defect: str
    unit: str
    value: float | None
    low: float | None
    high: float | None
    worse: bool
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Challenge sets of the window. defects, golden: right answers of those given, with Clopper and Pearson's interval."""

    sets: tuple[ChallengeSet, ...]
    defects: Share
    golden: Share
    proofs: tuple[StationProof, ...]
    detection: tuple[Detection, ...]


def baselines(found: Iterable[InForce], under: Mapping[tuple[str, str, str, str], int]) -> tuple[Baseline, ...]:
    return tuple(
        Baseline(
            station=one.station,
            product=one.product,
            view=one.view,
            state=one.state,
            since=one.since,
            certificate_expired=one.certificate_expired,
            origin=one.origin,
            generation=one.generation,
            scores=one.scores,
            who=one.who,
            why=one.why,
            put_at=one.put_at,
            judged_under={
                state: n for (*place, state), n in sorted(under.items()) if place == [one.station, one.product, one.view]
            },
        )
        for one in found
    )


def drift(found: Iterable[DriftEventV1]) -> tuple[Drift, ...]:
    return tuple(
        Drift(
            at=one.at,
            station=one.stream.station,
            product=one.stream.product,
            view=one.stream.view,
            kind=one.kind,
            state=one.state,
            effect_sd=None if one.effect_sd is None else one.effect_sd.value,
            effect_low=None if one.effect_sd is None else one.effect_sd.low,
            effect_high=None if one.effect_sd is None else one.effect_sd.high,
            parts_since=one.parts_since,
            cause=None if one.cause is None else one.cause.name,
            detail=one.detail,
        )
        for one in found
    )


def record(
    results: Sequence[ChallengeResultV1],
    proofs: Sequence[StationProofV1],
    since: Mapping[tuple[str, str, str], int],
    suspects: Sequence[SuspectWindowV1],
    detection: Sequence[DetectionLimitV1],
) -> Record:
    items = [item for result in results for item in result.items if item.disposition != "no_verdict"]
    right = {kind: [item.caught for item in items if item.stamp.kind == kind] for kind in ("defect", "golden")}
    newest = {(one.station, one.product, one.view, one.defect, one.contrast): one for one in detection}
    return Record(
        sets=tuple(map(_set, results)),
        defects=exact_share(sum(right["defect"]), len(right["defect"])),
        golden=exact_share(sum(right["golden"]), len(right["golden"])),
        proofs=tuple(_proof(one, since, suspects) for one in proofs),
        detection=tuple(_detection(one) for _, one in sorted(newest.items())),
    )


def _set(one: ChallengeResultV1) -> ChallengeSet:
    due = [item for item in one.items if item.stamp.kind != "graded"]
    return ChallengeSet(
        at=one.at,
        station=one.station,
        product=one.product,
        proof=one.proof,
        trigger=one.trigger,
        passed=one.passed,
        overdue=one.overdue,
        caught=sum(item.caught for item in due),
        asked=len(due) + len(one.unanswered),
        missed=tuple(item.stamp.part for item in due if not item.caught),
        unanswered=len(one.unanswered),
        margin_alarm=one.margin_alarm,
    )


def _proof(one: StationProofV1, since: Mapping[tuple[str, str, str], int], suspects: Iterable[SuspectWindowV1]) -> StationProof:
    place = (one.station, one.product, one.proof)
    counts = {page.set: page.count for page in suspects if (page.station, page.product, page.proof) == place}
    return StationProof(
        station=one.station,
        product=one.product,
        proof=one.proof,
        proven=one.proven,
        why=one.why,
        last_pass_at=one.last_pass_at,
        parts_since=since.get(place, 0),
        suspect=sum(counts.values()),
    )


def _detection(one: DetectionLimitV1) -> Detection:
    found, unit = (one.pod90_mm, "mm") if one.pod90_mm is not None else (one.pod90_px, "px")
    return Detection(
        at=one.at,
        station=one.station,
        product=one.product,
        view=one.view,
        defect=one.defect,
        unit=unit,
        value=None if found is None else found.value,
        low=one.above_px if found is None else found.low,
        high=one.below_px if found is None else found.high,
        worse=one.worse,
        why=one.why,
    )
