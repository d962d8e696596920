"""What the wall shows of control charts: the newest point of each with its limits, out of the courses. Knows no rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from streams.metrics import SPC_CENTER, SPC_LOWER, SPC_OUT_OF_CONTROL, SPC_RATIO, SPC_UPPER, Row
from streams.monitors.spc.course import Course, Shown
from streams.monitors.spc.packing import course_of

Entry = tuple[str, bytes | Course]  # `station|product|series`, and what is held of it


class Newest(NamedTuple):
    """Of one characteristic. ratio: of the newest subgroup's parts, also while there are no limits yet."""

    name: str
    shown: Shown | None
    ratio: float | None


class Wall:
    """What is shown of each course; looked at again only where it is another one. Safe on any thread."""

    def __init__(self, entries: Callable[[], Iterable[Entry]]) -> None:
        self._entries = entries
        self._seen: dict[str, tuple[bytes | Course, list[Newest]]] = {}

    def shown(self) -> Iterator[tuple[tuple[str, ...], Shown]]:
        """(station, product, characteristic), the newest point."""
        return ((labels, one.shown) for labels, one in self._rows() if one.shown is not None)

    def ratios(self) -> Iterator[Row]:
        return ((labels, one.ratio) for labels, one in self._rows() if one.ratio is not None)

    def _rows(self) -> Iterator[tuple[tuple[str, ...], Newest]]:
        """A second series with a characteristic of the same name says which it is."""
        named = set[tuple[str, ...]]()
        for key, found in self._looked_at():
            station, product, series = key.split("|")
            for one in found:
                labels: tuple[str, ...] = (station, product, one.name)
                labels = labels if labels not in named else (station, product, f"{series}/{one.name}")
                named.add(labels)
                yield labels, one

    def _looked_at(self) -> list[tuple[str, list[Newest]]]:
        seen = {}
        for key, held in sorted(self._entries(), key=lambda entry: entry[0]):
            kept = self._seen.get(key)
            seen[key] = kept if kept is not None and kept[0] is held else (held, newest(held))
        self._seen = seen
        return [(key, found) for key, (_, found) in seen.items()]


def follow(entries: Callable[[], Iterable[Entry]]) -> None:
    """entries: of the stations that this process owns; asked at every scrape."""
    wall = Wall(entries)
    SPC_CENTER.follow(lambda: ((labels, shown.center) for labels, shown in wall.shown()))
    SPC_LOWER.follow(lambda: ((labels, shown.lcl) for labels, shown in wall.shown()))
    SPC_UPPER.follow(lambda: ((labels, shown.ucl) for labels, shown in wall.shown()))
    SPC_OUT_OF_CONTROL.follow(lambda: ((labels, float(shown.signals)) for labels, shown in wall.shown()))
    SPC_RATIO.follow(wall.ratios)


def newest(held: bytes | Course) -> list[Newest]:
    """Of every characteristic of the stage whose charts run."""
    course = course_of(held) if isinstance(held, bytes) else held
    last = course.history[-1] if course.history else None
    found = []
    for one in course.characteristics:
        chart, ratio = course.charts.get(one.name), None
        if last is not None and last.n and one.of in ("nonconforming", "class"):
            ratio = (last.bad if one.of == "nonconforming" else last.defects.get(one.label or "", 0)) / last.n
        found.append(Newest(one.name, None if chart is None else chart.shown, ratio))
    return found
