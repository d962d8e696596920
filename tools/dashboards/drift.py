"""Drift and baselines: whether the models' idea of normal still holds, until when it is signed, and what the monitor hears."""

from __future__ import annotations

from tools.dashboards.board import PRODUCT, STATION, Board, label, link
from tools.dashboards.line import PROOF_STEPS, PROOFS, STATE_STEPS, STATES
from tools.dashboards.panel import BLUE, GREEN, GREY, ORANGE, RED, STANDING, Panel, Query, any_is_bad, falling, rising

_TO_STATION = link("Station", station=label("station"), product=label("product"))
_DAY_S, _NO_END = 86400, 100_000  # no end: so many days
_STREAM = "{{station}} {{product}} {{view}}"


def _in(state: str, colour: str) -> Panel:
    return Panel(
        kind="stat",
        title=f"Streams {state}",
        description=f"Score streams whose baseline is {state}, all that the drift monitor owns.",
        unit="none",
        queries=(Query(expr=f'sum(verdictline_drift_streams{{state="{state}"}})'),),
        steps=((None, GREEN if state != "active" else ORANGE), (1, colour)),
        width=4,
        height=5,
        to=link("Pipeline health"),
    )


COUNTS = (
    _in("provisional", BLUE),
    _in("active", GREEN),
    _in("suspect", ORANGE),
    _in("stale", RED),
    _in("retired", GREY),
    Panel(
        kind="stat",
        title="Scores waiting",
        description="Scores that wait behind a gap in their stream's numbers; they are judged when it is filled or given up.",
        unit="none",
        queries=(Query(expr="sum(verdictline_drift_waiting_scores)"),),
        steps=rising(50, 500),
        width=4,
        height=5,
        to=link("Pipeline health"),
    ),
)
STREAMS = (
    Panel(
        kind="states",
        title="Baselines by station, product and view",
        description="Suspect: one alarm, recovers by itself or not. Stale: only a person ends it, with `baseline refresh`.",
        unit="none",
        queries=(
            Query(
                expr=f"max by (site, line, station, product, view) (verdictline_baseline_state{{{PRODUCT}}})",
                legend=_STREAM,
            ),
        ),
        steps=STATE_STEPS,
        words=STATES,
        width=16,
        height=9,
        to=_TO_STATION,
    ),
    Panel(
        kind="bars",
        title="Certificates: days left",
        description="Until when a signed baseline is trusted. Without an end: never signed, or signed without a number of days.",
        unit="d",
        decimals=1,
        queries=(
            Query(
                expr="(min by (site, line, station, product, view)"
                f" (verdictline_baseline_certificate_end_timestamp_seconds{{{PRODUCT}}}) - time()) / {_DAY_S}"
                f" or on (station, product, view) (0 * max by (site, line, station, product, view)"
                f" (verdictline_baseline_state{{{PRODUCT}}}) + {_NO_END})",
                legend=_STREAM,
            ),
        ),
        steps=((None, RED), (7, ORANGE), (30, GREEN), (_NO_END, GREY)),
        words=((_NO_END, "no end", GREY),),
        low=0,
        high=90,
        width=8,
        height=9,
        to=_TO_STATION,
    ),
)
EVENTS = (
    Panel(
        kind="lines",
        title="Events an hour by kind",
        description="What the drift monitor said: a moved baseline, another defect rate, a stuck camera, a recovery.",
        unit="none",
        queries=(
            Query(
                expr="3600 * sum by (kind) (rate(verdictline_drift_events_total[$__rate_interval])) or on () vector(0)",
                legend="{{kind}}",
            ),
        ),
        steps=any_is_bad(ORANGE),
        low=0,
        to=link("Station", site="$site", line="$line", station="$station", product="$product"),
    ),
    Panel(
        kind="lines",
        title="Scores a minute by station",
        description="Parts that the monitor took, each once. Less than were made: it is behind, or not all is production.",
        unit="none",
        queries=(
            Query(
                expr=f"60 * sum by (site, line, station) (rate(verdictline_drift_scores_total{{{STATION}}}[$__rate_interval]))",
                legend="{{station}}",
            ),
        ),
        steps=STANDING,
        low=0,
        to=link("Station", station=label("station")),
    ),
    Panel(
        kind="lines",
        title="Scores not judged a minute",
        description="Copies (seen before) and late ones; and gaps in the numbers that nothing filled in time.",
        unit="none",
        queries=(
            Query(
                expr="60 * sum by (fate) (rate(verdictline_drift_unjudged_total[$__rate_interval])) or on () vector(0)",
                legend="{{fate}}",
            ),
            Query(expr="60 * sum(rate(verdictline_drift_holes_total[$__rate_interval]))", legend="holes"),
        ),
        steps=any_is_bad(ORANGE),
        low=0,
        to=link("Pipeline health"),
    ),
)
CHALLENGE = (
    Panel(
        kind="states",
        title="Proof by station, product and kind",
        description="Whether the last set of challenge parts passed: would this station still find a defect?",
        unit="none",
        queries=(
            Query(
                expr=f"max by (site, line, station, product, proof) (verdictline_challenge_proven{{{PRODUCT}}})"
                " or on () vector(-1)",
                legend="{{station}} {{product}} {{proof}}",
            ),
        ),
        steps=PROOF_STEPS,
        words=PROOFS,
        width=16,
        to=_TO_STATION,
    ),
    Panel(
        kind="stat",
        title="Challenge sets missed",
        description="Sets in the time range that did not pass, or were not answered in time.",
        unit="none",
        decimals=0,
        queries=(Query(expr=f"sum(increase(verdictline_challenge_missed_total{{{STATION}}}[$__range])) or on () vector(0)"),),
        steps=any_is_bad(),
        width=4,
        to=link("Station", site="$site", line="$line", station="$station", product="$product"),
    ),
    Panel(
        kind="stat",
        title="Pairs proven",
        description="Share of (station, product, kind of proof) whose last set passed. 100 % where no challenge parts exist.",
        unit="percentunit",
        queries=(Query(expr=f"avg(verdictline_challenge_proven{{{PRODUCT}}}) or on () vector(1)"),),
        steps=falling(0.9, 1),
        width=4,
        to=link("Station", site="$site", line="$line", station="$station", product="$product"),
    ),
)
BOARD = Board(
    title="Drift and baselines",
    description="Is normal still normal, until when is it signed, and is every station proven?",
    variables=("site", "line", "station", "product"),
    rows={"Streams": COUNTS, "Baselines": STREAMS, "What the monitor says": EVENTS, "Challenge": CHALLENGE},
)
