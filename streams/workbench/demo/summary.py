"""The end of a demonstration: what was announced and judged, and how it compares with the truth. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.ids import InspectionId
from streams.monitors.shares import exact_share
from streams.workbench.fleet import Usage
from streams.workbench.observer import DISPOSITIONS, Observer, Truth, outcome, quantile, rows_by_product


def summary(observer: Observer, truth: Callable[[InspectionId], Truth], usage: Mapping[str, Usage]) -> dict[str, Any]:
    """The demonstration's JSON. Intervals: Clopper-Pearson, 95 %; null where there is nothing to count."""
    whole = outcome(observer, truth)
    latencies = observer.latencies_ms()
    return {
        "announced": len(observer.announced),
        "judged": len(observer.verdicts),
        "missing": len(observer.missing),
        "conflicts": len(observer.conflicts),
        "conflict_ids": sorted(observer.conflicts)[:20],
        "copies": observer.copies,
        "revisions": observer.revisions,
        "dead_letters": dict(observer.dead),
        "failed_evidence": dict(observer.failed),
        "verdicts": observer.by_disposition(),
        "good": whole.good,
        "bad": whole.bad,
        "escapes": whole.escapes,
        "escape_rate_95": _interval(whole.escapes, whole.bad),
        "overkill": whole.overkill,
        "overkill_rate_95": _interval(whole.overkill, whole.good),
        "unknown_defects": whole.unknown_defects,
        "unknown_defects_caught": whole.unknown_defects_caught,
        "latency_ms": {"p50": quantile(latencies, 0.5), "p99": quantile(latencies, 0.99)},
        "parts_per_s": round(observer.parts_per_s(), 2),
        "products": {product: _product(observer, truth, product, ids) for product, ids in rows_by_product(observer)},
        "processes": {
            name: {"cpu_s": round(u.cpu_s, 2), "rss_mb": round(u.rss_mb, 1), "restarts": u.restarts} for name, u in usage.items()
        },
    }


def _product(observer: Observer, truth: Callable[[InspectionId], Truth], product: str, ids: list[str]) -> dict[str, Any]:
    of = outcome(observer, truth, ids)
    return {
        "announced": len(ids),
        "verdicts": observer.by_disposition(product),
        "good": of.good,
        "bad": of.bad,
        "escapes": of.escapes,
        "overkill": of.overkill,
        "unknown_defects": of.unknown_defects,
        "unknown_defects_caught": of.unknown_defects_caught,
    }


def _interval(count: int, of: int) -> list[float] | None:
    exact = exact_share(count, of)
    return [round(exact.low, 4), round(exact.high, 4)] if of else None


def rendered(data: Mapping[str, Any], note: str) -> RenderableType:
    """For the terminal. note: what the figures can be taken for."""
    counts = Table(box=None, pad_edge=False)
    for name in ("product", "parts", *DISPOSITIONS, "escapes", "overkill", "unknown"):
        counts.add_column(name.replace("_", " "), justify="left" if name == "product" else "right")
    for name, row in [*data["products"].items(), ("all", data)]:
        verdicts = [str(row["verdicts"][d]) for d in DISPOSITIONS]
        counts.add_row(
            name,
            str(row["announced"]),
            *verdicts,
            f"{row['escapes']}/{row['bad']}",
            f"{row['overkill']}/{row['good']}",
            f"{row['unknown_defects_caught']}/{row['unknown_defects']}",
            style="bold" if name == "all" else "",
        )
    exact = data["announced"] == data["judged"] and not data["missing"] and not data["conflicts"]
    identity = Text.assemble(
        ("exactly one verdict each: " if exact else "NOT one verdict each: ", "bold green" if exact else "bold red"),
        f"announced {data['announced']}, judged {data['judged']}, missing {data['missing']}, "
        f"conflicts {data['conflicts']}, copies {data['copies']}",
    )
    speed = (
        f"{data['parts_per_s']} parts/s; shutter to verdict p50 {_ms(data['latency_ms']['p50'])}, "
        f"p99 {_ms(data['latency_ms']['p99'])}"
    )
    known = f"escape rate {_rate(data['escape_rate_95'])}; overkill rate {_rate(data['overkill_rate_95'])} (95 % intervals)"
    words = "escapes: bad parts passed / all bad; overkill: good parts not passed / all good; unknown: new kinds not passed"
    return Group(Text(), counts, Text(), identity, Text(speed), Text(known), Text(words, style="dim"), Text(note, style="dim"))


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _rate(interval: list[float] | None) -> str:
    return "not known" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"
