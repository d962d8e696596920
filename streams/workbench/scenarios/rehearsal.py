"""A recorded scenario through the drift monitor's pure rules: what the processor will say, without Kafka, for many seeds.

The act in the middle is the one of `baseline commission`, by the same pure rules; nothing else is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.baseline import BaselineV1, CertificateV1
from schemas.common import Message, digest
from schemas.drift import DriftEventV1
from schemas.evidence import AnomalyV1
from schemas.ids import parse_inspection
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from streams.monitors.commissioning import Part, Signed, commissioned, sample_of
from streams.monitors.dirt import top_ratio
from streams.monitors.hearing import scored, stream_of
from streams.monitors.references import References, fitted
from streams.monitors.refresh import Ledger, gate_refresh
from streams.monitors.stream import Rules, step
from streams.monitors.stream_state import StreamState
from streams.workbench.scenarios.outcome import Reported, Row, judged
from streams.workbench.scenarios.recorded import RecordedRun, part_of

_EVERY_MS, _APART_MS = 60_000, 100
_T0_MS = 1_767_600_000_000


@dataclass
class Shelf:
    """Versions by digest, in memory."""

    models: ModelSetV1
    rules: PolicyV1
    baselines: dict[str, BaselineV1] = field(default_factory=dict)

    def baseline(self, digest: str) -> BaselineV1 | None:
        return self.baselines.get(digest)

    def model_set(self, digest: str) -> ModelSetV1 | None:
        return self.models

    def policy(self, digest: str) -> PolicyV1 | None:
        return self.rules

    def keep(self, baseline: BaselineV1) -> str:
        named = digest(baseline)
        self.baselines[named] = baseline
        return named


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """baseline: as commissioned. rows: as the scenario asks; events: all, in order; flagged: the calibration scores look dirty;
    ends: of each refresh.
    """

    baseline: BaselineV1
    rows: tuple[Row, ...]
    events: tuple[DriftEventV1, ...]
    flagged: bool
    ends: tuple[str, ...]

    @property
    def met(self) -> bool:
        return all(row.met for row in self.rows)


def rehearse(run: RecordedRun, models: ModelSetV1, policy: PolicyV1) -> Rehearsed:
    """From the first part to the last, with the commissioning and the refreshes of the scenario."""
    scenario = run.scenario
    monitor = _Monitor(Shelf(models=models, rules=policy))
    before = list(run.evidence(0, scenario.commissioned, None))
    monitor.hear(before)
    sample = [part for part in map(_part, before) if part is not None]
    first = monitor.commission(sample, policy.baseline.false_alarm_every_parts)
    after = list(run.evidence(scenario.commissioned, scenario.parts, first))
    monitor.hear(after)
    rest = [(part_of(scenario, parse_inspection(one.inspection).n), _part(one)) for one in after]
    ends = []
    for refresh in scenario.refreshes:
        candidate = [part for n, part in rest if part is not None and refresh.since <= n < refresh.at]
        ends.append("accepted" if monitor.gate(first, candidate) else "refused")
    reported = [
        Reported(part_of(scenario, parse_inspection(event.inspection).n), event.kind, event.cause.name if event.cause else None)
        for event in monitor.events
    ]
    return Rehearsed(
        baseline=monitor.baseline(first),
        rows=judged(reported, scenario.must, scenario.never, scenario.commissioned),
        events=tuple(monitor.events),
        flagged=top_ratio(run.stamp.calibration).flagged,
        ends=tuple(ends),
    )


class _Monitor:
    """One score stream and what was said of it."""

    def __init__(self, shelf: Shelf) -> None:
        self.events: list[DriftEventV1] = []
        self._shelf = shelf
        self._references = References(shelf)
        self._state: StreamState | None = None
        self._parent: BaselineV1 | None = None
        self._heard = 0

    def hear(self, evidence: Iterable[AnomalyV1]) -> None:
        for one in evidence:
            key, stream = stream_of(one)
            rules = Rules(id=key, references=self._references, every_ms=_EVERY_MS)
            at_ms = _T0_MS + _APART_MS * self._heard
            outcome = step(self._state or StreamState(stream), scored(one, at_ms), rules)
            self._state, self._heard = outcome.state, self._heard + 1
            self._keep(outcome.messages)

    def commission(self, parts: list[Part], arl0: float) -> str:
        """As `baseline commission` does; its digest."""
        if self._parent is None:
            raise ValueError("the stream stands on no baseline: it has no calibration scores")
        sample = sample_of(parts, arl0=arl0, deff=None)
        decision = gate_refresh(fitted(self._parent.sample), fitted(sample), Ledger())
        at = datetime.fromtimestamp(_T0_MS / 1000, UTC)
        signed = Signed(who="rehearsal", why="rehearsal", at=at, new_anchor=not decision.accepted)
        made = commissioned(
            parts,
            sample,
            self._parent,
            digest(self._parent),
            origin="commissioned",
            shift_sd=decision.shift_sd,
            scale=decision.scale,
            certificate=CertificateV1(),
            signed=signed,
        )
        return self._shelf.keep(made)

    def baseline(self, named: str) -> BaselineV1:
        return self._shelf.baselines[named]

    def gate(self, anchor: str, candidate: list[Part]) -> bool:
        """Whether a refresh with these parts would be silent."""
        kept = self.baseline(anchor)
        sample = sample_of(candidate, arl0=kept.sample.arl0, deff=None)
        return gate_refresh(fitted(kept.sample), fitted(sample), Ledger()).accepted

    def _keep(self, messages: Iterable[Message]) -> None:
        for message in messages:
            match message:
                case DriftEventV1():
                    self.events.append(message)
                case BaselineV1():
                    self._shelf.keep(message)
                    self._parent = message


def _part(evidence: AnomalyV1) -> Part | None:
    """None for a golden part."""
    if evidence.purpose != "production":
        return None
    place = parse_inspection(evidence.inspection)
    return Part(epoch=place.epoch, n=place.n, score=evidence.score, at_ms=0, lot=evidence.lot, baseline=evidence.baseline)
