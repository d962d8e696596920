"""Which cells are measured, and how often. Knows the worlds of the targets, no result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from streams.monitors.evidence import Kind
from streams.workbench.drift_bench.cells import BASELINE, CHANGE_AT, Cell
from streams.workbench.drift_bench.families import FAMILIES, Family
from streams.workbench.drift_bench.simulator import Frozen, Jump, Moved, World

ICC = 0.05
COMMISSIONED = 20_000
AFTER = 10_000  # parts in which a change is to be found, and in which a jump of the defect rate must not be called drift
CREEP = 20_000
IN_CONTROL = 100_000
SHIFTS: dict[str, Moved] = {
    "+.25": Moved(shift=0.25),
    "+.5": Moved(shift=0.5),
    "+1": Moved(shift=1.0),
    "+2": Moved(shift=2.0),
    "-.5": Moved(shift=-0.5),
    "-1": Moved(shift=-1.0),
    "shrink .7": Moved(scale=0.7),
    "spread 1.4": Moved(scale=1.4),
    "creep": Moved(shift=1.0, over=CREEP),
}
JUMPS = {f"1->{round(100 * to)}": Jump(to=to) for to in (0.05, 0.1, 0.2)}
FROZEN = {"frozen": Frozen(), "frozen, noise": Frozen(noise=0.02)}
SPEEDS = ("+.5", "+1", "+2", "-.5", "-1")


@dataclass(frozen=True, kw_only=True)
class Size:
    """runs: of a cell, for each of the four families; control: of a cell without a change, in `worlds`; samples: decisions on
    samples alone; peers, slow: runs of a peer, of one that is slow.
    """

    runs: int
    control: int
    worlds: Literal["all", "lognormal"]
    samples: int
    peers: int
    slow: int


FULL = Size(runs=200, control=200, worlds="all", samples=2000, peers=200, slow=10)
QUICK = Size(runs=50, control=40, worlds="lognormal", samples=300, peers=20, slow=0)


def kind_of(name: str) -> Kind:
    """The event that a change of SHIFTS is to raise."""
    change = SHIFTS[name]
    if change.scale != 1:
        return "baseline_shrink" if change.scale < 1 else "baseline_spread"
    return "baseline_up" if change.shift > 0 else "baseline_down"


def moved(name: str, family: Family, *, n: int = 2000, arl0: float = 1e5) -> Cell:
    """A change of the good parts, watched until it is named."""
    after = CREEP if name == "creep" else AFTER
    return Cell(
        name=f"{name} {family} n={n} arl0={arl0:g}",
        world=World(family=family),
        change=SHIFTS[name],
        parts=CHANGE_AT + after,
        n=n,
        arl0=arl0,
        until=frozenset({kind_of(name)}),
    )


def jump(name: str, family: Family, *, lots: bool = False) -> Cell:
    """A change of the defect rate, watched to the end."""
    return Cell(
        name=f"{name} {family}{' lots' if lots else ''}",
        world=World(family=family, icc=ICC if lots else 0.0),
        change=JUMPS[name],
        parts=CHANGE_AT + AFTER,
        commissioned=COMMISSIONED if lots else 0,
    )


def frozen(name: str, family: Family) -> Cell:
    """A source that repeats itself, watched for as long as STALE could take."""
    return Cell(name=f"{name} {family}", world=World(family=family), change=FROZEN[name], parts=CHANGE_AT + 1000)


def control(label: str, world: World, n: int, dirty: float = 0.0) -> Cell:
    """Nothing changes."""
    name = f"control {label} {world.family} n={n}"
    return Cell(name=name, world=world, parts=IN_CONTROL, n=n, dirty=dirty, until=BASELINE)


def controls() -> Iterator[Cell]:
    """Each family, reference size and defect share; dirty references; coarse scores."""
    for n in (100, 500, 2000):
        for family in FAMILIES:
            for defects in (0.01, 0.0, 0.05):
                yield control(f"{100 * defects:.0f}% defects", World(family=family, defects=defects), n)
            yield control("3% dirty", World(family=family), n, dirty=0.03)
            yield control("coarse", World(family=family, step=0.1), n)


def controls_with_lots() -> Iterator[Cell]:
    """Commissioned on pooled production."""
    for family in FAMILIES:
        for defects in (0.01, 0.05):
            cell = control(f"lots {100 * defects:.0f}% defects", World(family=family, defects=defects, icc=ICC), 2000)
            yield replace(cell, commissioned=COMMISSIONED)


def cells(size: Size) -> dict[Cell, int]:
    """All cells of the drift monitor itself."""
    still = [cell for cell in (*controls(), *controls_with_lots()) if size.worlds == "all" or cell.world.family == "lognormal"]
    found = dict.fromkeys(still, size.control)
    for family in FAMILIES:
        four = [moved(name, family) for name in SHIFTS]
        four += [moved(name, family, n=100) for name in ("+.5", "+1")]
        four += [moved(name, family, arl0=1e7) for name in SPEEDS]
        four += [jump(name, family, lots=lots) for name in JUMPS for lots in (False, True)]
        four += [frozen(name, family) for name in FROZEN]
        found |= dict.fromkeys(four, size.runs)
    return found
