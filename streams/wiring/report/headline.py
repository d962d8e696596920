"""Five lines: what happened, what changed, how the stations stood, what needs a decision, what cannot be claimed.

Words only; every number in them stands in the sections below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from streams.wiring.adapters.database.ask_report import Waiting
from streams.wiring.report.complete import Reconciliation
from streams.wiring.report.defects import Defects
from streams.wiring.report.process import Process
from streams.wiring.report.production import DISPOSITIONS, Production
from streams.wiring.report.stations import DOUBTED, Baseline, Drift, Record
from streams.wiring.report.truth import DefectRate, Escapes, Truth
from streams.wiring.report.window import local
from streams.wiring.report.words import chart, count, interval, lasting, listed, percent, signed

About = Literal["happened", "changed", "stations", "decide", "not_claimed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One of five. attention: somebody has to do something, or must not rely on something."""

    about: About
    head: str
    text: str
    attention: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All that the lines speak of. before: name of the window that movers are counted against."""

    production: Production
    defects: Sequence[Defects]
    truths: Sequence[Truth]
    escapes: Sequence[Escapes]
    rates: Sequence[DefectRate]
    process: Process
    baselines: Sequence[Baseline]
    drift: Sequence[Drift]
    record: Record
    waiting: Sequence[Waiting]
    reconciliation: Reconciliation
    before: str | None
    now: datetime
    zone: str


def headline(found: Found) -> tuple[Line, ...]:
    return (_happened(found), _changed(found), _stations(found), _decide(found), _not_claimed(found))


def _happened(found: Found) -> Line:
    made, whole = found.production, found.reconciliation
    if not made.total.n and not whole.announced:
        return Line(about="happened", head="Inspected", text="Nothing was inspected.", attention=False)
    shares = ", ".join(f"{name.replace('_', ' ')} {made.total.counts[name]:,}{_of(made, name)}" for name in DISPOSITIONS)
    lines, products = {row.line for row in made.rows}, {row.product for row in made.rows}
    where = f"{count(len(products), 'product')} on {count(len(lines), 'line')}"
    return Line(
        about="happened",
        head="Inspected",
        text=f"{count(made.total.n, 'part')} of {where}: {shares}. {_one_each(whole)}",
        attention=not whole.complete,
    )


def _of(made: Production, name: str) -> str:
    value = made.total.shares[name].value
    return f" ({percent(value)})" if made.total.counts[name] else ""


def _one_each(whole: Reconciliation) -> str:
    if whole.complete:
        return f"All {count(whole.announced, 'announced inspection')} have one verdict."
    faults = [
        (whole.missing, "announced without a verdict"),
        (whole.gap_numbers, "numbers neither announced nor judged"),
        (sum(one.unannounced for one in whole.stations), "judged without an announcement"),
        (len(whole.conflicts or ()), "verdicts with two contents"),
    ]
    return f"Of {whole.announced:,} announced: " + ", ".join(f"{n:,} {what}" for n, what in faults if n) + "."


def _changed(found: Found) -> Line:
    moved = [f"{one.name} on {of.product} {_moved(one.change, one.low, one.high)}" for of in found.defects for one in of.moved]
    since = f" against {found.before}" if found.before else ""
    if found.before is None or not any(of.changes for of in found.defects):
        first = "Nothing to compare with: no part was inspected before."
    elif moved:
        first = f"Moved{since}: {listed(moved)}."
    else:
        first = f"No class of defect moved significantly{since}."
    signals = [one for one in found.process.signals if not one.again]
    firm = [one for one in signals if not one.doubt]
    if not found.process.courses:
        second = "No SPC subgroup was published."
    elif not signals:
        second = f"No SPC signal on {count(len(found.process.courses), 'chart')}."
    else:
        named = listed(
            list(dict.fromkeys(f"{chart(one.characteristic)} ({one.product}, {one.station})" for one in firm or signals)), 2
        )
        doubted = f", {len(signals) - len(firm)} of them with a doubt about the measurement" if len(firm) < len(signals) else ""
        second = f"{count(len(signals), 'SPC signal')}{doubted}: {named}."
    return Line(about="changed", head="Changed", text=f"{first} {second}", attention=bool(moved or firm))


def _moved(change: float | None, low: float, high: float) -> str:
    return f"{signed(change or 0.0)} points ({signed(low)} to {signed(high)})"


def _stations(found: Found) -> Line:
    doubted = [f"{one.station} {one.view} {one.state}" for one in found.baselines if one.state in DOUBTED]
    unproven = [f"{one.station} ({one.product}, {one.proof})" for one in found.record.proofs if not one.proven]
    defects = found.record.defects
    sets = (
        f"{defects.events} of {count(defects.n, 'challenge defect')} caught" if defects.n else "no challenge defect was answered"
    )
    states = f"baselines in doubt: {listed(doubted)}" if doubted else f"{count(len(found.baselines), 'baseline')}, none in doubt"
    if not found.baselines:
        states = "no baseline is known"
    events = [one for one in found.drift if one.kind not in ("new_stream", "new_baseline")]
    text = f"{states}; {count(len(events), 'drift event')}; {sets}"
    text += f"; not proven: {listed(unproven)}." if unproven else "."
    missed = defects.events < defects.n
    return Line(about="stations", head="Stations", text=text[0].upper() + text[1:], attention=bool(doubted or unproven or missed))


def _decide(found: Found) -> Line:
    todo = []
    if found.waiting:
        n, oldest = sum(one.n for one in found.waiting), min(one.oldest_at for one in found.waiting)
        age = f"the oldest {lasting(found.now - oldest)} old ({local(oldest, found.zone)})"
        todo.append(f"{count(n, 'part')} {'waits' if n == 1 else 'wait'} for review, {age}")
    suspect = sum(one.suspect for one in found.record.proofs)
    if suspect:
        todo.append(f"{count(suspect, 'suspect part')} of stations that missed a challenge: contain or release")
    stale = [one.station for one in found.baselines if one.state in ("stale", "suspect")]
    if stale:
        todo.append(f"refresh the baseline or stop: {listed(sorted(set(stale)))}")
    if found.reconciliation.missing:
        todo.append(f"{count(found.reconciliation.missing, 'part')} without a verdict: hold them")
    text = "; ".join(todo) or "nothing waits for a decision"
    return Line(about="decide", head="To decide", text=f"{text[0].upper()}{text[1:]}.", attention=bool(todo))


def _not_claimed(found: Found) -> Line:
    claims = [f"{one.product}: at most {percent(one.high)} of passed parts are bad" for one in found.escapes if one.claimed]
    silent = [one.product for one in found.escapes if not one.claimed]
    said = []
    if silent:
        said.append(f"of escapes nothing can be claimed for {listed(silent)}: {_reason(found.escapes)}")
    if claims:
        said.append(f"escapes, 95 %: {listed(claims)}")
    unlooked = [one for one in found.truths if one.rejects and not one.all_looked]
    if unlooked:
        n = sum(one.rejects - one.true_rejects.n for one in unlooked)
        said.append(f"whether {count(n, 'part')} not passed {'is' if n == 1 else 'are'} bad: nobody has looked")
    if not found.escapes and not unlooked:
        said.append("no part passed: there is nothing to claim")
    text = "; ".join(said)
    return Line(about="not_claimed", head="Not claimed", text=f"{text[0].upper()}{text[1:]}.", attention=bool(silent))


def _reason(escapes: Sequence[Escapes]) -> str:
    kinds = {_why(one) for one in escapes if not one.claimed}
    return "; ".join(sorted(kinds))


def _why(one: Escapes) -> str:
    if one.method == "unequal":
        return "passes were drawn for audit with several probabilities, and of those answered it is not known with which"
    return "no pass was drawn for audit" if not one.drawn else "no audited pass has an answer yet"


def bound(one: Escapes) -> str:
    """What stands in the section on escapes."""
    if one.method == "betting":
        return f"at most {percent(one.high)} of passed parts are bad (95 %, drawn with several probabilities)"
    if one.claimed:
        return f"{interval(one.low, one.high)} of passed parts are bad (95 %)"
    return f"nothing can be claimed: {_why(one)}"
