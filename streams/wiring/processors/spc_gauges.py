"""What the wall shows of control charts: the newest point of each with its limits, out of the table's entries. Knows no rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from streams.metrics import SPC_CENTER, SPC_LOWER, SPC_OUT_OF_CONTROL, SPC_RATIO, SPC_UPPER, Row
from streams.wiring.engines.tables import State

Entry = tuple[str, str, State]  # station, name of the part, the part
Point = tuple[tuple[str, ...], list[float]]


def follow(entries: Callable[[], Iterable[Entry]]) -> None:
    """entries: the cold parts of the stations that this process owns; asked at every scrape."""
    SPC_CENTER.follow(lambda: _column(entries(), 1))
    SPC_LOWER.follow(lambda: _column(entries(), 2))
    SPC_UPPER.follow(lambda: _column(entries(), 3))
    SPC_OUT_OF_CONTROL.follow(lambda: _column(entries(), 4))
    SPC_RATIO.follow(lambda: ratios(entries()))


def _column(entries: Iterable[Entry], index: int) -> Iterator[Row]:
    for labels, shown in newest(entries):
        yield labels, float(shown[index])


def ratios(entries: Iterable[Entry]) -> Iterator[Row]:
    """(station, product, characteristic), share of the newest subgroup's parts; also while there are no limits yet."""
    for labels, one, part in _charted(entries):
        history = part.get("history")
        if not history or one["of"] not in ("nonconforming", "class") or not history[-1][1]:
            continue
        _, n, bad, defects, *_ = history[-1]
        yield labels, (bad if one["of"] == "nonconforming" else defects.get(one["label"], 0)) / n


def newest(entries: Iterable[Entry]) -> Iterator[Point]:
    """(station, product, characteristic), and what `course.Shown` holds."""
    for labels, one, part in _charted(entries):
        if (shown := part.get("charts", {}).get(one["name"], {}).get("shown")) is not None:
            yield labels, shown


def _charted(entries: Iterable[Entry]) -> Iterator[tuple[tuple[str, ...], State, State]]:
    """(labels, characteristic, course). A second series with a characteristic of the same name says which it is."""
    seen = set[tuple[str, ...]]()
    for station, name, part in sorted(entries, key=lambda entry: entry[:2]):
        cut = part.get("stages", {}).get(part.get("stage_id", ""))
        if cut is None:
            continue
        product, series = name.split("|")
        for one in cut[1]["characteristics"]:
            labels: tuple[str, ...] = (station, product, one["name"])
            labels = labels if labels not in seen else (station, product, f"{series}/{one['name']}")
            seen.add(labels)
            yield labels, one, part
