"""Which labels stand: conditions for whoever asks what people said of a part. Knows no question.

A label stands where it has an answer, whoever gave it did not take it back, and somebody looked: whoever names a cluster labels
parts that were not on the screen, and those say nothing of how good a verdict was. Same rule as `review/labels.py`, in SQL.
What was said of a challenge says how people look, and nothing of a part: it stands for nobody but `ask_reviewers`.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, not_, select

from streams.wiring.adapters.database.tables import LABELS

_L = LABELS.c
_UNSEEN = '%"looked_ms":0,%'  # of the message as it was written; within a text the quotes are escaped


def still_said() -> ColumnElement[bool]:
    """Of a row of `labels`: it has an answer, and whoever gave it did not take it back."""
    later = LABELS.alias()
    back = select(later.c.label_id).where(later.c.withdraws == _L.label_id, later.c.who == _L.who)
    return and_(_L.answer.is_not(None), ~back.exists())


def of_a_part() -> ColumnElement[bool]:
    """Of a row of `labels`: still said, and not of a challenge."""
    return and_(still_said(), _L.shown != "challenge")


def standing() -> ColumnElement[bool]:
    """Of a row of `labels`: still said, not of a challenge, and looked at."""
    return and_(of_a_part(), not_(and_(_L.shown == "cluster", _L.data.like(_UNSEEN))))
