"""What a product with labelled parts has on its topics, for the pages about classes and people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

from schemas.codec import CONSOLE, keyed, record_of
from schemas.common import digest
from schemas.envelope import Received, Record
from schemas.evidence import ChallengeStampV1
from schemas.label import LabelV1
from schemas.model_set import ModelSetPointerV1
from schemas.policy import PointerV1
from schemas.taxonomy import ClassProposalV1
from schemas.verdict import VerdictV1
from streams.review.changes import added, first, split
from streams.wiring.adapters.database.store import Store
from tests.helpers.console import Desk
from tests.helpers.database import write
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.history import MODELS, RULES, history, part
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
    return [keyed(one, id=f"{place}/{one.TYPE}", key=place, subject=place, time=NOW, source=CONSOLE) for one in both]


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
    return keyed(said, id=said.id, key=f"proposal/{said.id}", subject=f"current/{said.product}", time=NOW, source=CONSOLE)


def received(records: Sequence[Record]) -> tuple[Received, ...]:
    return tuple(appended(record, i, T0_MS) for i, record in enumerate(records))


def people_at_work(desk: Desk) -> str:
    """Classes written down and changed, some of them labelled, two proposed; challenge parts and double reviews answered.

    The version in force. For looking at pages: parts of the history up to 130.
    """
    put(desk, pointers())
    base = first(PRODUCT, ("scratch", "dent"))
    rim = added(base, "Rim chip", "a piece broken out of the edge, wider than 0.5 mm")
    last = split(rim, "dent", ["Dent, sharp", "Dent over the whole of a surface"])
    desk.ports.taxonomies.publish([base, rim, last], who="m.weber", why="what we see most", now=desk.now)
    arrive(desk)
    old, version = {"answer": "defect", "taxonomy": digest(rim)}, digest(last)
    said = [label(n, label=name, serial=f"S{n}", **old) for n, name in ((n, "scratch" if n < 23 else "dent") for n in range(30))]
    said += [label(n, label="rim-chip", **old) for n in range(50, 53)] + [label(n, answer="defect") for n in range(60, 64)]
    put(desk, labels(*said, *_looked_twice()))
    other = proposal(version, name="Stain", members=(part(90), part(91)), borderline=(), why="on line 2 since Monday")
    put(desk, [proposed(proposal(version, name="Haze")), proposed(other)])
    kinds = [("defect", "scratch"), ("defect", "dent"), ("golden", None)]
    challenged(desk, {n: kinds[n % 3] for n in range(64, 94)})
    said = [label(n, who=who, shown="challenge", **_called(n, who, old)) for who in ("ada", "bob") for n in range(64, 94)]
    put(desk, labels(*said), 2000)
    return version


def _called(n: int, who: str, old: Mapping[str, Any]) -> dict[str, Any]:
    """Ada calls one dent a scratch; bob misses two defects and calls a good part a dent."""
    kind = ("scratch", "dent", "good")[n % 3]
    kind = {(64, "ada"): "scratch", (65, "bob"): "dent", (66, "bob"): "good", (67, "bob"): "good"}.get((n, who), kind)
    return {} if kind == "good" else {**old, "label": kind}


def _looked_twice() -> list[LabelV1]:
    """Thirty parts; of each fifth the second thinks otherwise, and a third agrees with the first."""
    found = []
    for n in range(100, 130):
        one, other = ("defect", "good") if n % 3 else ("good", "defect")
        found += [label(n, answer=one), label(n, who="bob", opinion="second", answer=one if n % 5 else other)]
        found += [] if n % 5 else [label(n, who="m.keller", opinion="third", answer=one)]
    return found


def challenged(desk: Desk, kinds: Mapping[int, tuple[str, str | None]]) -> None:
    """These parts of the history are challenge parts: their verdicts come again with a stamp, as a later revision.

    kinds: part -> (kind, class).
    """
    said = [VerdictV1.read(record.value or b"") for record in history(120) if record.topic == "verdict.v1"]
    newest = {one.inspection: one for one in sorted(said, key=lambda one: one.revision)}
    records = []
    for n, (kind, name) in kinds.items():
        stamp = ChallengeStampV1.model_validate(
            {"set": "s1", "part": f"rabbit-{n}", "proof": "digital", "kind": kind, "label": name}
        )
        before = newest[part(n)]
        again = before.model_copy(update={"revision": before.revision + 1, "challenge": stamp, "purpose": "challenge"})
        records.append(record_of(again, id=f"{part(n)}/{again.revision}", station=again.station, subject=part(n)))
    put(desk, records)
