"""`verdictline baseline plot`: a score stream as pictures: reference and now, the way of each CUSUM, quantiles over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated

import typer

from schemas.baseline import BaselineV1
from schemas.common import digest
from schemas.drift import DriftEventV1, DriftSummaryV1
from streams.monitors.baseline import Baseline
from streams.monitors.references import fitted
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.kafka import reach
from streams.wiring.charts.axis import Axis, axis
from streams.wiring.charts.page import page
from streams.wiring.charts.svg import COLOURS, Chart
from streams.wiring.commands.baseline_case import SHORT, Case, events_of, the_case
from streams.wiring.commands.clear import INVALID, clear_end, end

Stream = Annotated[str, typer.Argument(help="Start of a station, or of a score stream's digest (`baseline list`).")]
_QUANTILES = ((0.1, "10 %"), (0.5, "median"), (0.9, "90 %"), (0.95, "95 %"))
_BEST = COLOURS  # CUSUMs shown: those that came nearest to an alarm


def plot(
    stream: Stream,
    out: Annotated[Path, typer.Option(help="An .html page, or one .svg: the ways of the CUSUMs.")] = Path("baseline.html"),
    windows: Annotated[int, typer.Option(min=1, help="The latest windows to show.")] = 2000,
) -> None:
    """Draw a score stream: reference and now, the way of each CUSUM with events and change-point, quantiles over time."""
    with clear_end("baseline plot"):
        if out.suffix not in (".html", ".svg"):
            end("baseline plot", f"{out}: give a file that ends in .html or .svg", code=INVALID)
        client = Settings().client()
        reach(client)
        registry = BaselineRegistry(client).start()
        try:
            registry.refresh()
            case = the_case(registry, stream)
        finally:
            registry.close()
        events, found = events_of(client, case.stream)
        if case.baseline is None:
            raise ValueError(f"{case.name} stands on no baseline: there is nothing to draw")
        shown = sorted(found, key=lambda window: window.closed_at)[-windows:]
        if not shown:
            raise ValueError(f"{case.name}: no window yet; the drift monitor closes one every VERDICTLINE_SUMMARY_EVERY_S")
        text = cusums(shown, events).svg() if out.suffix == ".svg" else whole(case, case.baseline, shown, events)
        out.write_text(text, encoding="utf-8")
    typer.echo(f"{out}: {len(shown)} windows, {len(events)} events of {case.name}")


def whole(case: Case, message: BaselineV1, windows: Sequence[DriftSummaryV1], events: Sequence[DriftEventV1]) -> str:
    """The page. windows: in the order of time, at least one."""
    made = fitted(message.sample)
    valid = "" if case.standing.state == "active" else "; the stated false-reject rate is not valid"
    lines = (
        f"{case.standing.state.upper()}{valid}. Baseline {digest(message)[:SHORT]}: {message.origin}, {made.n:,} scores, "
        f"design effect {made.deff:.1f}, a false alarm every {made.arl0:,.0f} parts.",
        f"{windows[0].opened_at:%Y-%m-%d %H:%M:%S} to {windows[-1].closed_at:%Y-%m-%d %H:%M:%S} UTC, "
        f"{sum(window.n for window in windows):,} parts.",
    )
    charts = [cusums(windows, events).svg(), scores(made, windows, events).svg(), quantiles(made, windows, events).svg()]
    heads = ("at (UTC)", "event", "what", "since")
    rows = [(f"{e.at:%Y-%m-%d %H:%M:%S}", e.kind, _what(e), e.change_point or "") for e in events]
    return page(f"Baseline of {case.name}", lines, charts, [heads, *rows] if rows else ())


def cusums(windows: Sequence[DriftSummaryV1], events: Sequence[DriftEventV1]) -> Chart:
    """Each CUSUM as a share of its threshold at the end of each window."""
    names = sorted({name for window in windows for name in window.levels})
    best = sorted(sorted(names, key=lambda name: -max(window.levels.get(name, 0.0) for window in windows))[:_BEST])
    highest = max((level for window in windows for level in window.levels.values()), default=0.0)
    chart = Chart(
        title="How far each statistic is on its way to an alarm",
        about=f"CUSUMs as a share of their thresholds, {len(windows)} windows; the highest reaches {highest:.2f}.",
        x=_time(windows, events),
        y=axis("share of the threshold", [highest], least=[0, 1.05]),
    ).limit(1, "alarm")
    for colour, name in enumerate(best):
        places = [window for window in windows if name in window.levels]
        chart.line([_end(w) for w in places], [w.levels[name] for w in places], name, colour)
    return _marked(chart, windows, events)


def scores(made: Baseline, windows: Sequence[DriftSummaryV1], events: Sequence[DriftEventV1]) -> Chart:
    """Densities: the reference, and what came since the last alarm's change, or in the windows shown."""
    low = min([made.sample[0], *(w.score_low for w in windows if w.score_low is not None)])
    high = max([made.sample[-1], *(w.score_high for w in windows if w.score_high is not None)])
    edges = _closed(made.edges, low, high)
    alarms = [e for e in events if e.counts is not None and e.counts.edges == made.edges and any(e.counts.now)]
    if alarms and (counts := alarms[-1].counts) is not None:
        label, now = f"since the change before {alarms[-1].kind} ({sum(counts.now):,} parts)", counts.now
    else:
        same = [window for window in windows if window.score_edges == made.edges]
        label = f"in these windows ({sum(window.n for window in same):,} parts)"
        now = tuple(map(sum, zip(*(window.score_counts for window in same), strict=True))) if same else (0,) * (len(edges) - 1)
    before, after = _density(edges, made.counts), _density(edges, now)
    return (
        Chart(
            title="Scores: reference and now",
            about=f"Two histograms of anomaly scores: the baseline's {made.n:,} good parts, and production {label}.",
            x=Axis(label="anomaly score", low=edges[0], high=edges[-1]),
            y=axis("share per unit of score", [*before, *after], least=[0]),
        )
        .bars(edges, before, f"reference ({made.n:,} scores)", 0)
        .steps(edges, after, label, 1)
    )


