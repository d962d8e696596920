"""The drift processor between the engine and the rules: what it takes of a record, what it gives back, and when it waits."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.baseline import BaselineStateV1, BaselineV1
from schemas.codec import record_of
from schemas.common import digest
from schemas.drift import DriftEventV1, DriftSummaryV1
from schemas.envelope import ContractError, Received, Record
from schemas.evidence import AnomalyV1, ChallengeStampV1, ImageStatsV1, TickV1
from schemas.topics import BASELINE, DRIFT, EVIDENCE
from streams.monitors.hearing import scored, stream_of
from streams.monitors.ordering import GAP_MS
from streams.wiring.processors.drift import Streams, record_for
from tests.helpers.scores import score_evidence
from tests.helpers.streams import STREAM, Shelf, models, normal, parts, told

SHELF = Shelf()
MODELS = SHELF.put(models(normal(300, seed=1)))
KEY = digest(STREAM)
EVERY_MS = 1000


def received(evidence: AnomalyV1 | TickV1, at_ms: int) -> Received:
    subject = evidence.inspection if isinstance(evidence, AnomalyV1) else "tick"
    sent = record_of(evidence, id="id", station="a/b/c", subject=subject)
    return Received(
        topic=EVIDENCE, partition=3, offset=at_ms, timestamp_ms=at_ms, key=sent.key, value=sent.value, headers=sent.headers
    )


def golden(**changes: Any) -> AnomalyV1:
    stamp: dict[str, Any] = {"set": "s", "part": "master", "proof": "digital", "kind": "golden"}
    return score_evidence(7, 0.4, purpose="challenge", challenge=ChallengeStampV1(**{**stamp, **changes}))


@pytest.mark.parametrize("purpose", ["setup", "study", "rework", "reinspection", "challenge"])
def test_only_production_has_a_score(purpose: str) -> None:
    assert scored(score_evidence(7, 0.4, purpose=purpose), 100).score is None
    assert scored(score_evidence(7, 0.4), 100)[:5] == (5, 7, 100, 0.4, 0.5)


def test_a_golden_part_is_known_by_name_and_its_image_only_where_it_is_injected() -> None:
    assert scored(golden(), 0).golden == ("master", "digital", "ab" * 8)
    assert scored(golden(proof="physical"), 0).golden == ("master", "physical", "")
    assert scored(golden(view="v2"), 0)[3] is None
    assert scored(golden(kind="defect"), 0).golden is None


def test_the_image_speaks_in_the_order_of_its_statistics() -> None:
    stats = ImageStatsV1(light=1, contrast=2, sharpness=3, shift_x_px=4, shift_y_px=5)
    assert scored(score_evidence(7, image_stats=stats), 0).image == (1, 2, 3, 4, 5)
    assert scored(score_evidence(7), 0).image is None


def test_what_is_no_anomaly_evidence_only_tells_the_time() -> None:
    streams = Streams(EVERY_MS, SHELF)
    first = received(score_evidence(0, 0.1, model_set=MODELS), 1000)
    assert streams.key(first) == KEY
    state, outputs = streams.step(None, first)
    assert state is not None
    assert outputs == []
    assert streams.due(state) == 1000 + GAP_MS
    assert streams.expire(KEY, state, 10**9) == (state, [])  # a tick is no proof that the log has gone on
    assert streams.key(received(TickV1(owner="triage-0"), 1000 + GAP_MS)) is None
    after, outputs = streams.expire(KEY, state, 0)
    assert after is not state
    assert [record.topic for record in outputs] == [BASELINE, DRIFT, BASELINE]


def test_a_copy_gives_the_same_state_back() -> None:
    streams = Streams(EVERY_MS, SHELF)
    one = received(score_evidence(0, 0.1, model_set=MODELS), 1000)
    state, _ = streams.step(None, one)
    assert streams.step(state, one) == (state, [])
    assert streams.step(state, one)[0] is state


def test_a_state_read_from_the_changelog_goes_on_like_the_one_in_memory() -> None:
    warm, cold = Streams(EVERY_MS, SHELF), Streams(EVERY_MS, SHELF)
    state: Any = None
    said: list[Record] = []
    for n, score in enumerate(normal(300, seed=2) + normal(100, seed=3, shift=2)):
        record = received(score_evidence(n, score, model_set=MODELS), 1000 + 7 * n)
        (after, outputs), again = warm.step(state, record), cold.step(state, record)
        assert again == (after, outputs)
        cold = Streams(EVERY_MS, SHELF) if n % 50 == 0 else cold
        state, said = after, [*said, *outputs]
    assert {dict(record.headers)["ce_type"].decode() for record in said} == {
        kind.TYPE for kind in (BaselineV1, BaselineStateV1, DriftEventV1, DriftSummaryV1)
    }


@pytest.mark.parametrize("score", ["NaN", "Infinity", "-Infinity", "1e999", '"high"', "null"])
def test_a_score_that_is_no_number_is_refused_before_any_state_is_touched(score: str) -> None:
    streams = Streams(EVERY_MS, SHELF)
    good = received(score_evidence(0, 0.1234), 5)
    bad = Received(
        **{name: getattr(good, name) for name in ("topic", "partition", "offset", "timestamp_ms", "key", "headers")},
        value=(good.value or b"").replace(b"0.1234", score.encode()),
    )
    with pytest.raises(ContractError, match="bad_data"):
        streams.key(bad)


def test_every_output_has_an_id_of_its_own_and_its_key() -> None:
    said = told(SHELF, parts([*normal(300, seed=2), *normal(200, seed=3, shift=1.5)], MODELS))[1]
    records = [record_for(KEY, message) for message in said]
    ids = [dict(record.headers)["ce_id"] for record in records]
    assert len(set(ids)) == len(ids)
    keys = {record.key for record in records if record.topic == BASELINE}
    made = next(message for message in said if isinstance(message, BaselineV1))
    assert keys == {digest(made).encode(), f"state/{KEY}".encode()}
    assert {record.key for record in records if record.topic == DRIFT} == {b"a/b/c"}


def test_streams_differ_by_everything_that_moves_scores() -> None:
    other = STREAM.model.model_copy(update={"profile": "gpu-fp16"})
    kinds = [
        score_evidence(0),
        score_evidence(0, view="v2"),
        score_evidence(0, acquisition="cd" * 32),
        score_evidence(0, model=other),
    ]
    assert len({stream_of(kind)[0] for kind in kinds}) == len(kinds)
    assert stream_of(score_evidence(0)) == stream_of(score_evidence(7, 3.0)) == (KEY, STREAM)
