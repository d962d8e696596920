"""All that is known of score streams, read from the topics: for the commands that show them and for the acts. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.baseline import BaselineV1
from schemas.challenge import StationProofV1
from schemas.codec import Reader as Codec
from schemas.common import Message, digest
from schemas.drift import DriftEventV1, DriftSummaryV1, ScoreStreamV1
from schemas.envelope import ContractError, Received
from schemas.evidence import AnomalyV1
from schemas.ids import parse_inspection
from schemas.standing import Standing
from schemas.topics import DRIFT, EVIDENCE
from streams.monitors.commissioning import Part
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.challenges import read_challenges
from streams.wiring.adapters.kafka import read_all

SHORT = 12  # digits of a digest that people see and type


@dataclass(frozen=True, kw_only=True)
class Case:
    """A score stream and its baseline. id: the stream's digest; baseline: absent where there is none (any more)."""

    id: str
    stream: ScoreStreamV1
    standing: Standing
    baseline: BaselineV1 | None

    @property
    def name(self) -> str:
        """For people."""
        one = self.stream
        return f"{one.station} {one.view}, {one.product}, {one.model.name} {one.model.version} ({self.id[:SHORT]})"


def cases(registry: BaselineRegistry, wanted: str | None = None) -> list[Case]:
    """Every stream that anything is known of; wanted: start of a station or of a stream's digest. Raises Unavailable."""
    found = []
    for name, stream in registry.score_streams().items():
        if wanted is None or stream.station.startswith(wanted) or name.startswith(wanted):
            standing = registry.standing(name)
            baseline = registry.baseline(standing.baseline) if standing.baseline else None
            found.append(Case(id=name, stream=stream, standing=standing, baseline=baseline))
    return sorted(found, key=lambda case: (case.stream.station, case.stream.product, case.stream.view, case.id))


def the_case(registry: BaselineRegistry, wanted: str) -> Case:
    """Raises ValueError where none or several are meant."""
    found = cases(registry, wanted)
    if not found:
        raise ValueError(f"no score stream begins with {wanted!r}: see `verdictline baseline list`")
    if len(found) > 1:
        raise ValueError(f"{wanted!r} can mean {'; '.join(case.name for case in found)}: name one by its digest")
    return found[0]


def parts_of(client: Mapping[str, Any], stream: ScoreStreamV1) -> Iterator[tuple[Part, AnomalyV1]]:
    """What evidence.v1 still holds of the stream's production, in the order of the log, copies included."""
    codec = Codec(AnomalyV1)
    for record in read_all(client, [EVIDENCE]):
        if record.header("ce_source") != stream.station or record.header("ce_type") != AnomalyV1.TYPE:
            continue
        found = _read(codec, record)
        if isinstance(found, AnomalyV1) and found.purpose == "production" and _stream_of(found) == stream:
            yield _part(found, record.timestamp_ms), found


def events_of(client: Mapping[str, Any], stream: ScoreStreamV1) -> tuple[list[DriftEventV1], list[DriftSummaryV1]]:
    """What the drift monitor said of the stream: events, windows; each once, in the order of the log."""
    codec, events, windows = Codec(DriftEventV1, DriftSummaryV1), dict[str, DriftEventV1](), dict[str, DriftSummaryV1]()
    for record in read_all(client, [DRIFT]):
        found = _read(codec, record) if record.header("ce_source") == stream.station else None
        if isinstance(found, DriftEventV1) and found.stream == stream:
            events.setdefault(record.header("ce_id") or "", found)
        elif isinstance(found, DriftSummaryV1) and found.stream == stream:
            windows.setdefault(record.header("ce_id") or "", found)
    return list(events.values()), list(windows.values())


def proofs_of(client: Mapping[str, Any], stream: ScoreStreamV1) -> dict[str, StationProofV1 | None]:
    """By kind of proof, for those that parts or schedules exist for: what was said last; None: nothing yet."""
    known = read_challenges(client)
    lines = [line for line in known.lines() if line[:2] == (stream.station, stream.product)]
    return {line[2]: known.proofs.get(line) for line in lines}


def _read(codec: Codec, record: Received) -> Message | None:
    try:
        found = codec.read(record)
    except ContractError:
        return None  # the drift monitor has made a dead letter of it
    return found[1] if found else None


def _stream_of(found: AnomalyV1) -> ScoreStreamV1:
    return ScoreStreamV1(
        station=found.station, view=found.view, product=found.product, acquisition=found.acquisition, model=found.model
    )


def _part(found: AnomalyV1, at_ms: int) -> Part:
    place = parse_inspection(found.inspection)
    return Part(
        epoch=place.epoch,
        n=place.n,
        score=found.score,
        at_ms=at_ms,
        lot=found.lot,
        tool=found.tool,
        baseline=found.baseline,
    )


def anchor_of(registry: BaselineRegistry, baseline: BaselineV1) -> BaselineV1:
    """The anchor of its generation: itself where it names none. Raises ValueError where it is not on the topic."""
    if baseline.anchor is None:
        return baseline
    found = registry.baseline(baseline.anchor)
    if found is None:
        raise ValueError(f"the anchor {baseline.anchor[:SHORT]} of baseline {digest(baseline)[:SHORT]} is not on baseline.v1")
    return found
