"""Labelled images to fit on: from a folder, or handed over in memory. Decodes nothing.

Layout: good/, defect/<class>/, masks/<class>/<stem>.png, and optionally groups.csv with the columns stem and group, and
class and view where stems are not unique or a part has several views. Without groups each image is a group of its own.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.ids import NAME_PATTERN

GOOD = "good"
VIEW = "v1"
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


class DataError(Exception):
    """The data cannot be fitted on: what, where, what to do."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One image. kind: `good` or a defect class. group: what must stay together. mask: of that class, any value > 127."""

    name: str
    kind: str
    group: str
    data: bytes | Path
    view: str = VIEW
    mask: bytes | Path | None = None

    def read(self) -> bytes:
        return _bytes(self.data)

    def read_mask(self) -> bytes | None:
        return None if self.mask is None else _bytes(self.mask)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """notes: what was found odd in it, and is not used."""

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Good first, then the defect classes by name."""
        found = {item.kind for item in self.items}
        return (*([GOOD] if GOOD in found else []), *sorted(found - {GOOD}))

    def of(self, kind: str) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.kind == kind)


def read_dataset(folder: Path) -> Dataset:
    """Raises DataError: the folder is missing, holds no images, a class has no proper name, groups.csv is damaged."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name one with good/ and defect/<class>/ in it")
    rows = _groups(folder / "groups.csv")
    items = [_item(path, GOOD, rows, None) for path in _images(folder / GOOD)]
    for place in _folders(folder / "defect"):
        kind = _class_name(place)
        masks = {path.stem: path for path in _images(folder / "masks" / kind)}
        items += [_item(path, kind, rows, masks) for path in _images(place)]
    if not items:
        raise DataError(f"{folder}: no image in good/ or defect/<class>/; {', '.join(SUFFIXES)} are read")
    return Dataset(items=tuple(items), notes=_odd(folder, items, rows))


def _item(path: Path, kind: str, rows: _Rows, masks: dict[str, Path] | None) -> Item:
    group, view = rows.of(path.stem, kind)
    return Item(name=str(path), kind=kind, group=group, view=view, data=path, mask=(masks or {}).get(path.stem))


@dataclass(frozen=True)
class _Rows:
    """groups.csv: (stem, class or nothing) -> (group, view)."""

    by_stem: dict[tuple[str, str], tuple[str, str]]

    def of(self, stem: str, kind: str) -> tuple[str, str]:
        found = self.by_stem.get((stem, kind)) or self.by_stem.get((stem, ""))
        return found or (f"{kind}/{stem}", VIEW)


def _groups(path: Path) -> _Rows:
    if not path.exists():
        return _Rows({})
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"stem", "group"} <= set(reader.fieldnames or ()):
            raise DataError(f"{path}: needs the columns stem and group, it has {', '.join(reader.fieldnames or ()) or 'none'}")
        rows = {}
        for number, row in enumerate(reader, start=2):
            stem, group, view = row["stem"], row["group"], row.get("view") or VIEW
            if not stem or not group:
                raise DataError(f"{path}: line {number} lacks a stem or a group")
            if not re.fullmatch(NAME_PATTERN, view):
                raise DataError(f"{path}: line {number}: view {view!r} has other characters than a-z, 0-9, '_' and '-'")
            rows[stem, row.get("class") or ""] = (group, view)
    return _Rows(rows)


def _folders(place: Path) -> Sequence[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else ()


def _images(place: Path) -> Iterable[Path]:
    return sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES) if place.is_dir() else ()


def _class_name(place: Path) -> str:
    if not re.fullmatch(NAME_PATTERN, place.name) or place.name in (GOOD, "unknown"):
        raise DataError(f"{place}: rename it; a defect class is written a-z, 0-9, '_' and '-', and is not good or unknown")
    return place.name


def _odd(folder: Path, items: Sequence[Item], rows: _Rows) -> tuple[str, ...]:
    used = {item.mask for item in items}
    orphans = [path for place in _folders(folder / "masks") for path in _images(place) if path not in used]
    notes = [f"{len(orphans)} masks belong to no image, for example {orphans[0]}"] if orphans else []
    if not rows.by_stem:
        notes.append("no groups.csv: each image counts as a part of its own; images of one part would make scores look too good")
    return tuple(notes)


def _bytes(source: bytes | Path) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()
