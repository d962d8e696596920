"""What triage, drift and challenge count and show, and a gauge that forgets what its process does not own any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import REGISTRY, generate_latest

from schemas.baseline import CertificateV1
from schemas.codec import record_of
from schemas.common import Message
from streams.judgement.versions import RuleBook
from streams.metrics import Snapshot
from streams.wiring.adapters.baselines import BaselineEntry
from streams.wiring.processors.challenge import Challenges, Past, passes, proofs, watched
from streams.wiring.processors.drift import certificate_ends, standings
from streams.wiring.processors.triage import CountedShard
from tests.helpers.challenges import schedule
from tests.helpers.evidence_log import Published, appended, log_of, tick
from tests.helpers.judgement import STATION as PLACE
from tests.helpers.judgement import announced, anomaly, classification, model_set, policy
from tests.helpers.streams import STREAM

STATION = "plant-a/line-1/cam-1"
DAY_S = 86_400


def _stream(moment_ms: int, said: str | None, digest: str | None = None, since_ms: int = 0) -> dict[str, Any]:
    named = {"station": STATION, "product": "disc", "view": "face"}
    basis = ["stamp", digest, "commissioned", "set", 1e6]
    return {"stream": {"stream": named, "moment_ms": moment_ms, "said": said, "basis": basis, "trust": [since_ms, 0, 0, 0]}}


def _entry(days: float | None) -> BaselineEntry:
    facts: dict[str, Any] = {"origin": "commissioned", "generation": 1, "anchor": None, "parent": None, "n": 1, "offset": 0}
    return BaselineEntry(digest="d", stream=STREAM, certificate=CertificateV1(days=days), **facts)


def _counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_snapshot_shows_what_is_there_now() -> None:
    gauge, rows = Snapshot("test_snapshot_rows", "Rows of a test", ["station"]), [((STATION,), 2.0)]
    try:
        assert b"test_snapshot_rows{" not in generate_latest()
        gauge.follow(lambda: rows)
        assert f'test_snapshot_rows{{station="{STATION}"}} 2.0'.encode() in generate_latest()
        rows.clear()
        assert b"test_snapshot_rows{" not in generate_latest()
    finally:
        REGISTRY.unregister(gauge)


def test_the_stream_that_was_judged_last_speaks_for_its_place() -> None:
    place = (STATION, "disc", "face")
    old, new = _stream(1000, "stale"), _stream(2000, "active")
    assert list(standings([new, old])) == [(place, 1.0)]
    assert list(standings([_stream(1, "suspect")])) == [(place, 2.0)]
    assert list(standings([_stream(1, None)])) == []


def test_a_certificate_ends_its_days_after_the_baseline_took_force() -> None:
    since = datetime(2026, 11, 1, tzinfo=UTC)
    stream = _stream(1, "active", "d", since_ms=round(since.timestamp() * 1000))
    ((place, end),) = certificate_ends([stream], {"d": _entry(90)})
    assert place == (STATION, "disc", "face")
    assert datetime.fromtimestamp(end, UTC) == since + timedelta(days=90)
    assert list(certificate_ends([stream], {"d": _entry(None)})) == []
    assert list(certificate_ends([_stream(1, "provisional")], {})) == []


def test_proofs_are_read_from_the_table_with_defaults_left_out() -> None:
    lines = {
        "disc/digital": {"product": "disc", "proof": "digital", "proven": True, "last_pass_ms": 5000},
        "disc/physical": {"product": "disc", "proof": "physical"},
    }
    states: list[dict[str, Any]] = [{"station": {"station": STATION, "lines": lines}}, {"station": {"station": "a/b/c"}}]
    assert dict(proofs(states)) == {(STATION, "disc", "digital"): 1.0, (STATION, "disc", "physical"): 0.0}
    assert dict(passes(states)) == {(STATION, "disc", "digital"): 5.0}


def test_missed_sets_are_counted_from_zero_as_soon_as_a_station_is_known() -> None:
    """Prometheus' `increase` does not see a series being born at 1: the first miss of a station would be silent."""
    registered, kept = "plant/line-8/cam-1", "plant/line-8/cam-2"
    record = record_of(schedule(station=registered), id="s/1", station=registered, subject=registered)
    Challenges(RuleBook(Published()), Past({})).step(None, appended(record, 0, 0))
    lines = {"disc/physical": {"product": "disc", "proof": "physical"}}
    rows = watched([{"station": {"station": kept, "lines": lines}}])
    assert rows == [((kept, "disc", "physical"), 0.0)]
    for station, proof in ((registered, "digital"), (kept, "physical")):
        assert REGISTRY.get_sample_value("verdictline_challenge_missed_total", {"station": station, "proof": proof}) == 0


def test_announced_judged_and_missed_deadlines_are_counted_apart() -> None:
    models, rules = model_set("anomaly", "classification"), policy()
    in_time, late = (f"{PLACE}:1700000000000-{n:012d}" for n in (7, 8))
    events: list[tuple[float, Message]] = [
        (0.0, announced(in_time, rules, models)),
        (0.1, anomaly(in_time, models)),
        (0.1, classification(in_time, models)),
        (0.2, announced(late, rules, models, purpose="study")),
    ]
    names = ("verdictline_announced_total", "verdictline_judged_total")
    before = [_counted(name, station=PLACE) for name in names]
    shard = CountedShard(RuleBook(Published(rules, models)))
    for record in log_of(events):
        shard.step(record)
    assert [_counted(name, station=PLACE) - was for name, was in zip(names, before, strict=True)] == [2, 1]
    assert shard.waiting == 1
    missed = _counted("verdictline_no_verdict_total", station=PLACE, reason="missing_evidence")
    product = models.product
    production = _counted("verdictline_verdicts_total", station=PLACE, product=product, disposition="no_verdict")
    (ticked,) = log_of([(3600.0, tick())])
    shard.step(ticked)
    assert _counted("verdictline_judged_total", station=PLACE) - before[1] == 2
    assert _counted("verdictline_no_verdict_total", station=PLACE, reason="missing_evidence") - missed == 1
    assert _counted("verdictline_verdicts_total", station=PLACE, product=product, disposition="no_verdict") == production
    assert shard.waiting == 0
