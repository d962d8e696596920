"""How parts stand, as the sink's database says it, in the words of `streams/review/keeping.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.review.keeping import Judged, kept
from streams.wiring.adapters.database.ask_console import Questions
from streams.wiring.adapters.database.ask_standing import Standing, Word
from streams.wiring.adapters.embeddings.waiting import Now


class Stands:
    """Both methods raise Unavailable."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def now(self, inspections: Sequence[str]) -> tuple[Mapping[str, Now], int]:
        found, clock_us = self._questions.standings(inspections)
        return {inspection: _now(one) for inspection, one in found.items()}, clock_us

    def words(self, since_us: int) -> set[Word]:
        return self._questions.words(since_us)


def _now(one: Standing) -> Now:
    part = Judged(
        disposition=one.disposition,
        label=one.label,
        decided_by=one.decided_by,
        audit=one.audit,
        purpose=one.purpose,
        codes=one.codes,
        labels=one.labels,
    )
    judged = one.disposition is not None or bool(one.labels)
    return Now(judged=judged, kept=kept(part), p_values=one.p_values)
