"""CloudEvents in Kafka's binary mode: golden headers, the way there and back, and hostile headers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.capture import Context, capture_envelope, context_of
from schemas.codec import Reader, enveloped, record_of
from schemas.dead_letter import dead_letter, dead_letter_facts
from schemas.envelope import ContractError, Envelope, Headers, Received, Record, envelope_of, from_millis, rfc3339, to_millis
from schemas.evidence import AnnouncedV1, ChallengeStampV1, TickV1
from schemas.ids import evidence_id, inspection_id, parse_inspection, station_path, verdict_id
from schemas.topics import DEAD_LETTER, EVIDENCE

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
STATION = "lyon/line-2/press-out"
INSPECTION = inspection_id(STATION, 1795471200123, 417)
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
TIMES = st.integers(0, 7 * 10**15).map(lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros))
NAMES = st.text(max_size=12) | st.sampled_from(["ce_id", "ce_type", "ce_time", "ce_source"])
EXTENSIONS = st.dictionaries(st.from_regex(r"x[a-z0-9]{1,18}", fullmatch=True), TEXT, max_size=5)


def arrived(record: Record, headers: Headers | None = None) -> Received:
    return Received(
        topic=record.topic,
        partition=3,
        offset=18042,
        timestamp_ms=1795471200500,
        key=record.key,
        value=record.value,
        headers=record.headers if headers is None else headers,
    )


def test_golden_bytes() -> None:
    """What other programs rely on, byte for byte."""
    tick = record_of(
        TickV1(owner="triage-0"), id="t/1", station=STATION, subject=str(INSPECTION), time=from_millis(1795471200500)
    )
    assert tick == Record(
        topic=EVIDENCE,
        key=b"lyon/line-2/press-out",
        value=b'{"owner":"triage-0"}',
        headers=(
            ("ce_specversion", b"1.0"),
            ("ce_id", b"t/1"),
            ("ce_source", b"lyon/line-2/press-out"),
            ("ce_type", b"verdictline.evidence.tick.v1"),
            ("ce_subject", b"lyon/line-2/press-out:1795471200123-000000000417"),
            ("ce_time", b"2026-11-23T22:00:00.500000Z"),
            ("ce_sequence", b"001795471200123-000000000417"),
            ("ce_partitionkey", b"lyon/line-2/press-out"),
            ("ce_dataschema", b"urn:verdictline:schema:verdictline.evidence.tick.v1"),
            ("content-type", b"application/json"),
        ),
    )
    assert verdict_id(str(INSPECTION), 2) == f"{INSPECTION}/2"
    assert evidence_id(str(INSPECTION), "anomaly", view="v1", model_set="ab") == f"{INSPECTION}/v1/anomaly/ab"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
@given(
    id=TEXT,
    subject=TEXT,
    time=st.none() | TIMES,
    optional=st.tuples(*[st.none() | TEXT] * 4),
    extensions=EXTENSIONS,
)
def test_there_and_back(
    id: str, subject: str, time: datetime | None, optional: tuple[str | None, ...], extensions: dict[str, str]
) -> None:
    sequence, partitionkey, dataschema, traceparent = optional
    envelope = Envelope(
        id=id,
        source=STATION,
        type="verdictline.evidence.tick.v1",
        subject=subject,
        time=time,
        sequence=sequence,
        partitionkey=partitionkey,
        dataschema=dataschema,
        traceparent=traceparent,
        extensions=extensions,
    )
    assert envelope_of(envelope.headers()) == envelope
    assert envelope_of(reversed(envelope.headers())) == envelope


@given(st.lists(st.tuples(NAMES, st.binary() | st.none())))
def test_hostile_headers_give_one_kind_of_error(headers: list[tuple[str, bytes | None]]) -> None:
    with pytest.raises(ContractError) as caught:
        envelope_of(headers)
    assert caught.value.reason in ("missing_header", "bad_header")


def test_other_programs_headers_are_no_fault() -> None:
    envelope = Envelope(id="1", source="s", type="t", subject="x")
    more = (("traceparent", b"00-1"), ("ce_Odd-Name", b"1"), ("__connect", None))
    assert envelope_of((*envelope.headers(), *more)) == envelope


@given(
    station=st.from_regex(r"[a-z0-9_-]{1,63}/[a-z0-9_-]{1,63}/[a-z0-9_-]{1,63}", fullmatch=True),
    epoch=st.integers(0, 10**15 - 1),
    n=st.integers(0, 10**12 - 1),
    other=st.tuples(st.integers(0, 10**15 - 1), st.integers(0, 10**12 - 1)),
)
def test_ids_there_and_back_and_in_order(station: str, epoch: int, n: int, other: tuple[int, int]) -> None:
    one, two = inspection_id(station, epoch, n), inspection_id(station, *other)
    assert parse_inspection(str(one)) == one
    assert (one.sequence < two.sequence) == ((epoch, n) < other)


@pytest.mark.parametrize(
    "text", ["", "a/b", "a/b/c/d", "A/b/c", "a/b/c\n", "a//c", "a/b/" + "c" * 64, "a/b/ü", "a/b/c:1-1", "a/../c"]
)
def test_stations_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no station"):
        station_path(text)


@given(st.integers(0, 4102444800000))
def test_milliseconds_there_and_back(milliseconds: int) -> None:
    assert to_millis(from_millis(milliseconds)) == milliseconds
    assert len(rfc3339(from_millis(milliseconds))) == 27


def test_reader_ignores_what_is_not_its_own_and_refuses_other_versions() -> None:
    reader = Reader(AnnouncedV1)
    tick = record_of(TickV1(owner="triage-0"), id="t", station=STATION, subject="x")

    def of_type(text: str) -> Received:
        return arrived(tick, tuple((k, text.encode() if k == "ce_type" else v) for k, v in tick.headers))

    for foreign in ("verdictline.evidence.tick.v1", "verdictline.evidence.later.v7", "com.example.thing", "verdictline."):
        assert reader.read(of_type(foreign)) is None
        assert not reader.wants(of_type(foreign))
    with pytest.raises(ContractError, match="unknown_version"):
        reader.read(of_type("verdictline.evidence.announced.v2"))
    with pytest.raises(ContractError, match="bad_data"):
        reader.read(of_type("verdictline.evidence.announced.v1"))
    with pytest.raises(ContractError, match="missing_header"):
        reader.read(arrived(tick, ()))


@pytest.mark.parametrize(
    "value", [None, b"", b"\x89PNG", b"null", b"[]", b'{"owner":', b"\xff\xfe", b'{"owner": 1}', b"{" * 5000]
)
def test_data_that_is_none(value: bytes | None) -> None:
    tick = record_of(TickV1(owner="triage-0"), id="t", station=STATION, subject="x")
    received = Received(topic=EVIDENCE, partition=0, offset=0, timestamp_ms=0, key=None, value=value, headers=tick.headers)
    with pytest.raises(ContractError) as caught:
        Reader(TickV1).read(received)
    assert caught.value.reason in ("not_json", "bad_data")


def test_an_image_context_there_and_back() -> None:
    context = Context(
        inspection=str(INSPECTION),
        station=STATION,
        view="v1",
        views=2,
        product="disc",
        lot="Los 7 · früh",
        acquisition="a" * 64,
        purpose="challenge",
        model_set="b" * 64,
        policy="c" * 64,
        decide_within_s=2.5,
        challenge=ChallengeStampV1(set="früh/1", part="G 1", proof="physical", kind="golden"),
        sha256="d" * 64,
    )
    record = enveloped(capture_envelope(context, ticket=False, content_type="image/png"), b"\x89PNG")
    assert context_of(envelope_of(record.headers)) == context
    assert envelope_of(record.headers).dataschema is None


@pytest.mark.parametrize("text", ["", "null", "golden", '{"set": "s"}', "[]"])
def test_a_damaged_challenge_stamp_is_a_bad_header(text: str) -> None:
    headers = json.loads((EXAMPLES / "verdictline.capture.image.v1" / "good-headers.json").read_text())
    headers = {**headers, "ce_purpose": "challenge", "ce_challenge": text}
    with pytest.raises(ContractError) as caught:
        context_of(envelope_of([(name, value.encode()) for name, value in headers.items()]))
    assert caught.value.reason == "bad_header"


def test_a_dead_letter_is_whole() -> None:
    """Also one that dies twice: the first facts give way, the original stays."""
    odd: Any = (("ce_id", b"\xff"), ("x", None))
    received = arrived(Record(topic="evidence.v1", key=b"k", value=b"\x00\xff"), odd)
    first = dead_letter(received, stage="triage", reason="bad_header", detail="x" * 2000, attempts=1)
    again = dead_letter(arrived(first), stage="replay", reason="bad_header", detail="", attempts=2)
    for record in (first, again):
        assert (record.topic, record.key, record.value) == (DEAD_LETTER, b"k", b"\x00\xff")
        assert record.headers[:2] == odd
    facts = dead_letter_facts(arrived(again))
    assert (facts["stage"], facts["topic"], facts["offset"], facts["attempts"]) == ("replay", DEAD_LETTER, "18042", "2")
    assert len(dead_letter_facts(arrived(first))["detail"]) == 1000
