"""Station: one camera's place: verdicts and their reasons, times, its control charts, whether it is proven."""

from __future__ import annotations

from tools.dashboards.board import PRODUCT, STATION, Board, label, link
from tools.dashboards.line import PROOF_STEPS, PROOFS, STATE_STEPS, STATES
from tools.dashboards.panel import GREEN, GREY, ORANGE, RED, STANDING, Panel, Query, any_is_bad, falling, rising

_VERDICTS = f"verdictline_verdicts_total{{{PRODUCT}}}"
_CHART = PRODUCT + ',characteristic=~"$characteristic"'
_TO_DRIFT = link("Drift and baselines", site="$site", line="$line", station="$station", product="$product")
_TO_MODELS = link("Models")
_TO_PIPELINE = link("Pipeline health")


def _charted(metric: str) -> str:
    return f"max by (site, line, station, product, characteristic) ({metric}{{{_CHART}}})"


NOW = (
    Panel(
        kind="stat",
        title="Parts a minute",
        description="First verdicts a minute, all purposes.",
        unit="none",
        decimals=1,
        queries=(Query(expr=f"60 * sum(rate(verdictline_judged_total{{{STATION}}}[$__rate_interval]))"),),
        steps=STANDING,
        width=4,
        height=5,
        to=_TO_PIPELINE,
    ),
    Panel(
        kind="stat",
        title="Pass share",
        description="Passes over first verdicts of production parts in the time range.",
        unit="percentunit",
        decimals=1,
        queries=(
            Query(
                expr=f'sum(increase(verdictline_verdicts_total{{{PRODUCT},disposition="pass"}}[$__range]))'
                f" / sum(increase({_VERDICTS}[$__range]))"
            ),
        ),
        steps=falling(0.5, 0.7),
        low=0,
        high=1,
        width=4,
        height=5,
        to=_TO_DRIFT,
    ),
    Panel(
        kind="stat",
        title="Last verdict",
        description="How long ago the last part was judged, any purpose.",
        unit="s",
        decimals=0,
        queries=(Query(expr=f"time() - max(verdictline_last_verdict_timestamp_seconds{{{STATION}}})"),),
        steps=rising(60, 600),
        width=4,
        height=5,
        to=_TO_PIPELINE,
    ),
    Panel(
        kind="stat",
        title="Announced and not judged",
        description="Announced less judged in the time range: parts under way, none for longer than its deadline.",
        unit="none",
        decimals=0,
        queries=(
            Query(
                expr=f"sum(increase(verdictline_announced_total{{{STATION}}}[$__range]))"
                f" - sum(increase(verdictline_judged_total{{{STATION}}}[$__range]))"
            ),
        ),
        steps=rising(5, 20),
        width=4,
        height=5,
        to=_TO_PIPELINE,
    ),
    Panel(
        kind="stat",
        title="Proof",
        description="Whether the last sets of challenge parts passed: the worst of the selected products and kinds of proof.",
        unit="none",
        queries=(Query(expr=f"min(verdictline_challenge_proven{{{PRODUCT}}}) or on () vector(-1)"),),
        steps=PROOF_STEPS,
        words=PROOFS,
        width=4,
        height=5,
        to=_TO_DRIFT,
    ),
    Panel(
        kind="stat",
        title="Since the last proof",
        description="The longest of any product and kind: parts since then are proven by nothing. Never: one never passed.",
        unit="s",
        decimals=0,
        queries=(
            Query(
                expr=f"time() - min(verdictline_challenge_passed_timestamp_seconds{{{PRODUCT}}})"
                f" unless on () (verdictline_challenge_proven{{{PRODUCT}}} unless on (station, product, proof)"
                f" verdictline_challenge_passed_timestamp_seconds{{{PRODUCT}}}) or on () vector(-1)"
            ),
        ),
        steps=rising(8 * 3600, 24 * 3600),
        words=((-1, "never", ORANGE),),
        width=4,
        height=5,
        to=_TO_DRIFT,
    ),
)
VERDICTS = (
    Panel(
        kind="stacked",
        title="Verdicts a minute by disposition",
        description="First verdicts of production parts.",
        unit="none",
        queries=(Query(expr=f"60 * sum by (disposition) (rate({_VERDICTS}[$__rate_interval]))", legend="{{disposition}}"),),
        steps=STANDING,
        low=0,
        to=_TO_DRIFT,
    ),
    Panel(
        kind="lines",
        title="No verdict a minute by reason",
        description="missing_evidence: nobody answered by the deadline; stage_failed: it could not.",
        unit="none",
        queries=(
            Query(
                expr=f"60 * sum by (reason) (rate(verdictline_no_verdict_total{{{STATION}}}[$__rate_interval]))",
                legend="{{reason}}",
            ),
        ),
        steps=any_is_bad(),
        low=0,
        to=_TO_PIPELINE,
    ),
    Panel(
        kind="lines",
        title="Verdicts replaced a minute",
        description="Later revisions: late evidence, and what people decided.",
        unit="none",
        queries=(
            Query(
                expr=f"60 * sum by (disposition) (rate(verdictline_revised_total{{{STATION}}}[$__rate_interval]))"
                " or on () vector(0)",
                legend="{{disposition}}",
            ),
        ),
        steps=any_is_bad(ORANGE),
        low=0,
        to=_TO_PIPELINE,
    ),
)
TIME = (
    Panel(
        kind="lines",
        title="Shutter to verdict",
        description="From the announcement's append time to that of the deciding evidence: median, 95th and 99th percentile.",
        unit="s",
        queries=tuple(
            Query(
                expr=f"histogram_quantile({share}, sum by (le)"
                f" (rate(verdictline_verdict_seconds_bucket{{{STATION}}}[$__rate_interval])))",
                legend=legend,
            )
            for share, legend in ((0.5, "median"), (0.95, "95 %"), (0.99, "99 %"))
        ),
        steps=rising(1, 2),
        low=0,
        width=12,
        to=_TO_PIPELINE,
    ),
    Panel(
        kind="bars",
        title="Judged within",
        description="Share of first verdicts in the time range that came in time for a gate of 0.2, 0.5, 1, 2 and 5 s.",
        unit="percentunit",
        decimals=1,
        queries=tuple(
            Query(
                expr="sum(increase(verdictline_verdict_seconds_bucket{"
                + STATION
                + f',le="{bound}"}}[$__range])) / sum(increase(verdictline_verdict_seconds_count{{{STATION}}}[$__range]))',
                legend=f"{float(bound):g} s",
            )
            for bound in ("0.2", "0.5", "1.0", "2.0", "5.0")
        ),
        steps=falling(0.95, 0.99),
        low=0,
        high=1,
        width=12,
        to=_TO_PIPELINE,
    ),
)
SPC = (
    Panel(
        kind="lines",
        title="Nonconforming share of the newest subgroup",
        description="With the limits it was held against: choose one characteristic. Beyond them the process changed.",
        unit="percentunit",
        queries=(
            Query(expr=_charted("verdictline_spc_nonconforming_ratio"), legend="{{product}} {{characteristic}}"),
            Query(expr=_charted("verdictline_spc_upper_limit"), legend="upper limit"),
            Query(expr=_charted("verdictline_spc_center"), legend="centre"),
            Query(expr=_charted("verdictline_spc_lower_limit"), legend="lower limit"),
        ),
        steps=((None, GREEN),),  # the limits are series of their own
        dashed=("upper limit", "lower limit"),
        low=0,
        width=16,
        height=9,
        to=_TO_DRIFT,
    ),
    Panel(
        kind="states",
        title="In control",
        description="Whether the newest subgroup breaks a rule of its chart. Limits need trial subgroups, 25 by default.",
        unit="none",
        queries=(
            Query(
                expr=_charted("verdictline_spc_out_of_control")
                + f" or (0 * {_charted('verdictline_spc_nonconforming_ratio')} - 1)",
                legend="{{product}} {{characteristic}}",
            ),
        ),
        steps=((None, GREY), (0, GREEN), (1, RED)),
        words=((-1, "no limits yet", GREY), (0, "in control", GREEN), (1, "SIGNAL", RED)),
        width=8,
        height=9,
        to=_TO_DRIFT,
    ),
    Panel(
        kind="lines",
        title="Signals an hour by rule",
        description="Signals of control charts. Each rule has a stated rate of false ones.",
        unit="none",
        queries=(
            Query(
                expr=f"3600 * sum by (rule) (rate(verdictline_spc_signals_total{{{STATION}}}[$__rate_interval]))"
                " or on () vector(0)",
                legend="{{rule}}",
            ),
        ),
        steps=any_is_bad(ORANGE),
        low=0,
        width=12,
        to=_TO_DRIFT,
    ),
    Panel(
        kind="lines",
        title="Subgroups an hour",
        description="Subgroups published, corrections and late ones included. None: nothing is being charted.",
        unit="none",
        queries=(
            Query(
                expr="3600 * sum by (site, line, station)"
                f" (rate(verdictline_spc_subgroups_total{{{STATION}}}[$__rate_interval]))",
                legend="{{station}}",
            ),
        ),
        steps=STANDING,
        low=0,
        width=12,
        to=_TO_PIPELINE,
    ),
)
TRUST = (
    Panel(
        kind="states",
        title="Baselines by product and view",
        description="Whether the idea of normal still holds. Active: the stated false-reject rate holds.",
        unit="none",
        queries=(
            Query(
                expr=f"max by (site, line, station, product, view) (verdictline_baseline_state{{{PRODUCT}}})",
                legend="{{product}} {{view}}",
            ),
        ),
        steps=STATE_STEPS,
        words=STATES,
        width=12,
        to=link("Drift and baselines", station=label("station"), product=label("product")),
    ),
    Panel(
        kind="states",
        title="Proof by product and kind",
        description="Digital: known images through the gateway. Physical: masters on the line. Of several stations the worst.",
        unit="none",
        queries=(
            Query(
                expr=f"min by (product, proof) (verdictline_challenge_proven{{{PRODUCT}}}) or on () vector(-1)",
                legend="{{product}} {{proof}}",
            ),
        ),
        steps=PROOF_STEPS,
        words=PROOFS,
        width=12,
        to=_TO_MODELS,
    ),
)
BOARD = Board(
    title="Station",
    description="One station: what it says of parts, how fast, whether its process is in control and it is proven.",
    variables=("site", "line", "station", "product", "characteristic"),
    rows={"Now": NOW, "Verdicts": VERDICTS, "Time": TIME, "Control charts": SPC, "Trust": TRUST},
)
