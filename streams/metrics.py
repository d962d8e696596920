"""Every metric, once; `docs/metrics.md` is made from this file. Units are in the names.

Labels are closed sets: processors, stages, dispositions, reasons from code; stations, products, views and characteristics
from the plant. No label ever holds an id, a partition or a version. Site and line follow from the station (`site/line/station`):
Prometheus cuts them out when it scrapes (`deploy/prometheus/prometheus.yml`). Knows no message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

Row = tuple[tuple[str, ...], float]  # values of the labels, value

disable_created_metrics()  # type: ignore[no-untyped-call] # one series more for every counter and histogram, and nobody asks for it
_HANDLE_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
# A line holds a part for 0.2 to 2 s before its gate closes; `decide_within` is 5 s by default and 10 s in the demonstration.
_VERDICT_S = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10)


class Snapshot:
    """A gauge whose series are asked for at every scrape: what a process does not own any more is not shown any more.

    `follow` names who knows; until then there are none. It is called on the thread of the scrape.
    """

    def __init__(self, name: str, documentation: str, labelnames: Sequence[str]) -> None:
        self.name, self.documentation, self.labelnames = name, documentation, tuple(labelnames)
        self._ask: Callable[[], Iterable[Row]] = tuple
        REGISTRY.register(self)

    def follow(self, ask: Callable[[], Iterable[Row]]) -> None:
        self._ask = ask

    def describe(self) -> list[Metric]:
        return [GaugeMetricFamily(self.name, self.documentation, labels=self.labelnames)]

    def collect(self) -> list[Metric]:
        family = GaugeMetricFamily(self.name, self.documentation, labels=self.labelnames)
        for labels, value in self._ask():
            family.add_metric(labels, value)
        return [family]


# --- every processor
HANDLED = Counter("verdictline_handled_total", "Records handled, by outcome: done, dead, ignored", ["processor", "outcome"])
DEAD_LETTERS = Counter("verdictline_dead_letters_total", "Dead letters written, by reason", ["processor", "reason"])
RETRIES = Counter("verdictline_retries_total", "Handler calls tried again, by cause: unavailable, bug", ["processor", "cause"])
GAPS = Counter("verdictline_input_gap_records_total", "Input that retention removed before it was read", ["processor", "topic"])
HANDLE_SECONDS = Histogram("verdictline_handle_seconds", "Fetched to results acknowledged", ["processor"], buckets=_HANDLE_S)
IN_FLIGHT = Gauge("verdictline_in_flight_records", "Records fetched and not finished", ["processor"])
ASSIGNED = Gauge("verdictline_assigned_partitions", "Partitions that this process owns", ["processor"])
PROGRESS = Gauge("verdictline_progress_timestamp_seconds", "When the loop last turned, seconds since 1970", ["processor"])
LAG = Gauge(
    "verdictline_consumer_lag_records",
    "Records behind this process's position, of all its partitions of a topic; at rest at most one each behind a transaction",
    ["processor", "topic"],
)
KAFKA_REACHABLE = Gauge("verdictline_kafka_reachable", "1: the broker answered this process when last asked", ["processor"])
BATCH_RECORDS = Histogram(
    "verdictline_transaction_records", "Records in one transaction", ["processor"], buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
STATES = Gauge("verdictline_states", "Keyed states in memory", ["processor"])

# --- models
MODEL_SECONDS = Histogram("verdictline_model_seconds", "One call of Triton", ["stage"], buckets=_HANDLE_S)

# --- triage: from announced to judged
ANNOUNCED = Counter("verdictline_announced_total", "Inspections announced, whatever their purpose", ["station"])
JUDGED = Counter("verdictline_judged_total", "Inspections that got their first verdict, whatever their purpose", ["station"])
OPEN = Gauge("verdictline_open_inspections", "Announced and not judged, or evidence that waits for its announcement")
VERDICTS = Counter("verdictline_verdicts_total", "First verdicts of production parts", ["station", "product", "disposition"])
NO_VERDICTS = Counter(
    "verdictline_no_verdict_total", "First verdicts that are none, whatever the purpose, by reason", ["station", "reason"]
)
REVISED = Counter("verdictline_revised_total", "Verdicts that replaced an earlier one", ["station", "disposition"])
VERDICT_SECONDS = Histogram(
    "verdictline_verdict_seconds", "Announcement to deciding evidence, both append times", ["station"], buckets=_VERDICT_S
)
LAST_VERDICT = Gauge(
    "verdictline_last_verdict_timestamp_seconds", "Append time of what decided last, seconds since 1970", ["station"]
)
COPIES = Counter("verdictline_copies_total", "Evidence that was seen before, by stage", ["stage"])
CONFLICTS = Counter("verdictline_conflicts_total", "The same id with other content: must stay 0", ["stage"])

# --- gateway
CAPTURED = Counter("verdictline_captured_total", "Inspections that are on the gateway's disk, so promised", ["station"])
REFUSED = Counter("verdictline_refused_total", "Images refused by the gateway, by reason", ["station", "reason"])
OUTBOX_INSPECTIONS = Gauge("verdictline_outbox_inspections", "Inspections not yet acknowledged by Kafka", ["station"])
OUTBOX_BYTES = Gauge("verdictline_outbox_bytes", "Bytes in the outbox", ["station"])
OUTBOX_FILL = Gauge("verdictline_outbox_fill_ratio", "Bytes in the outbox over its limit, 0 to 1", ["station"])

# --- challenge
_PROOF = ["station", "product", "proof"]
PROVEN = Snapshot("verdictline_challenge_proven", "1: the station's last challenge set passed", _PROOF)
PASSED_AT = Snapshot(
    "verdictline_challenge_passed_timestamp_seconds", "When a challenge set last passed, seconds since 1970", _PROOF
)
MISSED = Counter("verdictline_challenge_missed_total", "Challenge sets that did not pass", ["station", "proof"])

# --- drift
_STREAM = ["station", "product", "view"]
BASELINE_STATES = ("provisional", "active", "suspect", "stale", "retired")
BASELINE_STATE = Snapshot(
    "verdictline_baseline_state",
    "Of the score stream seen last: " + ", ".join(f"{number} {name}" for number, name in enumerate(BASELINE_STATES)),
    _STREAM,
)
CERTIFICATE_ENDS = Snapshot(
    "verdictline_baseline_certificate_end_timestamp_seconds",
    "When the certificate of the baseline in use ends, seconds since 1970; none where it has no days",
    _STREAM,
)
SCORES = Counter("verdictline_drift_scores_total", "Parts that the drift monitor took, each once", ["station"])
DRIFT_UNJUDGED = Counter("verdictline_drift_unjudged_total", "Scores not judged: copy, late", ["fate"])
DRIFT_HOLES = Counter("verdictline_drift_holes_total", "Gaps in a score stream's numbers that nothing filled in time")
DRIFT_EVENTS = Counter("verdictline_drift_events_total", "Events of score streams, by kind", ["kind"])
DRIFT_WAITING = Gauge("verdictline_drift_waiting_scores", "Scores that wait behind a gap of their stream's numbers")
DRIFT_STREAMS = Gauge("verdictline_drift_streams", "Score streams by the state of their baseline", ["state"])

# --- SPC
_CHARACTERISTIC = ["station", "product", "characteristic"]
SPC_SUBGROUPS = Counter("verdictline_spc_subgroups_total", "Subgroups published, each revision", ["station"])
SPC_SIGNALS = Counter("verdictline_spc_signals_total", "Signals of control charts, by rule", ["station", "rule"])
SPC_UNPLACED = Counter("verdictline_spc_unplaced_total", "Verdicts and acts that changed no subgroup: too late", ["station"])
SPC_OUT_OF_CONTROL = Snapshot("verdictline_spc_out_of_control", "1 while the newest subgroup signals, else 0", _CHARACTERISTIC)
SPC_RATIO = Snapshot("verdictline_spc_nonconforming_ratio", "Nonconforming share of the newest subgroup, 0 to 1", _CHARACTERISTIC)
SPC_CENTER = Snapshot("verdictline_spc_center", "Centre line of the chart, in the characteristic's unit", _CHARACTERISTIC)
SPC_UPPER = Snapshot(
    "verdictline_spc_upper_limit", "Upper control limit that the newest subgroup was held against", _CHARACTERISTIC
)
SPC_LOWER = Snapshot(
    "verdictline_spc_lower_limit", "Lower control limit that the newest subgroup was held against", _CHARACTERISTIC
)

# --- database sink
SINK_ROWS = Counter("verdictline_sink_rows_total", "Rows upserted, by table", ["table"])
SINK_COMMIT_SECONDS = Histogram("verdictline_sink_commit_seconds", "One transaction of the database", buckets=_HANDLE_S)
SINK_RETRIES = Counter("verdictline_sink_retries_total", "Transactions tried again because the database was away")

# --- console
CONSOLE_EMBEDDINGS_READ = Counter(
    "verdictline_console_embeddings_read_total", "Embeddings read, by fate: kept, dropped, passed_over", ["fate"]
)
CONSOLE_EMBEDDINGS = Gauge(
    "verdictline_console_embeddings", "Views whose embedding is kept, by state: open, unknown, labelled", ["state"]
)

# --- console
ESCAPE_BOUND = Snapshot(
    "verdictline_escape_bound_ratio",
    "At most this share of the passes so far was bad, 0 to 1: 95 %, valid at any moment; 1 while nothing can be claimed",
    ["product"],
)
ESCAPE_AUDITS = Snapshot(
    "verdictline_escape_audits",
    "Passes drawn for blind audit: answered; bad, of those; waiting; lapsed: removed before anybody answered",
    ["product", "state"],
)
