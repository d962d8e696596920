"""drift.v1: what the drift monitor says of a score stream."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.common import BaselineState, Message, ModelRef, Share, Text, Time
from schemas.ids import Digest, Inspection, Name, Station


class ScoreStreamV1(Message):
    """The unit that the drift monitor judges."""

    station: Station
    view: Name
    product: Name
    acquisition: Digest
    model: ModelRef


class DriftSummaryV1(Message):
    """One window of a score stream, purpose production only: counts, and how its baseline stood. Drift -> wall, SPC, plots.

    score_edges: ascending, in the score's unit; bin i holds edges[i-1] < score <= edges[i], the first and last are open, so
    there is one count more than edges. p_counts: ten bins of width 0.1, right-closed. n: scores in it, from score_low to
    score_high. baseline, state, levels: at its end; absent where nothing could be judged. levels: by statistic, its CUSUM as a
    share of its threshold.
    """

    TYPE = "verdictline.drift.summary.v1"
    stream: ScoreStreamV1
    opened_at: Time
    closed_at: Time
    first: Inspection
    last: Inspection
    n: int = Field(ge=1)
    score_edges: tuple[float, ...]
    score_counts: tuple[int, ...]
    p_counts: tuple[int, ...] = Field(min_length=10, max_length=10)
    score_low: float | None = None
    score_high: float | None = None
    baseline: Digest | None = None
    state: BaselineState | None = None
    levels: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def counts_add_up(self) -> DriftSummaryV1:
        if len(self.score_counts) != len(self.score_edges) + 1:
            raise ValueError("score_counts must hold one count more than there are edges")
        if not sum(self.score_counts) == sum(self.p_counts) == self.n:
            raise ValueError("the counts do not add up to n")
        return self


class RangeV1(Message):
    """An estimate with its 95 % interval; low and high absent where the data allow none."""

    value: float
    low: float | None = None
    high: float | None = None


class CountsV1(Message):
    """Two histograms over the same bins. edges: ascending, right-closed, one fewer than bins."""

    edges: tuple[float, ...]
    reference: tuple[int, ...]
    now: tuple[int, ...]

    @model_validator(mode="after")
    def one_bin_more_than_edges(self) -> CountsV1:
        if not len(self.edges) + 1 == len(self.reference) == len(self.now):
            raise ValueError("each histogram must hold one count more than there are edges")
        return self


class CauseV1(Message):
    """Who moved, as far as the data tell. unknown: scores alone cannot say, and nothing else did.

    by: what it rests on, in words a person understands, with its figures.
    """

    name: Literal["camera_light", "material_process", "fixture", "model", "unknown"]
    by: tuple[Annotated[str, StringConstraints(max_length=300)], ...] = ()


class DriftEventV1(Message):
    """Something happened to a score stream or to its baseline. Drift -> wall, engineers, SPC (a stage break), console.

    new_stream: its first part; new_baseline: from this part on it is judged against another baseline; no_baseline: from this part
    on it is not judged, for the reason in `detail`; image_moved, golden_moved: an image statistic, or a golden part, stands
    elsewhere, whether or not scores moved: a warning, the baseline's state stays. inspection: the score that completed the
    evidence; change_point: where it began, as far as that can be told. statistic: what crossed its threshold. effect_sd,
    effect_scale: shift of good parts in standard deviations of the baseline, factor of their spread. log_e_value: natural
    logarithm of the evidence against "nothing but the defect rate changed". arl0: mean number of parts between two false alarms,
    as in force. quantiles, tail_rate: of the reference, and since the change. rejects: share of parts above today's threshold,
    before and since. smallest_visible_sd: what this baseline can show at all. provisional: the baseline is too small, or not
    commissioned, to be relied upon.
    """

    TYPE = "verdictline.drift.event.v1"
    stream: ScoreStreamV1
    baseline: Digest | None = None
    kind: Literal[
        "baseline_up",
        "baseline_down",
        "baseline_shrink",
        "baseline_spread",
        "stale",
        "recovered",
        "defect_rate_up",
        "defect_rate_down",
        "stuck",
        "certificate_expired",
        "image_moved",
        "golden_moved",
        "new_stream",
        "new_baseline",
        "no_baseline",
    ]
    state: BaselineState | None = None
    at: Time
    inspection: Inspection
    lot: Text | None = None
    change_point: Inspection | None = None
    change_point_at: Time | None = None
    change_point_lot: Text | None = None
    direction: Literal["up", "down", "shrink", "spread"] | None = None
    statistic: Text | None = None
    effect_sd: RangeV1 | None = None
    effect_scale: RangeV1 | None = None
    parts_since: int | None = Field(default=None, ge=0)
    reference_n: int | None = Field(default=None, ge=1)
    deff: float | None = Field(default=None, ge=1)
    log_e_value: float | None = None
    arl0: float | None = None
    counts: CountsV1 | None = None
    quantiles: dict[str, tuple[RangeV1, RangeV1]] = Field(default_factory=dict)
    tail_rate: tuple[RangeV1, RangeV1] | None = None
    rejects: tuple[Share, Share] | None = None
    smallest_visible_sd: float | None = Field(default=None, ge=0)
    cause: CauseV1 | None = None
    challenge: Annotated[str, StringConstraints(max_length=300)] | None = None
    provisional: bool = False
    detail: Annotated[str, StringConstraints(max_length=1000)] = ""

    @model_validator(mode="after")
    def judged_against_something(self) -> DriftEventV1:
        if (self.kind == "no_baseline") != (self.baseline is None):
            raise ValueError("every event but no_baseline names the baseline, and no_baseline names none")
        return self
