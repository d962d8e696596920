"""Which labels stand: conditions for whoever asks what people said of a part. Knows no question.

A label stands where it has an answer, nobody took it back, and somebody looked: whoever names a cluster labels parts that were
not on the screen, and those say nothing of how good a verdict was. Same rule as `review/labels.py`, in SQL.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, not_, select

from streams.wiring.adapters.database.tables import LABELS

_L = LABELS.c
_UNSEEN = '%"looked_ms":0,%'  # of the message as it was written; within a text the quotes are escaped


def standing() -> ColumnElement[bool]:
    """Of a row of `labels`."""
    later = LABELS.alias()
    taken_back = select(later.c.label_id).where(later.c.withdraws == _L.label_id).exists()
    return and_(_L.answer.is_not(None), ~taken_back, not_(and_(_L.shown == "cluster", _L.data.like(_UNSEEN))))
