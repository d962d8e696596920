"""A plant whose parts are the pictures of a folder: some fit the models, the rest run, again and again.

Reads `good/`, `defect/<kind>/`, `masks/<kind>/<stem>.png` and groups.csv (stem, group, optional class). Whole groups go to
one side, so that no physical part is both learned from and judged. Knows no sizes: nobody measured these parts.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

from streams.workbench.plant import naming
from streams.workbench.plant.parts import GOOD, Defect, Labelled, Mask, Part, PlantStation, RenderedView

VIEW = "v1"  # what a fit calls the view of a data set that names none
CONTENT_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".bmp": "image/bmp",
    ".tif": "image/tiff", ".tiff": "image/tiff",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Picture:
    path: Path
    kind: str
    group: str
    mask: Path | None


class FolderPlant:
    """Parts from a data set; every picture is one part with one view.

    fit_share: part of the pictures of each kind, by whole groups, that `training_set` may use; the others run.
    Raises ValueError where the folder holds no pictures or too few groups for two sides.
    """

    def __init__(self, folder: Path, seed: int, fit_share: float = 0.5) -> None:
        if not 0 < fit_share < 1:
            raise ValueError(f"fit_share must be between 0 and 1, not {fit_share}")
        pictures = list(_pictures(folder))
        if not pictures:
            raise ValueError(f"{folder}: no pictures in good/ or defect/<kind>/ ({', '.join(CONTENT_TYPES)})")
        self.product = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower())[:63]
        self._seed = seed
        self._fit, self._run = _split(pictures, seed, fit_share)
        if not self._run or not self._fit:
            raise ValueError(f"{folder}: every kind is a single group; two groups are needed, one to fit and one to run")
        self._known = frozenset(picture.kind for picture in self._fit)

    def stations(self, lines: int = 3) -> tuple[PlantStation, ...]:
        names = map(naming.station_name, range(1, lines + 1))
        return tuple(PlantStation(name=name, product=self.product, views=(VIEW,)) for name in names)

    def part(self, station: str, n: int) -> Part:
        """The n-th part of a station: every running picture once, then again in another order."""
        rng = np.random.default_rng([self._seed, crc32(station.encode()), n // len(self._run)])
        picture = self._run[int(rng.permutation(len(self._run))[n % len(self._run)])]
        mask = () if picture.mask is None else (_read_mask(picture.mask),)
        view = RenderedView(
            name=VIEW, encoded=picture.path.read_bytes(), content_type=CONTENT_TYPES[picture.path.suffix.lower()], masks=mask
        )
        found = () if picture.kind == GOOD else (Defect(kind=picture.kind, known=picture.kind in self._known, view=VIEW),)
        return Part(
            station=station, n=n, product=self.product, lot=naming.lot(self.product, station, n),
            serial=naming.serial(self.product, station, n), views=(view,), defects=found,
        )  # fmt: skip

    def training_set(self, product: str, per_class: int, good: int) -> list[Labelled]:
        """At most so many pictures of each kind, from the side that never runs."""
        if product != self.product:
            raise ValueError(f"this folder holds {self.product!r}, not {product!r}")
        taken: dict[str, int] = defaultdict(int)
        items = []
        for picture in self._fit:
            taken[picture.kind] += 1
            if taken[picture.kind] <= (good if picture.kind == GOOD else per_class):
                items.append(_labelled(picture))
        return items


def _pictures(folder: Path) -> Iterator[_Picture]:
    """Sorted by path, so that the same folder gives the same plant everywhere."""
    groups = _groups(folder / "groups.csv")
    kinds = [(GOOD, folder / GOOD), *((place.name, place) for place in sorted((folder / "defect").glob("*/")))]
    for kind, place in kinds:
        for path in sorted(place.glob("*")):
            if path.suffix.lower() in CONTENT_TYPES:
                mask = folder / "masks" / kind / f"{path.stem}.png"
                group = groups.get((path.stem, kind)) or groups.get((path.stem, "")) or f"{kind}/{path.stem}"
                yield _Picture(path=path, kind=kind, group=group, mask=mask if mask.exists() else None)


def _groups(table: Path) -> dict[tuple[str, str], str]:
    """(stem, class or nothing) -> group."""
    if not table.exists():
        return {}
    with table.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        if not {"stem", "group"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{table}: needs the columns stem and group, has {', '.join(rows.fieldnames or ())}")
        return {(row["stem"], row.get("class") or ""): row["group"] for row in rows}


def _split(pictures: Sequence[_Picture], seed: int, fit_share: float) -> tuple[list[_Picture], list[_Picture]]:
    """Whole groups to one side, for each kind about `fit_share` of its pictures; both in a mixed order."""
    members: dict[str, list[_Picture]] = defaultdict(list)
    for picture in pictures:
        members[picture.group].append(picture)
    by_kind: dict[str, list[str]] = defaultdict(list)
    for group, inside in members.items():
        by_kind[min((p.kind for p in inside), key=lambda kind: (kind == GOOD, kind))].append(group)
    rng = np.random.default_rng([seed, 0])
    chosen: set[str] = set()
    for kind in sorted(by_kind):
        groups = [by_kind[kind][k] for k in rng.permutation(len(by_kind[kind]))]
        chosen.update(_first(groups, [len(members[g]) for g in groups], fit_share))
    mixed = [pictures[k] for k in rng.permutation(len(pictures))]
    return [p for p in mixed if p.group in chosen], [p for p in mixed if p.group not in chosen]


def _first(groups: Sequence[str], sizes: Sequence[int], share: float) -> Sequence[str]:
    """So many of the first groups that their share of the pictures is nearest; one stays on each side if it can."""
    if len(groups) == 1:
        return ()
    reached = np.cumsum(sizes) / sum(sizes)
    count = int(np.abs(reached - share).argmin()) + 1
    return groups[: min(max(count, 1), len(groups) - 1)]


def _read_mask(path: Path) -> Mask:
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ValueError(f"{path}: not a picture")
    return (mask > 127).astype(np.uint8) * np.uint8(255)


def _labelled(picture: _Picture) -> Labelled:
    mask = picture.mask.read_bytes() if picture.mask else None
    return Labelled(
        stem=f"{picture.kind}-{picture.path.stem}", suffix=picture.path.suffix.lower(), encoded=picture.path.read_bytes(),
        kind=picture.kind, group=picture.group, view=VIEW, mask=mask,
    )  # fmt: skip
