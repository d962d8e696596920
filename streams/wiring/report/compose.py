"""Facts become a report: frozen dataclasses, and the same as JSON with its schema. Pure; draws nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from streams.wiring.report.complete import Reconciliation, lacking, reconciliation
from streams.wiring.report.defects import Defects, defects
from streams.wiring.report.facts import Facts
from streams.wiring.report.headline import Found, Line, headline
from streams.wiring.report.lineage import Lineage, lineage
from streams.wiring.report.process import Process, Published, process
from streams.wiring.report.production import Production, production
from streams.wiring.report.stations import Baseline, Drift, Record, baselines, drift, record
from streams.wiring.report.truth import DefectRate, Escapes, Truth, defect_rates, escapes, truths

VERSION = "verdictline.report.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """hours: as long as the window really was. before: what movers are counted against; None: nothing. Times are UTC.

    stations, products: what was asked for; empty is all of them. asked_for: in the words of the command.
    """

    kind: Literal["shift", "lot", "range"]
    name: str
    begin: datetime
    end: datetime
    hours: float
    zone: str
    lot: str | None
    before: str | None
    stations: tuple[str, ...]
    products: tuple[str, ...]
    asked_for: str
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenReviews:
    """Parts of one product that wait for a person; of all purposes but challenges, which nobody decides."""

    product: str
    n: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPart:
    inspection: str
    serial: str | None
    lot: str | None
    product: str
    label: str | None
    reasons: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """n times a stage could not observe."""

    station: str
    stage: str
    reason: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the data lack stands first, then five lines, then what they rest on. All shares are of 1; intervals are 95 %."""

    version: str
    about: About
    lacking: tuple[str, ...]
    headline: tuple[Line, ...]
    production: Production
    defects: tuple[Defects, ...]
    truths: tuple[Truth, ...]
    escapes: tuple[Escapes, ...]
    rates: tuple[DefectRate, ...]
    process: Process
    baselines: tuple[Baseline, ...]
    drift: tuple[Drift, ...]
    challenges: Record
    open_reviews: tuple[OpenReviews, ...]
    oldest_reviews: tuple[OpenPart, ...]
    lineage: Lineage
    reconciliation: Reconciliation
    failures: tuple[Failed, ...]


def compose(facts: Facts) -> Report:
    window = facts.question.window
    published = Published(
        subgroups=facts.subgroups, limits=facts.limits, signals=facts.signals, stages=facts.stages, plans=facts.plans
    )
    made = production(facts.counts, facts.late, facts.reasons)
    known, escaped = truths(facts.firsts, facts.known, facts.twice), escapes(facts.passes)
    before = facts.question.before
    found = Found(
        production=made,
        defects=defects(facts.counts, facts.counts_before),
        truths=known,
        escapes=escaped,
        rates=defect_rates(known, escaped, facts.results),
        process=process(published, window),
        baselines=baselines(facts.baselines, facts.judged_under),
        drift=drift(facts.drift),
        record=record(facts.results, facts.proofs, facts.parts_since, facts.suspects, facts.detection),
        waiting=facts.waiting,
        reconciliation=reconciliation(facts.reconciled, facts.holes, facts.bus),
        before=None if before is None else before.name,
        now=facts.now,
        zone=window.zone,
    )
    return Report(
        version=VERSION,
        about=_about(facts),
        lacking=lacking(facts),
        headline=headline(found),
        production=found.production,
        defects=tuple(found.defects),
        truths=tuple(found.truths),
        escapes=tuple(found.escapes),
        rates=tuple(found.rates),
        process=found.process,
        baselines=tuple(found.baselines),
        drift=tuple(found.drift),
        challenges=found.record,
        open_reviews=tuple(OpenReviews(product=one.product, n=one.n, oldest_at=one.oldest_at) for one in facts.waiting),
        oldest_reviews=_oldest(facts),
        lineage=lineage(facts.versions, facts.acts, facts.limit_acts, facts.stages, facts.titles, window),
        reconciliation=found.reconciliation,
        failures=tuple(Failed(station=one.station, stage=one.by, reason=one.reason, n=one.n) for one in facts.failures),
    )


def _about(facts: Facts) -> About:
    question = facts.question
    window = question.window
    return About(
        kind=window.kind,
        name=window.name,
        begin=window.begin,
        end=window.end,
        hours=window.hours,
        zone=window.zone,
        lot=question.lot,
        before=None if question.before is None else question.before.name,
        stations=question.stations,
        products=question.products,
        asked_for=question.asked_for,
        made_at=facts.now,
    )


def _oldest(facts: Facts) -> tuple[OpenPart, ...]:
    return tuple(
        OpenPart(
            inspection=one.inspection,
            serial=one.serial,
            lot=one.lot,
            product=one.product,
            label=one.label,
            reasons=one.codes,
            at=one.at,
        )
        for one in facts.oldest
    )


_ADAPTER = TypeAdapter(Report)


def as_json(report: Report) -> bytes:
    """One object, indented; times RFC 3339 with UTC, null where nothing is known."""
    return _ADAPTER.dump_json(report, indent=1)


def json_schema() -> str:
    """Of `as_json`: JSON Schema, as committed."""
    found: dict[str, Any] = _ADAPTER.json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **found}, indent=1, ensure_ascii=False) + "\n"
