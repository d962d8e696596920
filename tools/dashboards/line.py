"""Line: its stations side by side: how fast, how good, how long, and which of them is not trusted."""

from __future__ import annotations

from tools.dashboards.board import LINE, Board, label, link
from tools.dashboards.panel import BLUE, GREEN, GREY, ORANGE, RED, STANDING, Panel, Query, any_is_bad, falling, rising

_VERDICTS = f"verdictline_verdicts_total{{{LINE}}}"
_TO = link("Station", site=label("site"), line=label("line"), station=label("station"))
STATES = (
    (0, "provisional", BLUE),
    (1, "active", GREEN),
    (2, "SUSPECT", ORANGE),
    (3, "STALE", RED),
    (4, "retired", GREY),
)
STATE_STEPS = ((None, BLUE), (1, GREEN), (2, ORANGE), (3, RED), (4, GREY))
PROOFS = ((-1, "no challenge parts", GREY), (0, "NOT PROVEN", RED), (1, "proven", GREEN))
PROOF_STEPS = ((None, GREY), (0, RED), (1, GREEN))

FLOW = (
    Panel(
        kind="lines",
        title="Parts a minute by station",
        description="First verdicts a minute, all purposes.",
        unit="none",
        queries=(
            Query(
                expr=f"60 * sum by (site, line, station) (rate(verdictline_judged_total{{{LINE}}}[$__rate_interval]))",
                legend="{{station}}",
            ),
        ),
        steps=STANDING,
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Pass share by station",
        description="Passes over first verdicts of production parts, five minutes.",
        unit="percentunit",
        queries=(
            Query(
                expr=f'sum by (site, line, station) (station:verdictline_verdicts:rate5m{{{LINE},disposition="pass"}})'
                f" / sum by (site, line, station) (station:verdictline_verdicts:rate5m{{{LINE}}})",
                legend="{{station}}",
            ),
        ),
        steps=falling(0.5, 0.7),
        low=0,
        high=1,
        to=_TO,
    ),
    Panel(
        kind="stacked",
        title="Verdicts a minute by disposition",
        description="First verdicts of production parts of the stations that are selected.",
        unit="none",
        queries=(Query(expr=f"60 * sum by (disposition) (rate({_VERDICTS}[$__rate_interval]))", legend="{{disposition}}"),),
        steps=STANDING,
        low=0,
        to=link("Station", site="$site", line="$line"),
    ),
)
TIME = (
    Panel(
        kind="lines",
        title="Shutter to verdict, median, by station",
        description="From the announcement's append time to that of the deciding evidence.",
        unit="s",
        queries=(
            Query(
                expr="histogram_quantile(0.5, sum by (site, line, station, le)"
                f" (rate(verdictline_verdict_seconds_bucket{{{LINE}}}[$__rate_interval])))",
                legend="{{station}}",
            ),
        ),
        steps=rising(0.5, 2),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Shutter to verdict, 99th percentile, by station",
        description="A line holds a part for 0.2 to 2 s; decide_within is 5 s by default, 10 s in the demonstration.",
        unit="s",
        queries=(
            Query(
                expr="histogram_quantile(0.99, sum by (site, line, station, le)"
                f" (rate(verdictline_verdict_seconds_bucket{{{LINE}}}[$__rate_interval])))",
                legend="{{station}}",
            ),
        ),
        steps=rising(1, 2),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="bars",
        title="Judged within two seconds",
        description="Share of first verdicts that came within 2 s of the announcement, in the time range.",
        unit="percentunit",
        decimals=1,
        queries=(
            Query(
                expr="sum by (site, line, station) (increase(verdictline_verdict_seconds_bucket{"
                + LINE
                + ',le="2.0"}[$__range])) / sum by (site, line, station) (increase(verdictline_verdict_seconds_count{'
                + LINE
                + "}[$__range]))",
                legend="{{station}}",
            ),
        ),
        steps=falling(0.95, 0.99),
        low=0,
        high=1,
        to=_TO,
    ),
)
TRUST = (
    Panel(
        kind="states",
        title="Baselines",
        description="Of a station's baselines: stale (two alarms of the drift monitor) before suspect (one) before active.",
        unit="none",
        queries=(Query(expr=f"max by (site, line, station) (verdictline_baseline_state{{{LINE}}} < 4)", legend="{{station}}"),),
        steps=STATE_STEPS,
        words=STATES,
        to=link("Drift and baselines", site=label("site"), line=label("line"), station=label("station")),
    ),
    Panel(
        kind="states",
        title="Challenge",
        description="Whether a station's last sets of challenge parts passed: the worst of its products and kinds of proof.",
        unit="none",
        queries=(
            Query(
                expr=f"min by (site, line, station) (verdictline_challenge_proven{{{LINE}}})"
                f" or on (station) (0 * sum by (site, line, station) (verdictline_judged_total{{{LINE}}}) - 1)",
                legend="{{station}}",
            ),
        ),
        steps=PROOF_STEPS,
        words=PROOFS,
        to=_TO,
    ),
    Panel(
        kind="bars",
        title="No verdict in time",
        description="Parts in the time range that were answered no_verdict, by station.",
        unit="none",
        decimals=0,
        queries=(
            Query(
                expr=f"sum by (site, line, station) (increase(station:verdictline_no_verdict:sum{{{LINE}}}[$__range]))",
                legend="{{station}}",
            ),
        ),
        steps=any_is_bad(),
        low=0,
        to=_TO,
    ),
)
GATEWAYS = (
    Panel(
        kind="bars",
        title="Outboxes",
        description="How full each station's outbox is. It fills while Kafka is away; when it is full, captures are refused.",
        unit="percentunit",
        decimals=1,
        queries=(Query(expr=f"max by (site, line, station) (verdictline_outbox_fill_ratio{{{LINE}}})", legend="{{station}}"),),
        steps=rising(0.5, 0.9),
        low=0,
        high=1,
        to=link("Pipeline health"),
    ),
    Panel(
        kind="lines",
        title="Captures refused a minute",
        description="Images that the gateway did not admit: broken, too large, or no policy in force.",
        unit="none",
        queries=(
            Query(
                expr=f"60 * sum by (site, line, station, reason) (rate(verdictline_refused_total{{{LINE}}}[$__rate_interval]))"
                " or on () vector(0)",
                legend="{{station}} {{reason}}",
            ),
        ),
        steps=any_is_bad(ORANGE),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="bars",
        title="Characteristics out of control",
        description="Characteristics whose newest subgroup breaks a rule of its control chart, by station.",
        unit="none",
        queries=(
            Query(
                expr=f"sum by (site, line, station) (verdictline_spc_out_of_control{{{LINE}}})"
                f" or on (station) (0 * sum by (site, line, station) (verdictline_judged_total{{{LINE}}}))",
                legend="{{station}}",
            ),
        ),
        steps=any_is_bad(ORANGE),
        low=0,
        to=_TO,
    ),
)
BOARD = Board(
    title="Line",
    description="The stations of a line side by side.",
    variables=("site", "line"),
    rows={"Flow": FLOW, "Time": TIME, "Trust": TRUST, "Gateways and SPC": GATEWAYS},
)
