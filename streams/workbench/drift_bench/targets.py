"""Targets 1 to 11 and 13, which are read off simulated runs. Goals, not results, are written down here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from streams.workbench.drift_bench import reading
from streams.workbench.drift_bench.cells import BASELINE, CHANGE_AT, Cell, Run
from streams.workbench.drift_bench.estimate import Estimate, quantile
from streams.workbench.drift_bench.families import FAMILIES
from streams.workbench.drift_bench.plan import FROZEN, JUMPS, SPEEDS, controls, controls_with_lots, frozen, jump, kind_of, moved
from streams.workbench.drift_bench.rows import LEFT_OUT, Row

ARL0 = 1e5
Found = Mapping[str, Sequence[Run]]
_SHIFTED = {  # target; median and 90 % point of the delay; stretch of both; what the prototype had
    "+.5": (3, 150, 280, 120, "144/251"),
    "+1": (3, 55, 100, 40, "54/81"),
    "+2": (3, 26, 45, 18, "24/36"),
    "-.5": (4, 110, 210, None, "98/184"),
    "-1": (4, 28, 55, None, "24/46"),
    "shrink .7": (4, 180, 380, None, "174/332"),
}
_NAMED = {"1->5": (850, 1900, "793"), "1->10": (260, 400, "234"), "1->20": (125, 170, "112")}
_STUCK = {"frozen": (6, 8, "5"), "frozen, noise": (8, 16, "6")}
_UPWARD = ("+.25", "+.5", "+1", "+2", "spread 1.4")


def rows(found: Found) -> list[Row]:
    """In the order of the targets."""
    parts = (_controls, _shifted, _creep, _jumps, _named, _wrong_names, _stuck, _change_points, _small, _budget)
    return [row for part in parts for row in part(found)]


def pooled(found: Found, cells: Sequence[Cell]) -> tuple[list[Run], str]:
    """Runs of several cells that were quiet before the change, and how many were not."""
    runs = [run for cell in cells for run in found[cell.name]]
    quiet = reading.undisturbed(runs, CHANGE_AT)
    left = len(runs) - len(quiet)
    return quiet, f"{left} of {len(runs)} {LEFT_OUT}: an event came before the change" if left else ""


def _four(found: Found, name: str, *, n: int = 2000, arl0: float = ARL0) -> tuple[list[Run], str]:
    """A change of the good parts, in all families: the monitor sees ranks, so they are one experiment."""
    return pooled(found, [moved(name, family, n=n, arl0=arl0) for family in FAMILIES])


def _jumped(found: Found, name: str, *, lots: bool) -> tuple[list[Run], str]:
    return pooled(found, [jump(name, family, lots=lots) for family in FAMILIES])


def _controls(found: Found) -> Iterator[Row]:
    for n in (100, 500, 2000):
        cells = [cell for cell in controls() if cell.n == n and cell.name in found]
        yield _length(
            found, cells, 1, f"false baseline events, n={n}, worst of {len(cells)} worlds: mean run length", "3.2e5-2e6"
        )
    lots = [cell for cell in controls_with_lots() if cell.name in found]
    yield _length(found, lots, 2, f"the same with lots, 20,000 parts commissioned, worst of {len(lots)}", "5-8e5")


def _length(found: Found, cells: Sequence[Cell], target: int, name: str, prototype: str) -> Row:
    """Of the cell whose lower bound is the smallest."""
    lengths = {cell.name: reading.false_alarms(found[cell.name], cell.parts) for cell in cells}
    worst = min(lengths, key=lambda cell: lengths[cell].low or 0.0)
    note = f"lower bound {lengths[worst].low or 0:.1e}: {worst}"
    return Row(target=target, name=name, found=lengths[worst], goal=ARL0, at_most=False, prototype=prototype, note=note)


def _shifted(found: Found) -> Iterator[Row]:
    for name, (target, middle, late, stretch, prototype) in _SHIFTED.items():
        runs, note = _four(found, name)
        waited = reading.delays(runs, kind_of(name), CHANGE_AT)
        half, most = reading.median(waited), quantile(waited, 0.9)
        median, most_of = f"{_label(name)}: median delay", f"{_label(name)}: 90 % of delays"
        yield Row(target=target, name=median, found=half, goal=middle, stretch=stretch, prototype=prototype, note=note)
        yield Row(target=target, name=most_of, found=most, goal=late)


def _label(name: str) -> str:
    return f"{name} sd" if name[0] in "+-" else name


def _creep(found: Found) -> Iterator[Row]:
    runs, note = _four(found, "creep")
    waited = reading.median(reading.delays(runs, "baseline_up", CHANGE_AT))
    yield Row(target=5, name="creep of 1 sd in 20,000 parts: median delay", found=waited, goal=5000, prototype="4873", note=note)


def _jumps(found: Found) -> Iterator[Row]:
    for lots in (False, True):
        for name in JUMPS:
            runs, note = _jumped(found, name, lots=lots)
            label = f"defects {name} %{', lots' if lots else ''}"
            drift = reading.any_of(runs, BASELINE, CHANGE_AT)
            right = reading.called(runs, "defect_rate_up", CHANGE_AT)
            any_ = f"{label}: any baseline event in 10,000 parts"
            first = f"{label}: defect_rate_up is the first event"
            yield Row(target=6, name=any_, unit="share", found=drift, goal=0.05, prototype="2.5-3.8 %", note=note)
            yield Row(target=6, name=first, unit="share", found=right, goal=0.95, at_most=False, prototype="99-100 %")


def _named(found: Found) -> Iterator[Row]:
    for name, (middle, late, prototype) in _NAMED.items():
        waited = reading.delays(_jumped(found, name, lots=False)[0], "defect_rate_up", CHANGE_AT)
        half, most = reading.median(waited), quantile(waited, 0.9)
        yield Row(target=7, name=f"defects {name} %: median delay", found=half, goal=middle, prototype=prototype)
        yield Row(target=7, name=f"defects {name} %: 90 % of delays", found=most, goal=late)


def _wrong_names(found: Found) -> Iterator[Row]:
    for name in _UPWARD:
        wrong = reading.called(_four(found, name)[0], "defect_rate_up", CHANGE_AT)
        label = f"{_label(name)}: called defect rate first"
        yield Row(target=8, name=label, unit="share", found=wrong, goal=0.05, prototype="0-6 %")


def _stuck(found: Found) -> Iterator[Row]:
    for name in FROZEN:
        runs, note = pooled(found, [frozen(name, family) for family in FAMILIES])
        waited = reading.delays(runs, "stuck", CHANGE_AT)
        middle, late, prototype = _STUCK[name]
        half, most = reading.median(waited), quantile(waited, 0.9)
        yield Row(target=9, name=f"{name}: median delay", found=half, goal=middle, prototype=prototype, note=note)
        yield Row(target=9, name=f"{name}: 90 % of delays", found=most, goal=late)


def _change_points(found: Found) -> Iterator[Row]:
    runs, note = _four(found, "+.5")
    errors = reading.start_errors(runs, "baseline_up", CHANGE_AT)
    middle = reading.median(errors)
    off = Estimate(value=abs(middle.value), se=middle.se, runs=middle.runs)
    wide = quantile([abs(error) for error in errors], 0.9)
    yield Row(target=10, name="+.5 sd: change-point, median error", found=off, goal=5, prototype="0", note=note)
    yield Row(target=10, name="+.5 sd: change-point, 90 % of errors", found=wide, goal=40, prototype="36-40")


def _small(found: Found) -> Iterator[Row]:
    runs, note = _four(found, "+1", n=100)
    half = reading.median(reading.delays(runs, "baseline_up", CHANGE_AT))
    yield Row(target=11, name="n=100, +1 sd: median delay", found=half, goal=100, prototype="99", note=note)
    runs, note = _four(found, "+.5", n=100)
    named = reading.any_of(runs, {"baseline_up"}, CHANGE_AT)
    label = "n=100, +.5 sd: found within 10,000 parts"
    yield Row(target=11, name=label, unit="share", found=named, goal=0.8, at_most=False, prototype="80 %", note=note)


def _budget(found: Found) -> Iterator[Row]:
    for name in SPEEDS:
        kind = kind_of(name)
        short, long = (reading.median(reading.delays(_four(found, name, arl0=a)[0], kind, CHANGE_AT)) for a in (ARL0, 1e7))
        ratio = long.value / short.value
        se = ratio * math.hypot(long.se / long.value, short.se / short.value)
        both = Estimate(value=ratio, se=se, runs=long.runs)
        label = f"{_label(name)}: median delay at ARL0 1e7 over 1e5"
        note = f"medians {long.value:.0f} and {short.value:.0f}"
        yield Row(target=13, name=label, unit="ratio", found=both, goal=1.8, prototype="1.3-1.7", note=note)
