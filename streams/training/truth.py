"""From what people said to what a classifier may learn: which labels count today, of which image, as which class. Pure.

Left out, and counted by reason, is what does not say which class an image shows: `unsure`, a defect without a class, a class
that was retired or split, a label of a whole part with several views of which none has a mask, and images about which people
differ. A challenge is left out too: what a station is proven with, its models must not have learned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.common import ImageRef
from schemas.label import LabelledViewV1, LabelV1
from schemas.policy import GOOD
from streams.review.labels import Shelf
from streams.review.taxonomy import Fate, Lineage, Today, follow

Why = Literal[
    "unsure", "no_class", "retired", "ambiguous", "unknown_version", "several_views", "disagreement", "challenge", "image_gone"
]
_FATES: Mapping[Fate, Why] = {
    "ambiguous": "ambiguous",
    "retired": "retired",
    "no_class": "no_class",
    "unknown_version": "unknown_version",
}
WORDS: Mapping[Why, str] = {
    "unsure": "the answer was unsure",
    "no_class": "a defect that nobody has named",
    "retired": "the class was retired",
    "ambiguous": "the class was split: the part needs a new look",
    "unknown_version": "of a version of the classes that is not known here",
    "several_views": "said of a part with several views, without a mask: which one shows it is not known",
    "disagreement": "people differ about it",
    "challenge": "a challenge: what proves a station is not learned from",
    "image_gone": "the image is no longer kept",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One image and the class it shows today. source: `inspection/view`. group: what is never torn apart: serial, else lot."""

    source: str
    inspection: str
    view: str
    image: ImageRef
    label: str
    group: str
    taxonomy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """left_out: reason -> images (or parts, where no image was meant)."""

    examples: tuple[Example, ...]
    left_out: Mapping[Why, int]


def truth(shelf: Shelf, product: str, lineage: Lineage | None, station: str | None = None) -> Truth:
    """lineage: of the classes in force; None: only `good` can be followed. station: only its labels."""
    said: dict[str, list[tuple[LabelV1, str]]] = {}
    left: Counter[Why] = Counter()
    for label in shelf.standing():
        if label.product != product or (station is not None and label.station != station):
            continue
        meant, why = _meant(label, lineage)
        if why is not None:
            left[why] += 1
            continue
        for view in _showing(label):
            said.setdefault(f"{label.inspection}/{view.view}", []).append((label, meant))
    examples = []
    for source, opinions in sorted(said.items()):
        settled = _settled([meant for _, meant in opinions])
        if settled is None:
            left["disagreement"] += 1
        else:
            examples.append(_example(source, opinions[-1][0], settled, lineage))
    return Truth(examples=tuple(examples), left_out=left)


def today(label: str, taxonomy: str, lineage: Lineage | None) -> Today:
    """What a class that was learned once is now. taxonomy: empty where the folder that was fitted on gave it: then by its id."""
    if label == GOOD or lineage is None:
        return Today(fate="current", label=label)
    if taxonomy:
        return lineage.meanings.get(taxonomy, {}).get(label, Today(fate="unknown_version"))
    found = [version[label] for version in lineage.meanings.values() if label in version]
    return found[-1] if found else Today(fate="current", label=label)


def parts_by_class(examples: Iterable[Example]) -> Counter[str]:
    """How many groups each class has."""
    return Counter(label for label, _ in {(one.label, one.group) for one in examples})


def _meant(label: LabelV1, lineage: Lineage | None) -> tuple[str, Why | None]:
    """(the class, None), or (nothing, why there is none)."""
    if label.purpose == "challenge" or label.shown == "challenge":
        return "", "challenge"
    if label.answer == "unsure":
        return "", "unsure"
    if label.answer == GOOD:
        return GOOD, None
    if len(label.views) > 1 and not any(one.mask for one in label.views):
        return "", "several_views"
    if lineage is None:
        return "", "unknown_version" if label.label else "no_class"
    found = follow(label, lineage)
    return (found.label or "", None) if found.fate == "current" else ("", _FATES[found.fate])


def _showing(label: LabelV1) -> Sequence[LabelledViewV1]:
    """Views that show what it says: those with a mask, where there is one."""
    return tuple(one for one in label.views if one.mask is not None) or label.views


def _settled(meant: Sequence[str]) -> str | None:
    """What more than half of them say."""
    (best, votes), *_ = Counter(meant).most_common(1)
    return best if 2 * votes > len(meant) else None


def _example(source: str, label: LabelV1, settled: str, lineage: Lineage | None) -> Example:
    view = source.rpartition("/")[2]
    return Example(
        source=source,
        inspection=label.inspection,
        view=view,
        image=next(one.image for one in label.views if one.view == view),
        label=settled,
        group=label.serial or label.lot or label.inspection,
        taxonomy="" if lineage is None else lineage.current,
    )
