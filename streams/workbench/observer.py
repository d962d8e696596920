"""Counts what the topics show: announced, judged, copies, conflicts, latency. Shares no state with any processor.

Pure: feed it records of evidence.v1, verdict.v1 and dead-letter.v1; truth is asked for afterwards.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from schemas.codec import Reader
from schemas.envelope import ContractError, Received, to_millis
from schemas.evidence import AnnouncedV1, AnomalyV1, ClassificationV1, FailedV1, SegmentationV1, observed
from schemas.ids import InspectionId, parse_inspection
from schemas.topics import DEAD_LETTER, EVIDENCE, VERDICT
from schemas.verdict import VerdictV1

DISPOSITIONS = ("pass", "rework", "scrap", "review", "no_verdict")
_EVIDENCE = Reader(AnnouncedV1, AnomalyV1, ClassificationV1, SegmentationV1, FailedV1)
_VERDICT = Reader(VerdictV1)
Truth = Literal["good", "defect", "unknown_defect"]


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict as read. at_ms: its append time; captured_ms: shutter."""

    revision: int
    disposition: str
    reason: str
    product: str
    at_ms: int
    captured_ms: int | None


@dataclass(kw_only=True)
class Observer:
    """since: only inspections for which it says True are counted; others are of an earlier run.

    announced: product by inspection; serials: likewise, where there is one; challenges: parts that are no production.
    """

    since: Callable[[InspectionId], bool] = lambda _: True
    announced: dict[str, str] = field(default_factory=dict)
    serials: dict[str, str] = field(default_factory=dict)
    challenges: set[str] = field(default_factory=set)
    verdicts: dict[str, Judged] = field(default_factory=dict)
    revisions: int = 0
    copies: int = 0
    conflicts: list[str] = field(default_factory=list)
    dead: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    first_verdict_ms: int | None = None
    last_verdict_ms: int | None = None
    _seen: dict[str, bytes] = field(default_factory=dict)

    def take(self, record: Received) -> None:
        """Count one record; other topics are ignored."""
        if record.topic == DEAD_LETTER:
            self.dead[record.header("dl_reason") or "unknown"] += 1
            return
        reader = {EVIDENCE: _EVIDENCE, VERDICT: _VERDICT}.get(record.topic)
        if reader is None:
            return
        try:
            found = reader.read(record)
            if found is None or not self.since(parse_inspection(found[0].subject)):
                return
        except (ContractError, ValueError):
            self.unreadable += 1
            return
        envelope, message = found
        if isinstance(message, VerdictV1):
            if self._new(envelope.id, record.value or b""):
                self._verdict(message, record.timestamp_ms)
            return
        if self._new(envelope.id, observed(message)):
            if isinstance(message, AnnouncedV1):
                self._announced(message)
            elif isinstance(message, FailedV1):
                self.failed[message.reason] += 1

    def _new(self, id: str, content: bytes) -> bool:
        digest = hashlib.blake2b(content, digest_size=8).digest()
        before = self._seen.setdefault(id, digest)
        if before is digest:
            return True
        self.copies += before == digest
        if before != digest:
            self.conflicts.append(id)
        return False

    def _announced(self, announced: AnnouncedV1) -> None:
        self.announced[announced.inspection] = announced.product
        if announced.serial is not None:
            self.serials[announced.inspection] = announced.serial
        if announced.purpose == "challenge":
            self.challenges.add(announced.inspection)

    def _verdict(self, verdict: VerdictV1, at_ms: int) -> None:
        self.revisions += verdict.revision > 1
        self.first_verdict_ms = min(at_ms, self.first_verdict_ms or at_ms)
        self.last_verdict_ms = max(at_ms, self.last_verdict_ms or at_ms)
        before = self.verdicts.get(verdict.inspection)
        if before is None or verdict.revision > before.revision:
            captured = None if verdict.captured_at is None else to_millis(verdict.captured_at)
            self.verdicts[verdict.inspection] = Judged(
                verdict.revision, verdict.disposition, verdict.reasons[0].code, verdict.product, at_ms, captured
            )

    @property
    def missing(self) -> list[str]:
        """Announced and not judged."""
        return sorted(self.announced.keys() - self.verdicts.keys())

    def by_disposition(self, product: str | None = None) -> dict[str, int]:
        counts = Counter(v.disposition for v in self.verdicts.values() if product in (None, v.product))
        return {name: counts[name] for name in DISPOSITIONS}

    def latencies_ms(self) -> list[float]:
        """Shutter to the verdict's append time, of effective first revisions."""
        return sorted(float(v.at_ms - v.captured_ms) for v in self.verdicts.values() if v.captured_ms and v.revision == 1)

    def parts_per_s(self) -> float:
        """Verdicts a second between the first and the last one."""
        if self.first_verdict_ms is None or self.last_verdict_ms is None or self.last_verdict_ms <= self.first_verdict_ms:
            return 0.0
        return (len(self.verdicts) - 1) / ((self.last_verdict_ms - self.first_verdict_ms) / 1000)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Verdicts held against the truth. escapes: bad and passed, of bad; overkill: good and not passed, of good."""

    good: int
    bad: int
    escapes: int
    overkill: int
    unknown_defects: int
    unknown_defects_caught: int


def outcome(observer: Observer, truth: Callable[[InspectionId], Truth], inspections: Iterable[str] | None = None) -> Outcome:
    """Compare effective verdicts with the truth; a part without a verdict counts as not passed, challenge parts do not count."""
    made = [i for i in (observer.announced if inspections is None else inspections) if i not in observer.challenges]
    rows = [(truth(parse_inspection(i)), i) for i in made]
    passed = {i for i, verdict in observer.verdicts.items() if verdict.disposition == "pass"}
    count = Counter((kind, i in passed) for kind, i in rows)
    bad_passed = count["defect", True] + count["unknown_defect", True]
    return Outcome(
        good=count["good", True] + count["good", False],
        bad=bad_passed + count["defect", False] + count["unknown_defect", False],
        escapes=bad_passed,
        overkill=count["good", False],
        unknown_defects=count["unknown_defect", True] + count["unknown_defect", False],
        unknown_defects_caught=count["unknown_defect", False],
    )


def quantile(values: list[float], share: float) -> float | None:
    """Of ascending values, the nearest rank; None where there are none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


def rows_by_product(observer: Observer) -> Iterator[tuple[str, list[str]]]:
    """(product, its inspections), sorted."""
    for product in sorted(set(observer.announced.values())):
        yield product, [i for i, p in observer.announced.items() if p == product]
