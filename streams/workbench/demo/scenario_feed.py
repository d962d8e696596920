"""Two ways by which a scenario's parts reach the log: as recorded evidence, written as the anomaly processor would write it, and
as pictures handed to a gateway, as cameras do. Both take parts by their number in the scenario.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Protocol

from schemas.evidence import ChallengeStampV1
from schemas.ids import Inspection, inspection_id, parse_inspection
from streams.capture.gateway import Capture
from streams.wiring.adapters.kafka import Writer
from streams.wiring.processors.gateway import Gateway
from streams.workbench.demo.plant_process import capture_of
from streams.workbench.plant import Part
from streams.workbench.scenarios.line import ScenarioPlant
from streams.workbench.scenarios.pool import MASTERS
from streams.workbench.scenarios.recorded import RecordedRun, number, part_of, visits
from streams.workbench.scenarios.served import evidence_record

_SEND_S = 60.0
_GROUP, _BEHIND = 10, 40  # parts: how often it looks back, and how far the models may lie behind


class Feed(Protocol):
    """sent: inspections that anomaly evidence must come of."""

    sent: set[str]

    def send(self, begin: int, end: int, baseline: str | None) -> None: ...

    def part_of(self, inspection: Inspection) -> int: ...

    def inspection(self, n: int) -> str: ...


class RecordedFeed:
    """Evidence of pictures that the served model has scored once, as fast as Kafka takes it."""

    def __init__(self, client: Mapping[str, Any], run: RecordedRun) -> None:
        self.sent: set[str] = set()
        self._run, self._writer = run, Writer(client)

    def send(self, begin: int, end: int, baseline: str | None) -> None:
        for evidence in self._run.evidence(begin, end, baseline):
            self._writer.send(evidence_record(evidence))
            self.sent.add(evidence.inspection)
        self._writer.flush(_SEND_S)

    def part_of(self, inspection: Inspection) -> int:
        return part_of(self._run.scenario, parse_inspection(inspection).n)

    def inspection(self, n: int) -> str:
        return str(inspection_id(self._run.stamp.station, self._run.stamp.epoch, number(self._run.scenario, n)))


class CameraFeed:
    """Pictures through the gateway in this process, no faster than the models answer.

    answered: the inspections whose anomaly evidence has come so far; called again and again while it waits. recognise: knows
    registered masters by their serials; without it golden parts are stamped here, as `RecordedRun` stamps them.
    """

    def __init__(
        self,
        plant: ScenarioPlant,
        station: str,
        acquisition: str,
        gateway: Gateway,
        answered: Callable[[], Collection[str]],
        recognise: Callable[[Capture], Capture] | None = None,
    ) -> None:
        self.sent: set[str] = set()
        self._plant, self._station, self._acquisition = plant, station, acquisition
        self._gateway, self._answered, self._recognise = gateway, answered, recognise
        self._golden = plant.master(station, 0, 0)
        self._places: list[tuple[int, int]] = []  # (number of the station, part of the scenario), ascending

    def send(self, begin: int, end: int, baseline: str | None) -> None:
        """The gateway stamps what is in force; `baseline` is that already."""
        for n in range(begin, end):
            if visits(self._plant.scenario, n):
                self._golden_parts(n)
            self._hand_in(self._plant.part(self._station, n), n)
            while n % _GROUP == 0 and len(self.sent - set(self._answered())) > _BEHIND:
                pass

    def part_of(self, inspection: Inspection) -> int:
        """Of a golden part, the one that follows it; of one behind the last, the last."""
        place = bisect_left(self._places, (parse_inspection(inspection).n, -1))
        return self._places[min(place, len(self._places) - 1)][1]

    def inspection(self, n: int) -> str:
        """Raises KeyError for a part that was not sent."""
        numbers = {part: number for number, part in reversed(self._places)}
        return str(inspection_id(self._station, self._epoch, numbers[n]))

    def _golden_parts(self, n: int) -> None:
        masters = [self._plant.master(self._station, which, n) for which in range(MASTERS)]
        if self._recognise is not None:  # the images come by the injector
            for master in (*masters, self._plant.defective(self._station, MASTERS, n)):
                self._hand_in(master, n)
            return
        for which, part in enumerate((*masters, self._golden)):
            self._hand_in(part, n, _golden(n, which))

    def _hand_in(self, part: Part, n: int, stamp: ChallengeStampV1 | None = None) -> None:
        capture: Capture = replace(capture_of(part), acquisition=self._acquisition)
        if stamp is not None:
            capture = replace(capture, purpose="challenge", challenge=stamp, serial=None)
        elif self._recognise is not None:
            capture = self._recognise(capture)
        made = self._gateway.post(capture).result(_SEND_S)
        self._epoch = made.epoch
        self._places.append((made.n, n))
        self.sent.add(str(made))


def _golden(n: int, which: int) -> ChallengeStampV1:
    injected = which == MASTERS
    return ChallengeStampV1(set=f"golden/{n}", part=f"golden-{which}", proof="digital" if injected else "physical", kind="golden")
