"""What a head shall be taught next: what it has learned, brought up to date, and what people have said since. Pure.

Nothing is learned from fewer than LEAST_PARTS parts of a class, and a candidate is due when a class has reached that number, or
has MORE_PARTS parts more (or fewer, or that are called otherwise now) than the last one learned from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.policy import GOOD
from streams.review.taxonomy import Lineage
from streams.training.features import FloatArray
from streams.training.taught import Taught, chosen
from streams.training.truth import Example, Truth, parts_by_class, today

LEAST_PARTS = 5
MORE_PARTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A class, how many parts of it are new since, and how many there are. due: enough for a candidate."""

    label: str
    new: int
    parts: int
    known: bool
    due: bool

    @property
    def said(self) -> str:
        if self.known:
            return f"{self.label}: {self.new} of {MORE_PARTS} changed parts"
        return f"{self.label}: {min(self.parts, LEAST_PARTS)} of {LEAST_PARTS} parts of a new class"


def gaps(taught: Taught, truth: Truth, lineage: Lineage | None) -> list[Gap]:
    """What has changed between what was taught and what is true now, class by class."""
    kept, _ = _kept(taught, lineage)
    before = {row.source: row.label for row in kept if row.source}
    now = {one.source: one for one in truth.examples}
    changed = parts_by_class(one for source, one in now.items() if before.get(source) != one.label)
    for source, label in before.items():
        changed[label] += source not in now or now[source].label != label
    known, have = {row.label for row in kept}, parts_by_class(truth.examples)
    rows = []
    for label in sorted(changed):
        new, parts, old = changed[label], have[label], label in known
        if new:
            rows.append(Gap(label=label, new=new, parts=parts, known=old, due=new >= MORE_PARTS if old else parts >= LEAST_PARTS))
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    at: int
    source: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """kept: rows of what was taught, with the labels that they have now; missing: examples whose image has to be looked at.

    added, relabelled, withdrawn: images, against what was taught. gone: class -> images that were taught and are not any more,
    since their class was retired or split. few: class -> parts, of classes with too few parts to be learned.
    """

    kept: Sequence[int]
    labels: Sequence[str]
    missing: tuple[Example, ...]
    added: int
    relabelled: int
    withdrawn: int
    gone: Mapping[str, int]
    few: Mapping[str, int]


def lesson(taught: Taught, truth: Truth, lineage: Lineage | None) -> Lesson:
    """Rows of the folder that was fitted on stay, with their class of today; of labels what stands today counts."""
    rows, gone = _kept(taught, lineage)
    now = {one.source: one for one in truth.examples}
    old = {row.source: row for row in rows if row.source}
    of_folder = [row for row in rows if not row.source]
    spoken = {one.image.sha256 for one in truth.examples}
    of_folder = [row for row in of_folder if taught.image[row.at] not in spoken]  # a person has said since what it shows
    same = {source: row for source, row in old.items() if source in now and taught.image[row.at] == now[source].image.sha256}
    missing = [one for source, one in now.items() if source not in same]
    few = _too_few(of_folder, taught, truth)
    kept = [row for row in of_folder if row.label not in few]
    kept += [_Row(at=row.at, source=source, label=now[source].label) for source, row in same.items()]
    kept = sorted((row for row in kept if row.label not in few), key=lambda row: row.at)
    return Lesson(
        kept=[row.at for row in kept],
        labels=[row.label for row in kept],
        missing=tuple(one for one in missing if one.label not in few),
        added=sum(one.label not in few for one in missing),
        relabelled=sum(row.label != now[source].label for source, row in same.items()),
        withdrawn=sum(source not in now for source in old),
        gone=gone,
        few=few,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was computed of an example's image. normal: None where there is no anomaly model."""

    embedding: FloatArray
    normal: bool | None
    thumbnail: bytes


def relabelled(taught: Taught, plan: Lesson, taxonomy: str) -> Taught:
    """The rows that stay, as they are called today."""
    rows = chosen(taught, plan.kept, plan.labels)
    versions = tuple(taxonomy if source else old for source, old in zip(rows.source, rows.taxonomy, strict=True))
    return replace(rows, taxonomy=versions)


def _kept(taught: Taught, lineage: Lineage | None) -> tuple[list[_Row], dict[str, int]]:
    """Rows whose class is one today, and how many of each class are not."""
    rows, gone = [], Counter[str]()
    for at, (source, label, version) in enumerate(zip(taught.source, taught.label, taught.taxonomy, strict=True)):
        found = today(label, version, lineage)
        if found.fate == "current" and found.label is not None:
            rows.append(_Row(at=at, source=source, label=found.label))
        else:
            gone[label] += 1
    return rows, dict(gone)


def _too_few(of_folder: Sequence[_Row], taught: Taught, truth: Truth) -> dict[str, int]:
    """Classes of labels alone with too few parts. What a folder taught stays, however few: its owner chose so."""
    settled = {row.label for row in of_folder} | {GOOD}
    have = sorted(parts_by_class(truth.examples).items())
    return {label: parts for label, parts in have if label not in settled and parts < LEAST_PARTS}
