"""Targets 1 to 11 and 13, which are read off simulated runs. Goals, not results, are written down here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from streams.monitors.evidence import Kind
from streams.workbench.drift_bench import reading
from streams.workbench.drift_bench.cells import BASELINE, CHANGE_AT, Cell, Run
from streams.workbench.drift_bench.estimate import Estimate, quantile
from streams.workbench.drift_bench.families import FAMILIES
from streams.workbench.drift_bench.plan import FROZEN, JUMPS, SPEEDS, controls, controls_with_lots, frozen, jump, kind_of, moved
from streams.workbench.drift_bench.rows import Row

ARL0 = 1e5
Found = Mapping[str, Sequence[Run]]
_GOALS = {  # median and 90 % point of the delay, stretch median, what the prototype had
    "+.5": ("3", 150, 280, 120, "144/251"),
    "+1": ("3", 55, 100, 40, "54/81"),
    "+2": ("3", 26, 45, 18, "24/36"),
    "-.5": ("4", 110, 210, None, "98/184"),
    "-1": ("4", 28, 55, None, "24/46"),
    "shrink .7": ("4", 180, 380, None, "174/332"),
}
_NAMED = {"1->5": (850, 1900, "793"), "1->10": (260, 400, "234"), "1->20": (125, 170, "112")}
_STUCK = {"frozen": (6, 8, "5"), "frozen, noise": (8, 16, "6")}


def rows(found: Found) -> list[Row]:
    """In the order of the targets."""
    return [
        *_controls(found),
        *_delays(found),
        *_creep(found),
        *_jumps(found),
        *_wrong_names(found),
        *_stuck(found),
        *_change_points(found),
        *_small(found),
        *_budget(found),
    ]


def pooled(found: Found, cells: Sequence[Cell]) -> tuple[list[Run], str]:
    """Runs of several cells that were quiet before the change, and how many were not."""
    runs = [run for cell in cells for run in found[cell.name]]
    quiet = reading.undisturbed(runs, CHANGE_AT)
    left = len(runs) - len(quiet)
    return quiet, f"{left} of {len(runs)} runs left out: an event came before the change" if left else ""


def _four(found: Found, name: str, *, n: int = 2000, arl0: float = ARL0) -> tuple[list[Run], str]:
    return pooled(found, [moved(name, family, n=n, arl0=arl0) for family in FAMILIES])


def _worst(found: Found, cells: Sequence[Cell]) -> tuple[Estimate, str]:
    """The cell whose mean run length has the smallest lower bound."""
    lengths = {cell.name: reading.false_alarms(found[cell.name], cell.parts) for cell in cells}
    name = min(lengths, key=lambda cell: lengths[cell].low or 0.0)
    least = min(length.value for length in lengths.values())
    low = lengths[name].low or 0.0
    return lengths[name], f"worst of {len(cells)} cells: {name}; lower bound {low:.1e}; smallest estimate {least:.1e}"


def _controls(found: Found) -> Iterator[Row]:
    for n, letter in ((100, "a"), (500, "b"), (2000, "c")):
        worst, note = _worst(found, [cell for cell in controls() if cell.n == n])
        name = f"mean run length to a false baseline event, n={n}, worst world"
        yield Row(
            id=f"1{letter}", name=name, unit="parts", found=worst, goal=ARL0, at_most=False, prototype="3.2e5-2e6", note=note
        )
    worst, note = _worst(found, list(controls_with_lots()))
    name = "the same with lots (ICC .05), commissioned on 20,000 parts"
    yield Row(id="2", name=name, unit="parts", found=worst, goal=ARL0, at_most=False, prototype="5-8e5", note=note)


def _delays(found: Found) -> Iterator[Row]:
    letters = iter("abcdef")
    last = ""
    for name, (number, middle, late, stretch, prototype) in _GOALS.items():
        letters = iter("abcdef") if number != last else letters
        last = number
        runs, note = _four(found, name)
        waited = reading.delays(runs, kind_of(name), CHANGE_AT)
        label = f"{name} sd" if "shrink" not in name else name
        half, most = reading.median(waited), quantile(waited, 0.9)
        yield Row(
            id=f"{number}{next(letters)}",
            name=f"{label}: median delay",
            unit="parts",
            found=half,
            goal=middle,
            stretch=stretch,
            prototype=prototype,
            note=note,
        )
        yield Row(id=f"{number}{next(letters)}", name=f"{label}: 90 % of delays", unit="parts", found=most, goal=late)


def _creep(found: Found) -> Iterator[Row]:
    runs, note = _four(found, "creep")
    waited = reading.median(reading.delays(runs, "baseline_up", CHANGE_AT))
    name = "creep of 1 sd in 20,000 parts: median delay"
    yield Row(id="5", name=name, unit="parts", found=waited, goal=5000, prototype="4873", note=note)


def _jumps(found: Found) -> Iterator[Row]:
    quiet = {}
    for lots, letters in ((False, "ab"), (True, "cd")):
        where = " with lots" if lots else ""
        for name in JUMPS:
            quiet[name, lots], note = pooled(found, [jump(name, family, lots=lots) for family in FAMILIES])
            runs = quiet[name, lots]
            drift = reading.any_of(runs, BASELINE, CHANGE_AT)
            right = reading.called(runs, "defect_rate_up", CHANGE_AT)
            label = f"defects {name} %{where}"
            number = f"6{letters[0]} {name}", f"6{letters[1]} {name}"
            yield Row(
                id=number[0], name=f"{label}: any baseline event in 10,000 parts", unit="share", found=drift, goal=0.05,
                prototype="2.5-3.8 %", note=note,
            )  # fmt: skip
            yield Row(
                id=number[1], name=f"{label}: named defect_rate_up first", unit="share", found=right, goal=0.95, at_most=False,
                prototype="99-100 %",
            )  # fmt: skip
    for name, (middle, late, prototype) in _NAMED.items():
        waited = reading.delays(quiet[name, False], "defect_rate_up", CHANGE_AT)
        half, most = reading.median(waited), quantile(waited, 0.9)
        label = f"defects {name} %"
        yield Row(id=f"7a {name}", name=f"{label}: median delay", unit="parts", found=half, goal=middle, prototype=prototype)
        yield Row(id=f"7b {name}", name=f"{label}: 90 % of delays", unit="parts", found=most, goal=late)


def _wrong_names(found: Found) -> Iterator[Row]:
    for name, letter in zip(("+.25", "+.5", "+1", "+2", "spread 1.4"), "abcde", strict=True):
        wrong = reading.called(_four(found, name)[0], "defect_rate_up", CHANGE_AT)
        label = name if "spread" in name else f"{name} sd"
        yield Row(
            id=f"8{letter}", name=f"{label}: called defect rate first", unit="share", found=wrong, goal=0.05, prototype="0-6 %"
        )


def _stuck(found: Found) -> Iterator[Row]:
    letters = iter("abcdef")
    for name in FROZEN:
        runs, note = pooled(found, [frozen(name, family) for family in FAMILIES])
        waited = reading.delays(runs, "stuck", CHANGE_AT)
        middle, late, prototype = _STUCK[name]
        half, most = reading.median(waited), quantile(waited, 0.9)
        wrong = reading.any_of(runs, {"stale"}, CHANGE_AT)
        yield Row(
            id=f"9{next(letters)}", name=f"{name}: median delay", unit="parts", found=half, goal=middle, prototype=prototype,
            note=note,
        )  # fmt: skip
        yield Row(id=f"9{next(letters)}", name=f"{name}: 90 % of delays", unit="parts", found=most, goal=late)
        goal = 0.0 if name == "frozen" else 0.05
        yield Row(
            id=f"9{next(letters)}", name=f"{name}: STALE within 1000 parts", unit="share", found=wrong, goal=goal,
            prototype="0-4 %",
        )  # fmt: skip


def _change_points(found: Found) -> Iterator[Row]:
    runs, note = _four(found, "+.5")
    errors = reading.start_errors(runs, "baseline_up", CHANGE_AT)
    middle = reading.median(errors)
    off = Estimate(value=abs(middle.value), se=middle.se, runs=middle.runs)
    wide = quantile([abs(error) for error in errors], 0.9)
    yield Row(
        id="10a", name="+.5 sd: median error of the change-point", unit="parts", found=off, goal=5, prototype="0", note=note
    )
    yield Row(id="10b", name="+.5 sd: 90 % of its errors", unit="parts", found=wide, goal=40, prototype="36-40")


def _small(found: Found) -> Iterator[Row]:
    runs, note = _four(found, "+1", n=100)
    half = reading.median(reading.delays(runs, "baseline_up", CHANGE_AT))
    yield Row(id="11a", name="n=100, +1 sd: median delay", unit="parts", found=half, goal=100, prototype="99", note=note)
    runs, note = _four(found, "+.5", n=100)
    named = reading.any_of(runs, {"baseline_up"}, CHANGE_AT)
    name = "n=100, +.5 sd: found within 10,000 parts"
    yield Row(id="11b", name=name, unit="share", found=named, goal=0.8, at_most=False, prototype="80 %", note=note)


def _budget(found: Found) -> Iterator[Row]:
    for name, letter in zip(SPEEDS, "abcde", strict=True):
        kind: Kind = kind_of(name)
        short, long = (reading.median(reading.delays(_four(found, name, arl0=a)[0], kind, CHANGE_AT)) for a in (ARL0, 1e7))
        ratio = long.value / short.value
        se = ratio * ((long.se / long.value) ** 2 + (short.se / short.value) ** 2) ** 0.5
        both = Estimate(value=ratio, se=se, runs=long.runs)
        note = f"medians {short.value:.0f} and {long.value:.0f}"
        label = f"{name} sd: median delay at ARL0 1e7 over that at 1e5"
        yield Row(id=f"13{letter}", name=label, unit="ratio", found=both, goal=1.8, prototype="1.3-1.7", note=note)
