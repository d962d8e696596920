"""What a product with labelled parts has on its topics, for the pages about classes and people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any

from schemas.codec import record_of
from schemas.common import digest
from schemas.envelope import Received, Record
from schemas.label import LabelV1
from schemas.model_set import ModelSetPointerV1
from schemas.policy import PointerV1
from schemas.taxonomy import ClassProposalV1
from streams.wiring.adapters.database.store import Store
from streams.wiring.adapters.desk.acts import keyed
from tests.helpers.console import Desk
from tests.helpers.database import write
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.history import MODELS, RULES, part
from tests.helpers.judgement import PRODUCT, STATION
from tests.helpers.labels import NOW
from tests.helpers.labels import label as small_label

_OFFSETS = count(1000)


def put(desk: Desk, records: Sequence[Record], begin: int = 0) -> None:
    """As the sink does: the broker's log goes on from `begin`."""
    write(Store(desk.engine), [appended(record, begin + i, T0_MS) for i, record in enumerate(records)])


def arrive(desk: Desk) -> None:
    """What people did reaches Kafka, and the sink stores it."""
    waiting = desk.outgoing.take(1000)
    write(Store(desk.engine), [appended(record, next(_OFFSETS), T0_MS) for _, record in waiting])
    desk.outgoing.done([number for number, _ in waiting])


def pointers() -> list[Record]:
    """The model set and the policy of the history are in force: classes good, scratch, dent."""
    place, said = f"current/{PRODUCT}", {"who": "m.weber", "why": "first"}
    both = (ModelSetPointerV1(digest=digest(MODELS), **said), PointerV1(digest=digest(RULES), **said))
    return [keyed(one, id=f"{place}/{one.TYPE}", key=place, subject=place, at=NOW) for one in both]


def label(n: int, **changes: Any) -> LabelV1:
    """Of part n of the history, given n seconds after NOW."""
    own = {"inspection": part(n), "station": STATION, "product": PRODUCT, "answered_at": NOW + timedelta(seconds=n)}
    return small_label(n, **(own | changes))


def labels(*said: LabelV1) -> list[Record]:
    return [record_of(one, id=one.id, station=one.station, subject=one.inspection, time=one.answered_at) for one in said]


def proposal(version: str, **changes: Any) -> ClassProposalV1:
    values: dict[str, Any] = {
        "product": PRODUCT,
        "taxonomy": version,
        "name": "Rim chip",
        "members": tuple(part(n) for n in range(8)),
        "borderline": (part(2), part(3)),
        "who": "ada",
        "why": "all at the edge",
        "proposed_at": NOW,
    }
    return ClassProposalV1(**(values | changes))


def proposed(said: ClassProposalV1) -> Record:
    return keyed(said, id=said.id, key=f"proposal/{said.id}", subject=f"current/{said.product}", at=NOW)


def received(records: Sequence[Record]) -> tuple[Received, ...]:
    return tuple(appended(record, i, T0_MS) for i, record in enumerate(records))
