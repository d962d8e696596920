"""What the database knows of a window, asked once: the only place of the report that opens a question. Composes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from schemas.challenge import ChallengeResultV1, DetectionLimitV1, StationProofV1, SuspectWindowV1
from schemas.drift import DriftEventV1
from schemas.spc import LimitsActV1, LimitsV1, PlanV1, SignalV1, StageBreakV1, SubgroupV1
from streams.wiring.adapters.database import ask_monitors, ask_parts, ask_report
from streams.wiring.adapters.database.ask_monitors import Act, Gap
from streams.wiring.adapters.database.ask_parts import Count, Failure, Part, Reconciled, Versions
from streams.wiring.adapters.database.ask_report import First, Hole, InForce, Known, Passes, Twice, Waiting
from streams.wiring.adapters.database.scope import Scope
from streams.wiring.report.window import Window

_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """before: what movers are counted against; None: there is nothing before. stations, products: empty is all of them."""

    window: Window
    before: Window | None
    lot: str | None = None
    lot_before: str | None = None
    stations: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    asked_for: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBus:
    """What the topics say beside the database. behind: by topic, records that the sink has not read.

    verdicts: records of verdict.v1 appended within the window; copies: the same again; conflicts: ids with another content.
    """

    behind: Mapping[str, int]
    verdicts: int
    copies: int
    conflicts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Parts by their capture in the window; messages by their own time in it. now: when it was asked."""

    question: Question
    now: datetime
    counts: tuple[Count, ...]
    counts_before: tuple[Count, ...]
    late: int
    reasons: Mapping[str, int]
    failures: tuple[Failure, ...]
    firsts: tuple[First, ...]
    known: tuple[Known, ...]
    twice: tuple[Twice, ...]
    passes: tuple[Passes, ...]
    waiting: tuple[Waiting, ...]
    oldest: tuple[Part, ...]
    reconciled: tuple[Reconciled, ...]
    holes: tuple[Hole, ...]
    subgroups: tuple[SubgroupV1, ...]
    limits: tuple[LimitsV1, ...]
    signals: tuple[SignalV1, ...]
    stages: tuple[StageBreakV1, ...]
    limit_acts: tuple[LimitsActV1, ...]
    plans: tuple[PlanV1, ...]
    baselines: tuple[InForce, ...]
    judged_under: Mapping[tuple[str, str, str, str], int]
    drift: tuple[DriftEventV1, ...]
    results: tuple[ChallengeResultV1, ...]
    proofs: tuple[StationProofV1, ...]
    parts_since: Mapping[tuple[str, str, str], int]
    suspects: tuple[SuspectWindowV1, ...]
    detection: tuple[DetectionLimitV1, ...]
    versions: tuple[Versions, ...]
    titles: Mapping[str, str]
    acts: tuple[Act, ...]
    lost: tuple[Gap, ...]
    kept_since: datetime | None
    rebuilding: bool
    newest: datetime | None
    bus: OnBus | None = None


def gather(connection: Connection, question: Question, now: datetime) -> Facts:
    """Raises what the database raises."""
    window = question.window
    parts = _parts_of(question, window, question.lot)
    every = replace(parts, purposes=())
    time = Scope(begin=window.begin, end=window.end, stations=question.stations, products=question.products)
    context = time if question.before is None else replace(time, begin=question.before.begin)
    versions, acts = ask_parts.versions_used(connection, every), ask_monitors.acts(connection, time)
    digests = {found for one in versions for found in (one.policy, one.model_set) if found} | {act.digest for act in acts}
    counts, proofs = ask_parts.counts(connection, every), ask_monitors.proofs(connection, time)
    return Facts(
        question=question,
        now=now,
        counts=counts,
        counts_before=_before(connection, question),
        late=ask_report.late(connection, parts),
        reasons=ask_parts.reason_codes(connection, parts, "no_verdict"),
        failures=ask_parts.failures(connection, time),
        firsts=ask_report.firsts(connection, parts),
        known=ask_report.known_truths(connection, parts),
        twice=ask_report.looked_twice(connection, every),
        passes=ask_report.audited_passes(connection, parts),
        waiting=ask_report.waiting(connection, every),
        oldest=ask_parts.open_reviews(connection, every, _NAMED),
        reconciled=ask_parts.reconciliation(connection, every),
        holes=ask_report.holes(connection, every),
        subgroups=ask_monitors.subgroups(connection, context),
        limits=ask_monitors.limits(connection, time),
        signals=ask_monitors.signals(connection, context),
        stages=ask_monitors.stages(connection, context),
        limit_acts=ask_monitors.limit_acts(connection, time),
        plans=ask_report.plans(connection, time),
        baselines=ask_report.baselines_in_force(connection, time),
        judged_under=ask_report.judged_under(connection, parts),
        drift=ask_monitors.drift_events(connection, time),
        results=ask_monitors.challenge_results(connection, time),
        proofs=proofs,
        parts_since=ask_report.parts_since(connection, parts, proofs),
        suspects=ask_monitors.suspect_windows(connection, time),
        detection=ask_monitors.detection_limits(connection, time),
        versions=versions,
        titles=ask_report.titles(connection, sorted(digests)),
        acts=acts,
        lost=ask_monitors.gaps(connection),
        kept_since=ask_monitors.kept_since(connection),
        rebuilding=ask_monitors.rebuilding(connection),
        newest=ask_report.newest_part(connection),
    )


def _parts_of(question: Question, window: Window, lot: str | None) -> Scope:
    lots = () if lot is None else (lot,)
    return Scope(begin=window.begin, end=window.end, stations=question.stations, products=question.products, lots=lots)


def _before(connection: Connection, question: Question) -> tuple[Count, ...]:
    if question.before is None:
        return ()
    return ask_parts.counts(connection, _parts_of(question, question.before, question.lot_before))


def lot_question(connection: Connection, lot: str, zone: str, question: Question) -> Question:
    """The window of a lot is from its first to its last part; before it: the last lot of the same product that began earlier.

    Charts, drift and challenges name no lot: of them what concerns its products counts.

    Raises ValueError for a lot that nobody has seen, with the nearest names.
    """
    scope = Scope(stations=question.stations, products=question.products, purposes=())
    found = ask_report.lots(connection, scope)
    mine = next((one for one in found if one.lot == lot), None)
    if mine is None:
        raise ValueError(f"--lot: nothing was inspected of lot {lot!r}{nearest(lot, [one.lot for one in found])}")
    earlier = [one for one in found if one.first_at < mine.first_at and set(one.products) & set(mine.products)]
    before = earlier[-1] if earlier else None
    return replace(
        question,
        window=_of_lot(mine, zone),
        before=None if before is None else _of_lot(before, zone),
        lot=lot,
        lot_before=None if before is None else before.lot,
        products=mine.products,
    )


def _of_lot(lot: ask_report.Lot, zone: str) -> Window:
    end = lot.last_at + timedelta(microseconds=1)
    return Window(kind="lot", name=f"lot {lot.lot}", begin=lot.first_at, end=end, zone=zone)


def nearest(wanted: str, names: list[str]) -> str:
    """`; the nearest are ...` for an error, or that there is nothing at all."""
    if not names:
        return "; the database has none"
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.0)
    return f"; the nearest of {len(names)} are {', '.join(close)}"
