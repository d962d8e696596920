"""Models: what Triton and the stages that ask it spend their time on."""

from __future__ import annotations

from tools.dashboards.board import Board, link
from tools.dashboards.panel import GREEN, ORANGE, STANDING, Panel, Query, any_is_bad, rising

_TO = link("Pipeline health")
_MODEL = "{{model}} {{version}}"


def _mean_s(metric: str) -> str:
    """Mean seconds a request of each model version; microseconds over requests."""
    return (
        f"1e-6 * sum by (model, version) (rate({metric}[$__rate_interval]))"
        " / (sum by (model, version) (rate(nv_inference_request_success[$__rate_interval])) > 0)"
    )


STAGES = (
    Panel(
        kind="lines",
        title="One call, 99th percentile, by stage",
        description="What a processor waits for Triton: network, queue and model. Above 1 s most gates have closed.",
        unit="s",
        queries=(
            Query(
                expr="histogram_quantile(0.99, sum by (stage, le) (rate(verdictline_model_seconds_bucket[$__rate_interval])))",
                legend="{{stage}}",
            ),
        ),
        steps=rising(0.5, 1),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="One call, mean, by stage",
        description="Mean time of a call of Triton, as the processors see it.",
        unit="s",
        queries=(
            Query(
                expr="sum by (stage) (rate(verdictline_model_seconds_sum[$__rate_interval]))"
                " / sum by (stage) (rate(verdictline_model_seconds_count[$__rate_interval]))",
                legend="{{stage}}",
            ),
        ),
        steps=rising(0.2, 0.5),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Calls a second by stage",
        description="Anomaly and classification are asked once a view, segmentation where size decides.",
        unit="reqps",
        queries=(
            Query(
                expr="sum by (stage) (rate(verdictline_model_seconds_count[$__rate_interval]))",
                legend="{{stage}}",
            ),
        ),
        steps=STANDING,
        low=0,
        to=_TO,
    ),
)
TRITON = (
    Panel(
        kind="lines",
        title="Queue time by model version",
        description="Mean time that a request waits in Triton for an instance: it grows first where models are the limit.",
        unit="s",
        queries=(Query(expr=_mean_s("nv_inference_queue_duration_us"), legend=_MODEL),),
        steps=rising(0.05, 0.2),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Compute time by model version",
        description="Mean time of the model itself, without the queue.",
        unit="s",
        queries=(Query(expr=_mean_s("nv_inference_compute_infer_duration_us"), legend=_MODEL),),
        steps=rising(0.2, 0.5),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Requests a second by model version",
        description="Which versions serve, and how much. A version that a promotion replaced goes to 0.",
        unit="reqps",
        queries=(
            Query(
                expr="sum by (model, version) (rate(nv_inference_request_success[$__rate_interval]))",
                legend=_MODEL,
            ),
        ),
        steps=STANDING,
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Requests waiting",
        description="Requests that wait in Triton now, by model version.",
        unit="none",
        queries=(Query(expr="sum by (model, version) (nv_inference_pending_request_count)", legend=_MODEL),),
        steps=rising(8, 32),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Requests failed a second",
        description="Requests that Triton answered with an error; the processors try them again.",
        unit="reqps",
        queries=(
            Query(
                expr="sum by (model, version) (rate(nv_inference_request_failure[$__rate_interval]))",
                legend=_MODEL,
            ),
        ),
        steps=any_is_bad(),
        low=0,
        to=_TO,
    ),
    Panel(
        kind="lines",
        title="Images a request",
        description="Mean batch: images over executions. Above 1 Triton gathers requests.",
        unit="none",
        queries=(
            Query(
                expr="sum by (model, version) (rate(nv_inference_count[$__rate_interval]))"
                " / (sum by (model, version) (rate(nv_inference_exec_count[$__rate_interval])) > 0)",
                legend=_MODEL,
            ),
        ),
        steps=((None, GREEN), (8, ORANGE)),
        low=0,
        to=_TO,
    ),
)
BOARD = Board(
    title="Models",
    description="Triton: queue, compute and requests of every model version, and what the stages wait for it.",
    variables=(),
    rows={"What the stages see": STAGES, "What Triton says": TRITON},
)
