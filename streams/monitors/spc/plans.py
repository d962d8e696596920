"""What is charted where nobody said it. A plan is a person's; the default follows from the classes and sizes that were seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from schemas.spc import CharacteristicV1, SeriesV1, SubgroupRuleV1, SubgroupV1
from streams.monitors.spc.part import UNITS, UNREVIEWED, Part, measure_name

SERIES = "default"
MOST_CLASSES = 30
RULE = SubgroupRuleV1(n=500, every_s=3600, lot=True)
"""500 parts hold five bad ones at 1 %, which a p chart needs (n p >= 5); an hour and a lot keep causes apart. Where fewer come in
an hour, or less is bad, the counts are small and the chart slow: a plan with a larger subgroup or a g chart is better.
"""


@lru_cache(maxsize=4096)
def default_series(labels: tuple[str, ...] = (), quantities: tuple[str, ...] = ()) -> tuple[SeriesV1, ...]:
    """Nonconforming parts, parts of each class, defects a part; and where instances have sizes in mm their lengths.

    Laney's charts, because at 100 % inspection plain ones blame every ordinary wandering of the rate. labels, quantities: seen.
    """
    charts = [
        CharacteristicV1(name="nonconforming", of="nonconforming", chart="laney_p"),
        CharacteristicV1(name="defects", of="defects", chart="laney_u"),
        *(CharacteristicV1(name=f"class-{label}"[:63], of="class", label=label, chart="laney_p") for label in labels),
    ]
    if "length" in quantities:
        charts.append(CharacteristicV1(name="length", of="measurement", quantity="length", chart="i_mr"))
    return (SeriesV1(series=SERIES, rule=RULE, characteristics=tuple(charts)),)


def default_of(subgroups: Iterable[SubgroupV1]) -> SeriesV1:
    """The default of a product by what its published subgroups have counted and measured."""
    labels: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    for one in subgroups:
        labels = seen(labels, [label for label, n in one.defects.items() if n and label != UNREVIEWED])
        quantities = seen(quantities, [measured.name.split("-")[0] for measured in one.characteristics])
    return default_series(labels, quantities)[0]


def measured(series: SeriesV1, part: Part) -> Part:
    """With the measurements of all its instances, and of one class only where that is charted."""
    if not part.measures:
        return part
    charted = {measure_name(one.quantity, one.label) for one in series.characteristics if one.quantity is not None}
    return part._replace(measures=tuple(pair for pair in part.measures if pair[0] in UNITS or pair[0] in charted))


def seen(known: Sequence[str], fresh: Sequence[str]) -> tuple[str, ...]:
    """In order of appearance, as many as fit."""
    return (*known, *(one for one in dict.fromkeys(fresh) if one not in known))[:MOST_CLASSES]
