"""Pipeline health: processes, Kafka, Triton, gateways, database: is anything down, behind, or throwing things away?"""

from __future__ import annotations

from tools.dashboards.board import Board, label, link
from tools.dashboards.panel import GREEN, ORANGE, RED, STANDING, Panel, Query, any_is_bad, rising

_TO = link("Models")
_TO_STATION = link("Station", station=label("station"))
_TO_PLANT = link("Plant")
_UP = ((0, "DOWN", RED), (1, "up", GREEN))
_UP_STEPS = ((None, RED), (1, GREEN))

PROCESSES = (
    Panel(
        kind="states",
        title="Processes",
        description="Whether each process's /metrics answers.",
        unit="none",
        queries=(Query(expr='min by (process, instance) (up{job="verdictline"})', legend="{{process}} {{instance}}"),),
        steps=_UP_STEPS,
        words=_UP,
        height=8,
        to=_TO_PLANT,
    ),
    Panel(
        kind="states",
        title="Kafka and Triton",
        description="Whether each process reaches Kafka, and Triton answers Prometheus.",
        unit="none",
        queries=(
            Query(expr="min by (processor) (verdictline_kafka_reachable)", legend="Kafka from {{processor}}"),
            Query(expr='min(up{job="triton"}) or on () vector(0)', legend="Triton"),
        ),
        steps=_UP_STEPS,
        words=_UP,
        height=8,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Since the loop last turned",
        description="An engine's loop turns several times a second. The watchdog ends a process after two minutes.",
        unit="s",
        queries=(
            Query(
                expr="max by (processor, instance) (clamp_min(time() - verdictline_progress_timestamp_seconds, 0))",
                legend="{{processor}} {{instance}}",
            ),
        ),
        steps=rising(30, 60),
        low=0,
        height=8,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Restarts in 15 minutes",
        description="How often a process began anew at the same address.",
        unit="none",
        queries=(
            Query(
                expr='sum by (process) (changes(process_start_time_seconds{job="verdictline"}[15m]))',
                legend="{{process}}",
            ),
        ),
        steps=rising(1, 3),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="CPU by process",
        description="Processor cores in use.",
        unit="none",
        queries=(
            Query(
                expr='sum by (process) (rate(process_cpu_seconds_total{job="verdictline"}[$__rate_interval]))',
                legend="{{process}}",
            ),
        ),
        steps=rising(0.8, 1),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Memory by process",
        description="Resident memory. Triage and drift grow with the stations they own, and then stay.",
        unit="bytes",
        queries=(
            Query(
                expr='sum by (process, instance) (process_resident_memory_bytes{job="verdictline"})',
                legend="{{process}} {{instance}}",
            ),
        ),
        steps=rising(500e6, 1e9),
        low=0,
        to=_TO,
    ),
)
KAFKA = (
    Panel(
        kind="lines",
        title="Records behind",
        description="End of the topic less what is done. At rest at most one a partition: a transaction's mark.",
        unit="none",
        queries=(
            Query(
                expr="sum by (processor, topic) (verdictline_consumer_lag_records)",
                legend="{{processor}} {{topic}}",
            ),
        ),
        steps=rising(50, 500),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Seconds behind",
        description="Records behind over records handled a second in five minutes: an estimate. decide_within is 5 s by default.",
        unit="s",
        queries=(Query(expr="processor:verdictline_lag_seconds:estimate", legend="{{processor}}"),),
        steps=rising(2, 5),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Records a second",
        description="Records handled, by processor and outcome.",
        unit="none",
        queries=(
            Query(
                expr="sum by (processor, outcome) (rate(verdictline_handled_total[$__rate_interval]))",
                legend="{{processor}} {{outcome}}",
            ),
        ),
        steps=STANDING,
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Fetched to acknowledged, 99th percentile",
        description="Of a record (image processors) or a transaction (triage): model, retries and Kafka included.",
        unit="s",
        queries=(
            Query(
                expr="histogram_quantile(0.99, sum by (processor, le)"
                " (rate(verdictline_handle_seconds_bucket[$__rate_interval])))",
                legend="{{processor}}",
            ),
        ),
        steps=rising(1, 2),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Records in hand",
        description="Fetched and not finished. At the limit (8 times the concurrency) the processor stops fetching.",
        unit="none",
        queries=(Query(expr="sum by (processor) (verdictline_in_flight_records)", legend="{{processor}}"),),
        steps=rising(32, 64),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Partitions owned",
        description="Summed over the processes of a group it is the number of partitions of its topics.",
        unit="none",
        queries=(Query(expr="sum by (processor) (verdictline_assigned_partitions)", legend="{{processor}}"),),
        steps=((None, RED), (1, GREEN)),
        low=0,
        to=_TO,
    ),
)
FATES = (
    Panel(
        kind="lines",
        title="Dead letters a minute",
        description="Messages that can never be processed; each lies whole on dead-letter.v1, with its reason.",
        unit="none",
        queries=(
            Query(
                expr="60 * sum by (processor, reason) (rate(verdictline_dead_letters_total[$__rate_interval]))",
                legend="{{processor}} {{reason}}",
            ),
        ),
        steps=any_is_bad(ORANGE),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Tried again a minute",
        description="unavailable: Triton or a store is away; bug: a handler raised.",
        unit="none",
        queries=(
            Query(
                expr="60 * sum by (processor, cause) (rate(verdictline_retries_total[$__rate_interval]))",
                legend="{{processor}} {{cause}}",
            ),
        ),
        steps=any_is_bad(ORANGE),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Copies, conflicts, lost input",
        description="Copies are harmless. Conflicts (same id, other content) and input that retention removed must stay 0.",
        unit="none",
        queries=(
            Query(expr="sum(increase(verdictline_copies_total[5m]))", legend="copies"),
            Query(expr="sum(increase(verdictline_conflicts_total[5m]))", legend="conflicts"),
            Query(expr="sum(increase(verdictline_input_gap_records_total[5m]))", legend="lost input"),
        ),
        steps=any_is_bad(ORANGE),
        low=0,
        to=_TO,
    ),
)
EDGES = (
    Panel(
        kind="bars",
        title="Outboxes",
        description="How full the fullest outboxes are. When one is full, captures are refused and its line stops.",
        unit="percentunit",
        decimals=1,
        queries=(
            Query(
                expr="topk(10, max by (site, line, station) (verdictline_outbox_fill_ratio))",
                legend="{{station}}",
            ),
        ),
        steps=rising(0.5, 0.9),
        low=0,
        high=1,
        to=_TO_STATION,
    ),
    Panel(
        kind="lines",
        title="Inspections not acknowledged by Kafka",
        description="In the outboxes of all gateways.",
        unit="none",
        queries=(Query(expr="sum by (site) (verdictline_outbox_inspections)", legend="{{site}}"),),
        steps=rising(100, 1000),
        low=0,
        to=_TO_PLANT,
    ),
    Panel(
        kind="lines",
        title="Inspections under way",
        description="Announced and not judged, in the memory of all triage processes.",
        unit="none",
        queries=(Query(expr="sum(verdictline_open_inspections)", legend="open"),),
        steps=rising(500, 5000),
        low=0,
        to=_TO_PLANT,
    ),
    Panel(
        kind="lines",
        title="Database: rows a second",
        description="Rows that the sink wrote, by table.",
        unit="none",
        queries=(
            Query(
                expr="sum by (table) (rate(verdictline_sink_rows_total[$__rate_interval])) or on () vector(0)", legend="{{table}}"
            ),
        ),
        steps=STANDING,
        low=0,
        to=_TO_PLANT,
    ),
    Panel(
        kind="lines",
        title="Database: one transaction, 99th percentile",
        description="Time of a commit. Nothing waits for it but reports.",
        unit="s",
        queries=(
            Query(
                expr="histogram_quantile(0.99, sum by (le)"
                " (rate(verdictline_sink_commit_seconds_bucket[$__rate_interval]))) >= 0 or on () vector(0)",
                legend="99 %",
            ),
        ),
        steps=rising(1, 5),
        low=0,
        to=_TO_PLANT,
    ),
    Panel(
        kind="lines",
        title="Database: tried again a minute",
        description="The database is away; the sink goes on where it stopped.",
        unit="none",
        queries=(Query(expr="60 * sum(rate(verdictline_sink_retries_total[$__rate_interval]))", legend="retries"),),
        steps=any_is_bad(ORANGE),
        low=0,
        to=_TO_PLANT,
    ),
)
ALERTS = (
    Panel(
        kind="table",
        title="Alerts",
        description="Pending and firing alerts of Prometheus; docs/runbooks says what to do about each.",
        unit="none",
        queries=(Query(expr='ALERTS{alertname!=""} or on () vector(0)'),),
        steps=((None, GREEN), (1, RED)),
        width=24,
        to=_TO_PLANT,
    ),
)
BOARD = Board(
    title="Pipeline health",
    description="Processes, Kafka, Triton, gateways and the database: what is down, behind, or thrown away.",
    variables=(),
    rows={
        "Processes": PROCESSES,
        "Kafka": KAFKA,
        "What did not work": FATES,
        "Gateways, triage, database": EDGES,
        "Alerts": ALERTS,
    },
)
