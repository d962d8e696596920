"""One scenario on running servers and processors: parts up to the commissioning, the act, the change, then what drift.v1 says.

Knows neither how servers are started nor how a report looks.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from schemas.common import Proof
from schemas.drift import DriftEventV1
from streams.monitors.dirt import top_ratio
from streams.workbench.demo.scenario_acts import commission, refresh
from streams.workbench.demo.scenario_log import StationLog, events_in, ruled
from streams.workbench.demo.scenario_proofs import Sets, sets
from streams.workbench.demo.scenario_proofs import rows as proofs
from streams.workbench.demo.scenario_station import PRODUCT, VIEW, Late, Place, Station, fed, station_for
from streams.workbench.scenarios import Reported, Row, Scenario, judged
from streams.workbench.scenarios.table import STATION, Refresh

_WAIT_S = 180.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """rows: what had to be, and must not have been; events: all of drift.v1, as (part, event)."""

    scenario: Scenario
    seed: int
    rows: tuple[Row, ...]
    events: tuple[tuple[int, DriftEventV1], ...]
    arl0: float
    took_s: float

    @property
    def met(self) -> bool:
        return all(row.met for row in self.rows)


def play(place: Place, scenario: Scenario, seed: int, station: str = STATION, *, kill: bool = False) -> Outcome:
    """kill: SIGKILL to the drift processor in the middle of what follows the commissioning. Raises Late, ValueError."""
    with ExitStack() as stack:
        return _Play(place, station_for(place, scenario, seed, station), kill).run(stack)


class _Play:
    def __init__(self, place: Place, station: Station, kill: bool) -> None:
        self._place, self._station, self._scenario = place, station, station.scenario
        self._kill, self._begin = kill, time.monotonic()
        self._ruled: dict[str, bytes] = {}
        self._ruled_at = 0
        self._before: dict[Proof, Sets] = {}

    def run(self, stack: ExitStack) -> Outcome:
        scenario, place = self._scenario, self._place
        self._log = stack.enter_context(StationLog(place.settings.client(), self._station.name, self._station.stream))
        self._feed = stack.enter_context(fed(place, self._station, self._answered))
        self._send(0, scenario.commissioned, None)
        rows = self._rest(self._commissioned())
        self._wait(self._all_said, "every event and window on drift.v1")
        events = tuple((self._feed.part_of(event.inspection), event) for event in self._log.events())
        reported = [Reported(n, event.kind, event.cause.name if event.cause else None) for n, event in events]
        asked = judged(reported, scenario.must, scenario.never, scenario.commissioned)
        more = [*rows, *self._proofs(), *([self._dirt()] if scenario.dirty else []), self._same()]
        return Outcome(
            scenario=scenario,
            seed=self._station.seed,
            rows=(*asked, *more),
            events=events,
            arl0=self._arl0(),
            took_s=time.monotonic() - self._begin,
        )

    # ---------------------------------------------------------------- parts and acts
    def _send(self, begin: int, end: int, baseline: str | None) -> None:
        self._place.tell(f"{self._scenario.name}: parts {begin:,} to {end:,}")
        self._feed.send(begin, end, baseline)
        self._wait(lambda: self._feed.sent <= self._log.answered, "the anomaly evidence of every part")

    def _commissioned(self) -> str:
        scenario, registry, stream = self._scenario, self._place.registry, self._station.stream
        self._wait(lambda: registry.standing(stream).baseline is not None, "a baseline of the model's own scores")
        self._wait(self._all_said, "every event before the commissioning")
        commission(self._place.settings, stream, scenario.commissioned, scenario.commissioned // scenario.lot)
        registry.refresh()
        found = registry.standing(stream).stamped
        if found is None:
            raise Late(f"{scenario.name}: no commissioned baseline on baseline.v1")
        self._place.tell(f"{scenario.name}: baseline {found[:12]} commissioned")
        return found

    def _rest(self, baseline: str) -> list[Row]:
        """Up to the last part, with what people do on the way; the answers to their refreshes."""
        scenario, rows, begin = self._scenario, [], self._scenario.commissioned
        asked = {refresh.at: refresh for refresh in scenario.refreshes}
        middle = min(scenario.changes_at + (scenario.parts - scenario.changes_at) // 4, scenario.parts - 1)
        for mark in sorted({*asked, scenario.changes_at, scenario.parts, middle}):
            self._send(begin, mark, baseline)
            begin = mark
            if mark == scenario.changes_at and scenario.fails:
                self._before = self._sets()
            if mark == middle and self._kill:
                self._kill_drift()
            if mark in asked:
                rows.append(self._refresh(asked[mark]))
        return rows

    def _refresh(self, wanted: Refresh) -> Row:
        since, parts = self._feed.inspection(wanted.since), (wanted.at - wanted.since) // 2
        answer = refresh(self._place.settings, self._station.stream, parts, since)
        ends = "accepted" if answer.done else "refused"
        return Row(
            what=f"a refresh with the parts since {wanted.since:,} is {wanted.ends}",
            met=ends == wanted.ends,
            at=wanted.at,
            found=f"{ends}: {answer.said}",
        )

    def _kill_drift(self) -> None:
        pid = self._place.fleet.usage()["drift"].pid
        if pid is None:
            raise Late(f"{self._scenario.name}: drift is not running")
        os.kill(pid, signal.SIGKILL)
        self._place.tell(f"{self._scenario.name}: drift was killed")

    # ---------------------------------------------------------------- what came
    def _all_said(self) -> bool:
        return self._wanted().keys() <= self._log.said.keys()

    def _wanted(self) -> dict[str, bytes]:
        """Kept until more evidence comes: the rules take a while for 20,000 parts."""
        if self._ruled_at != len(self._log.evidence):
            every_ms = round(1000 * self._place.settings.summary_every_s)
            self._ruled, self._ruled_at = ruled(self._log, self._place.registry, every_ms), len(self._log.evidence)
        return self._ruled

    def _same(self) -> Row:
        wanted, found = events_in(self._wanted()), events_in(self._log.said)
        odd = self._log.conflicts | {name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)}
        killed = ", drift killed in between" if self._kill else ""
        return Row(
            what=f"drift.v1 is what the rules make of the log, to the byte{killed}",
            met=not odd,
            found=f"{len(found)} events" if not odd else f"{len(odd)} events differ",
        )

    def _proofs(self) -> list[Row]:
        return proofs(self._before, self._sets(), self._scenario.fails) if self._scenario.fails else []

    def _sets(self) -> dict[Proof, Sets]:
        return sets(self._place.settings, self._station.name, PRODUCT)

    def _dirt(self) -> Row:
        dirt = top_ratio(self._station.model.calibration[VIEW])
        return Row(
            what="the models' calibration scores are flagged as holding defects",
            met=dirt.flagged,
            found=f"ratio {dirt.ratio:.2f}, clean ones stay below {dirt.cut:.2f}",
        )

    def _arl0(self) -> float:
        policy = self._place.registry.policy(self._station.versions.policy)
        return policy.baseline.false_alarm_every_parts if policy else float("nan")

    # ---------------------------------------------------------------- time
    def _answered(self) -> set[str]:
        self._turn()
        return self._log.answered

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _WAIT_S
        while not condition():
            if time.monotonic() > end:
                raise Late(f"{self._scenario.name}: not within {_WAIT_S:.0f} s: {what}")
            self._turn()

    def _turn(self) -> None:
        for line in self._place.fleet.watch():
            self._place.tell(line)
        self._log.read()
