"""`verdictline baseline commission|refresh|retire`: the acts by which a baseline comes into force. Each names who and why."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from schemas.baseline import BaselineV1, CertificateV1
from schemas.common import digest
from schemas.envelope import to_millis
from schemas.ids import parse_inspection
from schemas.policy import BaselineRuleV1
from streams.monitors.commissioning import Facts, Part, Signed, Wanted, commissioned, pooled, sample_of, unmet
from streams.monitors.dirt import top_ratio
from streams.monitors.references import fitted
from streams.monitors.refresh import Decision, Ledger, gate_refresh
from streams.settings import Settings
from streams.wiring.adapters.baseline_registry import BaselineRegistry
from streams.wiring.adapters.kafka import reach
from streams.wiring.commands.baseline_case import SHORT, Case, anchor_of, events_of, parts_of, proofs_of, the_case
from streams.wiring.commands.clear import clear_end, end

Stream = Annotated[str, typer.Argument(help="Start of a station, or of a score stream's digest (`baseline list`).")]
Who = Annotated[str, typer.Option(help="Who signs.")]
Why = Annotated[str, typer.Option(help="Why.")]
Since = Annotated[str | None, typer.Option(help="First inspection of the sample. Default: the first that counts, see above.")]
MinParts = Annotated[int, typer.Option(min=1, help="Parts that the sample must hold.")]
MinLots = Annotated[int, typer.Option(min=0, help="Lots that the sample must hold, where the line tells them.")]
Reviewed = Annotated[str | None, typer.Option(help="Who looked at the strangest parts (`baseline top`).")]
Deff = Annotated[float | None, typer.Option(min=1, help="Design effect, where you know it; else it is estimated.")]
Arl0 = Annotated[float | None, typer.Option(min=1000, help="Parts between two false alarms. Default: the policy's.")]
Accept = Annotated[str | None, typer.Option(help="Why a shift beyond the limit is right; begins a new anchor.")]


def commission(
    stream: Stream,
    who: Who,
    why: Why,
    since: Since = None,
    min_parts: MinParts = 10_000,
    min_lots: MinLots = 100,
    reviewed_by: Reviewed = None,
    deff: Deff = None,
    false_alarm_every: Arl0 = None,
    accept_shift: Accept = None,
) -> None:
    """Make a baseline of this stream's own production and put it in force, from its next part on.

    The sample is what evidence.v1 holds since the present baseline took force. Its difference from the anchor goes to the
    ledger; beyond the limit it needs --accept-shift.
    """
    with clear_end("baseline commission"), _Act(stream, who, why, "commissioned") as act:
        act.collect(_since(since), deff)
        act.insist(Wanted(parts=min_parts, lots=min_lots), reviewed_by)
        act.publish(arl0=false_alarm_every, accept=accept_shift)


def refresh(
    stream: Stream,
    who: Who,
    why: Why,
    since: Since = None,
    min_parts: MinParts = 2_000,
    min_lots: MinLots = 20,
    reviewed_by: Reviewed = None,
    deff: Deff = None,
    false_alarm_every: Arl0 = None,
    accept_shift: Accept = None,
) -> None:
    """Replace a baseline by a newer sample of production, checked against the anchor of its generation.

    Without --since the sample begins after the last alarm. Refused (exit code 1) where the good parts lie further from the
    anchor than the limit: the process has moved, and a refresh would only hide it.
    """
    with clear_end("baseline refresh"), _Act(stream, who, why, "refreshed") as act:
        act.collect(_since(since) or act.after_the_alarm(), deff)
        act.insist(Wanted(parts=min_parts, lots=min_lots), reviewed_by)
        act.publish(arl0=false_alarm_every, accept=accept_shift)


def retire(stream: Stream, who: Who, why: Why) -> None:
    """Take the baseline of a score stream out of force: its parts are watched against the model's calibration scores again."""
    with clear_end("baseline retire"), _Act(stream, who, why, "retired") as act:
        done = act.registry.retire_baseline(act.case.id, who=who, why=why)
        said = "is retired" if done.changed else "was retired already"
        typer.echo(f"{act.case.name}: baseline {done.digest[:SHORT]} {said}")


