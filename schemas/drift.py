"""drift.v1: what the drift monitor says of a score stream."""

from __future__ import annotations

from pydantic import Field, model_validator

from schemas.common import Message, ModelRef, Time
from schemas.ids import Digest, Inspection, Name, Station


class ScoreStreamV1(Message):
    """The unit that the drift monitor judges."""

    station: Station
    view: Name
    product: Name
    acquisition: Digest
    model: ModelRef


class DriftSummaryV1(Message):
    """Counts of one window of a score stream, purpose production only. Drift -> wall, SPC, later statistics.

    score_edges: ascending, in the score's unit; bin i holds edges[i-1] < score <= edges[i], the first and last are open, so
    there is one count more than edges. p_counts: ten bins of width 0.1, right-closed. n: scores in it.
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

    @model_validator(mode="after")
    def counts_add_up(self) -> DriftSummaryV1:
        if len(self.score_counts) != len(self.score_edges) + 1:
            raise ValueError("score_counts must hold one count more than there are edges")
        if not sum(self.score_counts) == sum(self.p_counts) == self.n:
            raise ValueError("the counts do not add up to n")
        return self
