"""Today's good parts of a station: production parts that passed, and where the images lie that they were judged by.

A verdict names the evidence that decided by its offset, evidence names its image: nothing else has to be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.codec import Reader
from schemas.common import ImageRef
from schemas.envelope import ContractError, Received
from schemas.evidence import AnomalyV1, ClassificationV1
from schemas.topics import EVIDENCE, VERDICT
from schemas.verdict import VerdictV1
from streams.wiring.adapters.kafka import ends, read_between, starts
from streams.wiring.adapters.topics import driver_partitions

_FIRST_LOOK, _FURTHER = 500, 8  # verdicts, and how much further back each next look goes
_NEAR = 300  # records of evidence that are cheaper to skip than to seek
_VERDICTS, _EVIDENCE = Reader(VerdictV1), Reader(AnomalyV1, ClassificationV1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodPart:
    """images: by view, all that it was judged by."""

    verdict: VerdictV1
    images: Mapping[str, ImageRef]


def good_parts(client: Mapping[str, Any], station: str, product: str, *, most: int, since: datetime) -> list[GoodPart]:
    """The newest ones, at most `most`, none decided before `since`. Raises KafkaUnreachable, KafkaRefused."""
    partition = driver_partitions(client, VERDICT, [station])[station]
    passed = _passed(client, station, product, partition, most, since)
    places = {used.offset: verdict.inspection for verdict in passed for used in verdict.evidence if used.stage != "segmentation"}
    images: dict[str, dict[str, ImageRef]] = {}
    for first, last in _runs(sorted(places)):
        for record in read_between(client, (EVIDENCE, partition), first, last + 1):
            if record.offset in places and (seen := _observation(record)) is not None:
                images.setdefault(seen.inspection, {})[seen.view] = seen.image
    whole = [v for v in passed if images.get(v.inspection, {}).keys() >= {used.view for used in v.evidence}]
    return [GoodPart(verdict=v, images=images[v.inspection]) for v in whole]


def _passed(client: Mapping[str, Any], station: str, product: str, partition: int, most: int, since: datetime) -> list[VerdictV1]:
    """Newest first. Looks further and further back: between two parts of one station there may be thousands of others."""
    place = (VERDICT, partition)
    end, start = ends(client, [VERDICT])[place], starts(client, [VERDICT])[place]
    look = max(_FIRST_LOOK, most)
    while True:
        begin = max(start, end - look)
        seen: dict[str, VerdictV1] = {}
        oldest = None
        for verdict in _verdicts(client, partition, begin, end):
            oldest = oldest or verdict.decided_at
            if (verdict.station, verdict.product, verdict.purpose) == (station, product, "production"):
                seen[verdict.inspection] = max(verdict, seen.get(verdict.inspection, verdict), key=lambda v: v.revision)
        passed = [v for v in seen.values() if v.disposition == "pass" and v.decided_at >= since]
        if len(passed) >= most or begin == start or (oldest is not None and oldest < since):
            return sorted(passed, key=lambda v: (v.decided_at, v.inspection), reverse=True)[:most]
        look *= _FURTHER


def _verdicts(client: Mapping[str, Any], partition: int, begin: int, end: int) -> Iterator[VerdictV1]:
    for record in read_between(client, (VERDICT, partition), begin, end):
        try:
            read = _VERDICTS.read(record)
        except ContractError:
            continue
        if read is not None and isinstance(read[1], VerdictV1):
            yield read[1]


def _runs(offsets: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(first, last) of those that lie near each other."""
    first = last = None
    for offset in offsets:
        if first is None or last is None:
            first = offset
        elif offset - last > _NEAR:
            yield first, last
            first = offset
        last = offset
    if first is not None and last is not None:
        yield first, last


def _observation(record: Received) -> AnomalyV1 | ClassificationV1 | None:
    try:
        read = _EVIDENCE.read(record)
    except ContractError:
        return None
    message = read[1] if read else None
    return message if isinstance(message, AnomalyV1 | ClassificationV1) else None
