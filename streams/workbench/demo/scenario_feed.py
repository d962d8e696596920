"""Two ways by which a scenario's parts reach the log: as recorded evidence, written as the anomaly processor would write it, and
as pictures handed to a gateway, as cameras do. Both take parts by their number in the scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    """sent: pieces of anomaly evidence that must come of it."""

    sent: int

    def send(self, begin: int, end: int, baseline: str | None) -> None: ...

    def part_of(self, inspection: Inspection) -> int: ...

    def inspection(self, n: int) -> str: ...


class RecordedFeed:
    """Evidence of pictures that the served model has scored once, as fast as Kafka takes it."""

    def __init__(self, client: Mapping[str, Any], run: RecordedRun) -> None:
        self.sent = 0
        self._run, self._writer = run, Writer(client)

    def send(self, begin: int, end: int, baseline: str | None) -> None:
        for evidence in self._run.evidence(begin, end, baseline):
            self._writer.send(evidence_record(evidence))
            self.sent += 1
        self._writer.flush(_SEND_S)

    def part_of(self, inspection: Inspection) -> int:
        return part_of(self._run.scenario, parse_inspection(inspection).n)

    def inspection(self, n: int) -> str:
        return str(inspection_id(self._run.stamp.station, self._run.stamp.epoch, number(self._run.scenario, n)))


class CameraFeed:
    """Pictures through the gateway in this process, no faster than the models answer.

    answered: how many pieces of anomaly evidence have come so far; called again and again while it waits.
    """

    def __init__(
        self, plant: ScenarioPlant, station: str, acquisition: str, gateway: Gateway, answered: Callable[[], int]
    ) -> None:
        self.sent = 0
        self._plant, self._station, self._acquisition = plant, station, acquisition
        self._gateway, self._answered = gateway, answered
        self._golden = plant.master(station, 0, 0)
        self._made: dict[str, int] = {}

    def send(self, begin: int, end: int, baseline: str | None) -> None:
        """The gateway stamps what is in force; `baseline` is that already."""
        for n in range(begin, end):
            if visits(self._plant.scenario, n):
                for which in range(MASTERS):
                    self._hand_in(self._plant.master(self._station, which, n), n, _golden(n, which))
                self._hand_in(self._golden, n, _golden(n, MASTERS))
            self._hand_in(self._plant.part(self._station, n), n, None)
            while n % _GROUP == 0 and self._answered() < self.sent - _BEHIND:
                pass

    def part_of(self, inspection: Inspection) -> int:
        return self._made[inspection]

    def inspection(self, n: int) -> str:
        return next(name for name, part in self._made.items() if part == n)

    def _hand_in(self, part: Part, n: int, stamp: ChallengeStampV1 | None) -> None:
        capture: Capture = replace(capture_of(part), acquisition=self._acquisition)
        if stamp is not None:
            capture = replace(capture, purpose="challenge", challenge=stamp, serial=None)
        self._made[str(self._gateway.post(capture).result(_SEND_S))] = n
        self.sent += 1


def _golden(n: int, which: int) -> ChallengeStampV1:
    """As `RecordedRun` stamps them."""
    injected = which == MASTERS
    return ChallengeStampV1(set=f"golden/{n}", part=f"golden-{which}", proof="digital" if injected else "physical", kind="golden")
