"""Everything that is remembered of one score stream, as a value and as JSON data for a table.

About 3 kB as JSON: 0.3 kB for the stream's name, 0.6 for the detector and 1.2 for its evidence (packed, base64), 0.2 for the
window, 0.2 for image statistics, 0.3 for each golden part, the rest for order, lots and certificate. A score that waits behind a
hole takes 0.3 kB more, at most 64 do. It is never forgotten: a stale baseline stays stale however long its product is not made.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, NamedTuple

from schemas.common import BaselineState
from schemas.drift import ScoreStreamV1
from streams.monitors import witnesses
from streams.monitors.lifecycle import Trust
from streams.monitors.ordering import Order, Scored
from streams.monitors.packing import pack, pack_evidence, unpack
from streams.monitors.references import Basis
from streams.monitors.state import State
from streams.monitors.summary import Window
from streams.monitors.witnesses import Witnesses

MOST_LOTS = 8


class LotMark(NamedTuple):
    """The first part of a lot."""

    epoch: int
    n: int
    lot: str


class Parked(NamedTuple):
    """A baseline that an act put in force, as it stood when a part came without its stamp."""

    basis: Basis
    said: BaselineState | None
    trust: Trust
    detector: State | None


class StreamState(NamedTuple):
    """moment_ms: latest append time of the parts judged. basis, trust: None before the first. said: the state published last.

    lots: the latest ones. detector: None where nothing can be judged. parked: a gateway that does not know the stamp, because
    Kafka is away, must not clear what only an act may clear.
    """

    stream: ScoreStreamV1
    order: Order = Order()
    moment_ms: int = 0
    basis: Basis | None = None
    said: BaselineState | None = None
    trust: Trust = Trust(0)
    lots: tuple[LotMark, ...] = ()
    detector: State | None = None
    witnesses: Witnesses = Witnesses()
    window: Window | None = None
    parked: Parked | None = None


def dump(state: StreamState) -> dict[str, Any]:
    """As JSON data; `load(dump(state))` dumps to the same again."""
    return {
        "stream": state.stream.model_dump(mode="json"),
        "order": [*state.order[:3], f"{state.order.holes:x}", state.order.waiting],
        "moment_ms": state.moment_ms,
        "basis": state.basis,
        "said": state.said,
        "trust": state.trust,
        "lots": state.lots,
        "detector": _packed(state.detector),
        "witnesses": witnesses.dump(state.witnesses),
        "window": state.window,
        "parked": None if (left := state.parked) is None else [*left[:3], _packed(left.detector)],
    }


def load(data: dict[str, Any]) -> StreamState:
    clock_ms, epoch, n, holes, waiting = data["order"]
    return StreamState(
        stream=ScoreStreamV1.model_validate(data["stream"]),
        order=Order(clock_ms, epoch, n, int(holes, 16), tuple(map(_scored, waiting))),
        moment_ms=data["moment_ms"],
        basis=None if data["basis"] is None else Basis(*data["basis"]),
        said=data["said"],
        trust=Trust(*data["trust"]),
        lots=tuple(LotMark(*mark) for mark in data["lots"]),
        detector=_unpacked(data["detector"]),
        witnesses=witnesses.load(data["witnesses"]),
        window=None if data["window"] is None else _window(data["window"]),
        parked=None if data["parked"] is None else _parked(*data["parked"]),
    )


def _packed(detector: State | None) -> list[str] | None:
    """Its fixed part and its evidence."""
    return None if detector is None else [b64encode(part).decode() for part in (pack(detector), pack_evidence(detector))]


def _unpacked(packed: list[str] | None) -> State | None:
    return None if packed is None else unpack(*map(b64decode, packed))


def _parked(basis: list[Any], said: BaselineState | None, trust: list[Any], packed: list[str] | None) -> Parked:
    return Parked(Basis(*basis), said, Trust(*trust), _unpacked(packed))


def _scored(data: list[Any]) -> Scored:
    part = Scored(*data)
    image, golden = part.image, part.golden
    return part._replace(
        image=None if image is None else (image[0], image[1], image[2], image[3], image[4]),
        golden=None if golden is None else (golden[0], golden[1], golden[2]),
    )


def _window(data: list[Any]) -> Window:
    opened_ms, first, last, low, high, counts, p_counts = data
    return Window(opened_ms, tuple(first), tuple(last), low, high, tuple(counts), tuple(p_counts))
