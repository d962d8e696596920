"""spc.v1 as read so far: plans, acts, stages, subgroups in their last revision, limits, signals. Judges nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.act import ActV1
from schemas.codec import Reader, keyed, record_of
from schemas.common import Message, digest
from schemas.envelope import ContractError, Received, rfc3339
from schemas.spc import LimitsActV1, LimitsV1, PlanV1, SignalV1, StageBreakV1, SubgroupV1
from schemas.topics import SPC
from streams.wiring.adapters.kafka import Writer, read_all

LOG = logging.getLogger(__name__)
Line = tuple[str, str]  # station, product
Series = tuple[str, str, str]  # and series


@dataclass
class Charted:
    """One series. subgroups: by id, in the order in which they were first said; limits: by id, each as said last."""

    stages: list[StageBreakV1] = field(default_factory=list)
    subgroups: dict[str, SubgroupV1] = field(default_factory=dict)
    limits: dict[str, LimitsV1] = field(default_factory=dict)
    signals: dict[str, SignalV1] = field(default_factory=dict)

    def characteristics(self) -> list[str]:
        return list(dict.fromkeys(one.characteristic for one in self.limits.values()))

    def limits_of(self, characteristic: str) -> LimitsV1 | None:
        """Said last."""
        return next((one for one in reversed(list(self.limits.values())) if one.characteristic == characteristic), None)

    def open_signals(self, characteristic: str | None = None) -> list[SignalV1]:
        mine = (one for one in self.signals.values() if characteristic in (None, one.characteristic))
        return [one for one in mine if one.status == "open"]


@dataclass
class Known:
    """plans: the last word counts. Where there is none spc has a default."""

    plans: dict[Line, PlanV1] = field(default_factory=dict)
    acts: list[LimitsActV1] = field(default_factory=list)
    series: dict[Series, Charted] = field(default_factory=dict)
    unreadable: int = 0
    _codec: Reader = field(default_factory=lambda: Reader(PlanV1, LimitsActV1, StageBreakV1, SubgroupV1, LimitsV1, SignalV1))

    def take(self, record: Received) -> None:
        """Add a record; one that breaks the contract is counted and left out."""
        try:
            read = self._codec.read(record)
        except ContractError as error:
            self.unreadable += 1
            LOG.warning("%s offset %d is left out: %s", record.topic, record.offset, error)
            return
        if read is not None:
            self._take(read[1])

    def _take(self, message: Message) -> None:
        match message:
            case PlanV1():
                self.plans[message.station, message.product] = message
            case LimitsActV1():
                self.acts.append(message)
            case StageBreakV1() if message not in (stages := self._of(message).stages):
                stages.append(message)
            case SubgroupV1():
                before = self._of(message).subgroups.get(message.subgroup_id)
                if before is None or message.revision >= before.revision:
                    self._of(message).subgroups[message.subgroup_id] = message
            case LimitsV1():
                self._of(message).limits[message.limits_id] = message
            case SignalV1():
                self._of(message).signals[message.signal_id] = message

    def _of(self, message: StageBreakV1 | SubgroupV1 | LimitsV1 | SignalV1) -> Charted:
        return self.series.setdefault((message.station, message.product, message.series), Charted())


def read_spc(client: Mapping[str, Any]) -> Known:
    """All of the topic as it is now. Raises KafkaUnreachable, KafkaRefused."""
    found = Known()
    for record in read_all(client, [SPC]):
        found.take(record)
    return found


def publish(client: Mapping[str, Any], *messages: PlanV1 | LimitsActV1) -> None:
    """Write what a person said, also as an act; returns when the broker has it. Raises KafkaUnreachable, KafkaRefused."""
    writer = Writer(client, **{"linger.ms": 0})
    for message in messages:
        about = _about(message)
        writer.send(
            record_of(message, id=f"{message.station}|{about}|{rfc3339(message.at)}", station=message.station, subject=about)
        )
        writer.send(_act(message))
    writer.flush()


def _about(message: PlanV1 | LimitsActV1) -> str:
    if isinstance(message, PlanV1):
        return f"{message.product}|plan"
    return f"{message.product}|{message.series}|{message.characteristic}|{message.act}"


def _act(message: PlanV1 | LimitsActV1) -> Any:
    where = f"current/{message.product}/{message.station}"
    name = "spc_plan" if isinstance(message, PlanV1) else f"spc_{message.act}"
    act = ActV1.model_validate(
        {"act": name, "where": where, "digest": digest(message), "who": message.who, "why": message.why, "at": message.at}
    )
    return keyed(act, id=f"{where}/{name}/{rfc3339(message.at)}", key=where, subject=where, time=message.at)