def quantiles(made: Baseline, windows: Sequence[DriftSummaryV1], events: Sequence[DriftEventV1]) -> Chart:
    """By straight lines inside the bins of each window."""
    rows = {name: [_quantile(window, q) for window in windows] for q, name in _QUANTILES}
    chart = Chart(
        title="Quantiles of the scores, window by window",
        about="The 10 %, 50 %, 90 % and 95 % quantiles of the scores of each window.",
        x=_time(windows, events),
        y=axis("anomaly score", [value for values in rows.values() for value in values]),
    )
    for colour, (name, values) in enumerate(rows.items()):
        chart.line([_end(window) for window in windows], values, name, colour)
    return _marked(chart, windows, events)


def _marked(chart: Chart, windows: Sequence[DriftSummaryV1], events: Sequence[DriftEventV1]) -> Chart:
    """With the events inside the picture, and where the last alarm began."""
    begin = windows[0].opened_at
    inside = [event for event in events if event.at >= begin]
    for event in inside:
        chart.mark(event.at.timestamp(), event.kind.replace("_", " "))
    changed = [e.change_point_at for e in inside if e.change_point_at is not None and e.change_point_at >= begin]
    if changed:
        chart.mark(changed[-1].timestamp(), "began here")
    return chart


def _time(windows: Sequence[DriftSummaryV1], events: Sequence[DriftEventV1]) -> Axis:
    begin = windows[0].opened_at.timestamp()
    last = max([_end(windows[-1]), *(event.at.timestamp() for event in events)])
    return Axis(label="time (UTC)", low=begin, high=max(last, begin + 1), kind="time")


def _end(window: DriftSummaryV1) -> float:
    return window.closed_at.timestamp()


def _closed(edges: Sequence[float], low: float, high: float) -> list[float]:
    """With ends for the two open bins: the lowest and highest score, or as far as the neighbouring bin is wide."""
    wide = (edges[-1] - edges[0]) / max(1, len(edges) - 1) or abs(edges[0]) * 0.1 or 1.0
    first = low if low < edges[0] else edges[0] - wide
    last = high if high > edges[-1] else edges[-1] + wide
    return [first, *edges, last]


def _density(edges: Sequence[float], counts: Sequence[int]) -> list[float]:
    total = max(1, sum(counts))
    return [count / total / (right - left) for count, (left, right) in zip(counts, pairwise(edges), strict=True)]


def _quantile(window: DriftSummaryV1, share: float) -> float:
    low = window.score_edges[0] if window.score_low is None else window.score_low
    high = window.score_edges[-1] if window.score_high is None else window.score_high
    edges = [min(max(edge, low), high) for edge in _closed(window.score_edges, low, high)]
    sums = [0, *accumulate(window.score_counts)]
    place = share * sums[-1]
    for (left, right), (before, after) in zip(pairwise(edges), pairwise(sums), strict=True):
        if after >= place and after > before:
            return left + (right - left) * (place - before) / (after - before)
    return high


def _what(event: DriftEventV1) -> str:
    effect, cause = event.effect_sd, event.cause
    parts = (
        effect and effect.low is not None and f"{effect.value:+.2f} sd ({effect.low:+.2f} to {effect.high:+.2f})",
        cause and f"{cause.name.replace('_', '/')}: {'; '.join(cause.by)}",
        event.detail,
    )
    return "; ".join(str(part) for part in parts if part)