class _Act:
    """One act of a person on one score stream: what is read for it, what forbids it, what it writes."""

    def __init__(self, stream: str, who: str, why: str, origin: Literal["commissioned", "refreshed", "retired"]) -> None:
        self._wanted, self._who, self._why, self._origin = stream, who, why, origin
        self._parts: list[Part] = []
        self._deff: float | None = None

    def __enter__(self) -> _Act:
        self._client = Settings().client()
        reach(self._client)
        self.registry = BaselineRegistry(self._client).start()
        self.registry.refresh()
        self.case: Case = the_case(self.registry, self._wanted)
        self._events = events_of(self._client, self.case.stream)[0]
        return self

    def __exit__(self, *_: object) -> None:
        self.registry.close()

    def after_the_alarm(self) -> tuple[int, int] | None:
        """The part after the one at which the monitor last said that the baseline does not hold."""
        alarms = [event.inspection for event in self._events if event.kind.startswith(("baseline_", "stale"))]
        if not alarms:
            return None
        epoch, n = _place(alarms[-1])
        return epoch, n + 1

    def collect(self, since: tuple[int, int] | None, deff: float | None) -> None:
        stamp, begun_ms = self.case.standing.stamped, self._in_force_ms()
        found = (
            part for part, _ in parts_of(self._client, self.case.stream) if part.baseline == stamp and part.at_ms >= begun_ms
        )
        self._parts = pooled(found, since=since)
        self._deff = deff

    def insist(self, wanted: Wanted, reviewed_by: str | None) -> None:
        proofs = {proof: _doubt(said) for proof, said in proofs_of(self._client, self.case.stream).items()}
        first = (self._parts[0].epoch, self._parts[0].n) if self._parts else (0, 0)
        alarms = tuple(event.kind for event in self._events if _place(event.inspection) >= first)
        facts = Facts(alarms=alarms, proofs=proofs, reviewed_by=reviewed_by, deff=self._deff)
        if lines := unmet(self._parts, facts, wanted):
            end(self._command, f"{self.case.name}: not {self._origin}", *lines)

    def publish(self, *, arl0: float | None, accept: str | None) -> None:
        parent = self._parent()
        policy = self.registry.policy_for(self.case.stream.product, self.case.stream.station)
        rule = policy.baseline if policy else BaselineRuleV1()
        sample = sample_of(self._parts, arl0=arl0 or rule.false_alarm_every_parts, deff=self._deff)
        anchor = anchor_of(self.registry, parent)
        decision = gate_refresh(fitted(anchor.sample), fitted(sample), _ledger(parent))
        self._tell(decision)
        if not decision.accepted and accept is None:
            end(self._command, *decision.reasons, "nothing was changed: find out what moved, or say --accept-shift and why")
        signed = Signed(
            who=self._who, why=self._why if accept is None else accept, at=datetime.now(UTC), new_anchor=not decision.accepted
        )
        message = commissioned(
            self._parts,
            sample,
            parent,
            digest(parent),
            origin="commissioned" if self._origin == "commissioned" else "refreshed",
            shift_sd=decision.shift_sd,
            scale=decision.scale,
            certificate=certificate_of(rule),
            signed=signed,
        )
        done = self.registry.publish_baseline(message, who=signed.who, why=signed.why)
        typer.echo(f"{self.case.name}: baseline {done.digest[:SHORT]} is in force from the next part on")
        typer.echo(f"  {len(sample.scores):,} parts, {len(sample.lots)} lots, generation {message.generation}")

    def _tell(self, decision: Decision) -> None:
        scores = [part.score for part in self._parts]
        typer.echo(
            f"against the anchor: good parts {decision.shift_sd:+.3f} sd (up to {decision.bound_sd:.3f} at 96 %), "
            f"spread x {decision.scale:.2f}"
        )
        dirt = top_ratio(scores)
        if dirt.flagged:
            typer.echo(
                f"verdictline {self._command}: the strangest 1 % stand out ({dirt.ratio:.2f}, clean samples stay below "
                f"{dirt.cut:.2f}): the sample may hold defects",
                err=True,
            )

    @property
    def _command(self) -> str:
        return {"commissioned": "baseline commission", "refreshed": "baseline refresh"}.get(self._origin, "baseline retire")

    def _in_force_ms(self) -> int:
        """Since when the present state holds; without an act, since ever."""
        pointer = self.registry.baseline_pointers().get(self.case.id)
        return to_millis(pointer.at) if pointer else 0

    def _parent(self) -> BaselineV1:
        """The baseline in force, else the one that was retired: the newest that was recorded."""
        if self.case.baseline is not None:
            return self.case.baseline
        entries = [one for one in self.registry.baseline_entries().values() if one.stream == self.case.stream]
        last = max(entries, key=lambda entry: entry.offset, default=None)
        found = self.registry.baseline(last.digest) if last else None
        if found is None:
            raise ValueError(f"{self.case.name} has no baseline yet: is `verdictline run drift` up, did a part come?")
        return found


def _ledger(baseline: BaselineV1) -> Ledger:
    """Of this generation: a shift that was accepted beyond the limit began it and lies before its anchor."""
    return Ledger(tuple(shift.shift_sd for shift in baseline.ledger if shift.silent))


def certificate_of(rule: BaselineRuleV1) -> CertificateV1:
    """How long the policy trusts a baseline."""
    return CertificateV1(
        parts=rule.certificate_parts,
        days=rule.certificate_days,
        lots=rule.certificate_lots,
        tool_changes=rule.certificate_tool_changes,
    )


def _doubt(said: Any) -> str:
    """Why a kind of proof does not hold; "" where it does."""
    if said is None:
        return "no set was ever run"
    return "" if said.proven else re.sub(r"\s+", " ", said.why)


def _since(inspection: str | None) -> tuple[int, int] | None:
    """Raises ValueError for what is no inspection."""
    return None if inspection is None else _place(inspection)


def _place(inspection: str) -> tuple[int, int]:
    found = parse_inspection(inspection)
    return found.epoch, found.n
