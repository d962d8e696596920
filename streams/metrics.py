"""Every metric, once. Labels are closed sets: processors, stages, dispositions, reasons from code; stations from the plant.

Knows no message. No label ever holds an id.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_HANDLE_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_VERDICT_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # a line holds a part for 0.2 to 2 s

HANDLED = Counter("verdictline_handled_total", "Records handled, by outcome: done, dead, ignored", ["processor", "outcome"])
DEAD_LETTERS = Counter("verdictline_dead_letters_total", "Dead letters written, by reason", ["processor", "reason"])
RETRIES = Counter("verdictline_retries_total", "Handler calls tried again, by cause: unavailable, bug", ["processor", "cause"])
GAPS = Counter("verdictline_input_gap_records_total", "Input that retention removed before it was read", ["processor", "topic"])
HANDLE_SECONDS = Histogram("verdictline_handle_seconds", "Fetched to results acknowledged", ["processor"], buckets=_HANDLE_S)
IN_FLIGHT = Gauge("verdictline_in_flight_records", "Records fetched and not finished", ["processor"])
ASSIGNED = Gauge("verdictline_assigned_partitions", "Partitions that this process owns", ["processor"])
PROGRESS = Gauge("verdictline_progress_timestamp_seconds", "When the loop last turned, seconds since 1970", ["processor"])
BATCH_RECORDS = Histogram(
    "verdictline_transaction_records", "Records in one transaction", ["processor"], buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
STATES = Gauge("verdictline_states", "Keyed states in memory", ["processor"])

MODEL_SECONDS = Histogram("verdictline_model_seconds", "One call of Triton", ["stage"], buckets=_HANDLE_S)

VERDICTS = Counter("verdictline_verdicts_total", "Verdicts given", ["station", "disposition"])
VERDICT_SECONDS = Histogram(
    "verdictline_verdict_seconds", "Announcement to deciding evidence, both append times", ["station"], buckets=_VERDICT_S
)
COPIES = Counter("verdictline_copies_total", "Evidence that was seen before, by stage", ["stage"])
CONFLICTS = Counter("verdictline_conflicts_total", "The same id with other content: must stay 0", ["stage"])

CAPTURED = Counter("verdictline_captured_total", "Inspections acknowledged by the gateway", ["station"])
REFUSED = Counter("verdictline_refused_total", "Images refused by the gateway, by reason", ["station", "reason"])
OUTBOX_INSPECTIONS = Gauge("verdictline_outbox_inspections", "Inspections not yet acknowledged by Kafka", ["station"])
OUTBOX_BYTES = Gauge("verdictline_outbox_bytes", "Bytes in the outbox", ["station"])
PROVEN = Gauge("verdictline_challenge_proven", "1: the station's last challenge set passed", ["station", "product", "proof"])
MISSED = Counter("verdictline_challenge_missed_total", "Challenge sets that did not pass", ["station", "proof"])
SCORES = Counter("verdictline_drift_scores_total", "Parts that the drift monitor took, each once", ["station"])
DRIFT_UNJUDGED = Counter("verdictline_drift_unjudged_total", "Scores not judged: copy, late", ["fate"])
DRIFT_HOLES = Counter("verdictline_drift_holes_total", "Gaps in a score stream's numbers that nothing filled in time")
DRIFT_EVENTS = Counter("verdictline_drift_events_total", "Events of score streams, by kind", ["kind"])
DRIFT_WAITING = Gauge("verdictline_drift_waiting_scores", "Scores that wait behind a gap of their stream's numbers")
DRIFT_STREAMS = Gauge("verdictline_drift_streams", "Score streams by the state of their baseline", ["state"])

_CHARACTERISTIC = ["station", "product", "characteristic"]
SPC_SUBGROUPS = Counter("verdictline_spc_subgroups_total", "Subgroups published, each revision", ["station"])
SPC_SIGNALS = Counter("verdictline_spc_signals_total", "Signals of control charts, by rule", ["station", "rule"])
SPC_OUT_OF_CONTROL = Gauge("verdictline_spc_out_of_control", "1 while the newest subgroup signals, else 0", _CHARACTERISTIC)
SPC_RATIO = Gauge("verdictline_spc_nonconforming_ratio", "Nonconforming share of the newest subgroup, 0 to 1", _CHARACTERISTIC)
SPC_CENTER = Gauge("verdictline_spc_center", "Centre line of the chart, in the characteristic's unit", _CHARACTERISTIC)
SPC_UPPER = Gauge("verdictline_spc_upper_limit", "Upper control limit that the newest subgroup was held against", _CHARACTERISTIC)
SPC_LOWER = Gauge("verdictline_spc_lower_limit", "Lower control limit that the newest subgroup was held against", _CHARACTERISTIC)

SINK_ROWS = Counter("verdictline_sink_rows_total", "Rows upserted, by table", ["table"])
SINK_COMMIT_SECONDS = Histogram("verdictline_sink_commit_seconds", "One transaction of the database", buckets=_HANDLE_S)
SINK_RETRIES = Counter("verdictline_sink_retries_total", "Transactions tried again because the database was away")
