"""The gateway's rules: who comes in, what an announcement says, what is sent of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.capture import TICKET_TYPE, context_of
from schemas.codec import Reader
from schemas.envelope import Received, Record, envelope_of
from schemas.evidence import AnnouncedV1, BaselineStampV1, ChallengeStampV1
from schemas.ids import inspection_id
from schemas.topics import CAPTURE, EVIDENCE
from streams.capture.gateway import (
    SERIALS_KEPT,
    Limits,
    Refused,
    StationMemory,
    View,
    acquisition_digest,
    admit,
    announce,
    pack,
    steps,
    ticket,
)
from streams.capture.stamps import VIEWS_KEPT, Stamp, stamp_now
from streams.fates import Unprocessable
from tests.helpers.gateway import BASELINE, STAMP, STATION, Fixed, bad_images, part, png

NOW = datetime(2026, 1, 5, 8, 0, 0, tzinfo=UTC)
RED_RABBIT = ChallengeStampV1(set="shift-1", part="rabbit-3", proof="digital", kind="defect", label="scratch")


def announced_part(n: int = 0, memory: StationMemory | None = None, stamp: Stamp = STAMP, **changes: Any) -> AnnouncedV1:
    capture = part(n, **changes)
    views = [admit(view, Limits()) for view in capture.views]
    return announce(capture, views, inspection_id(STATION, 7, n), stamp, memory or StationMemory(), NOW)


def reopened(memory: StationMemory) -> StationMemory:
    """As a new segment of the outbox gives it back."""
    again = StationMemory()
    again.load(json.loads(json.dumps(memory.dump())))
    return again


def test_every_bad_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    expected = bad_images(tmp_path)
    for name in sorted(expected.keys() - {"f-huge.tif", "g-notes.txt"}):
        with pytest.raises(Refused) as caught:
            admit(View("v1", (tmp_path / name).read_bytes(), name), Limits())
        assert (caught.value.view, caught.value.reason) == ("v1", expected[name])
        assert caught.value.detail
    with pytest.raises(Refused, match="the limit is 50"):
        admit(View("v1", png()), Limits(bytes=50))


def test_the_content_decides_where_the_name_says_nothing() -> None:
    assert admit(View("v1", png(), "frame.bin"), Limits()).content_type == "image/png"


def test_a_serial_seen_again_is_the_next_visit_and_names_the_one_before() -> None:
    memory = StationMemory()
    first = announced_part(0, memory, serial="S1")
    memory.saw(first)
    memory.replay(pack(announced_part(1, memory, serial="S2").json_bytes(), []))
    again = reopened(memory)
    second = announced_part(2, again, serial="S1")
    assert (first.visit, first.previous) == (1, None)
    assert (second.visit, second.previous) == (2, first.inspection)
    assert again.visits.keys() == {"S1", "S2"}
    assert again.stamp(part()) == STAMP


def test_serials_are_forgotten_oldest_first() -> None:
    memory = StationMemory(visits={f"S{i}": (1, f"{STATION}:7-{i:012d}") for i in range(SERIALS_KEPT)})
    memory.saw(announced_part(1, memory, serial="S0"))
    memory.saw(announced_part(2, memory, serial="new"))
    assert len(memory.visits) == SERIALS_KEPT
    assert memory.visits["S0"][0] == 2
    assert "S1" not in memory.visits


@pytest.mark.parametrize(
    "changes",
    [
        {"product": "No Name"},
        {"views": []},
        {"views": [View("v1", png()), View("v1", png())]},
        {"views": [View("Top left", png())]},
        {"acquisition": "words"},
        {"challenge": RED_RABBIT},  # purpose production: it would enter yield and baselines
        {"challenge": RED_RABBIT, "purpose": "study"},
        {"tool": ""},
    ],
)
def test_what_breaks_the_contract_is_refused_by_name(changes: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable, match="bad_data"):
        announced_part(0, **changes)


def test_the_last_stamp_is_kept_by_acquisition_and_view_and_ends_with_its_model_set() -> None:
    memory, other = StationMemory(), BaselineStampV1(stream="1" * 64, state="provisional")
    memory.saw(announced_part(0, memory))
    memory.saw(announced_part(1, memory, replace(STAMP, baselines={"v1": other}), acquisition="f" * 64))
    for one in (memory, reopened(memory)):
        assert [one.stamp(part(acquisition=light * 64)) for light in "cf"] == [STAMP, replace(STAMP, baselines={"v1": other})]
        assert one.stamp(part(acquisition="9" * 64)) == replace(STAMP, baselines={})  # never seen: nothing is made up
        assert one.stamp(part(product="board")) is None
    memory.saw(announced_part(2, memory, replace(STAMP, model_set="2" * 64), acquisition="f" * 64))
    assert [bool(kept.baselines) for light in "cf" if (kept := memory.stamp(part(acquisition=light * 64)))] == [False, True]


def test_no_more_than_the_last_stamps_are_kept() -> None:
    memory = StationMemory()
    for n in range(VIEWS_KEPT + 5):
        memory.saw(announced_part(n, memory, acquisition=f"{n:064x}"))
    assert [bool(kept.baselines) for n in (4, 5) if (kept := memory.stamp(part(acquisition=f"{n:064x}")))] == [False, True]


def test_each_view_is_stamped_with_what_it_stands_on() -> None:
    assert stamp_now(Fixed(), "disc", STATION, "c" * 64, ["v1", "v2"]) == STAMP  # no baseline where there is no anomaly model
    assert stamp_now(Fixed(), "board", STATION, "c" * 64, ["v1"]) is None
    said = announced_part(0, views=[View("v1", png(1)), View("v2", png(2))], tool="mould-3")
    assert said.baselines == {"v1": BASELINE}
    contexts = [context_of(envelope_of(record.headers)) for record in steps(pack(said.json_bytes(), []), [png(1), png(2)])[1]]
    assert [(context.baseline, context.tool) for context in contexts] == [(BASELINE.baseline, "mould-3"), (None, "mould-3")]


def test_a_challenge_part_carries_its_answer() -> None:
    said = announced_part(0, purpose="challenge", challenge=RED_RABBIT)
    assert AnnouncedV1.read(said.json_bytes()).challenge == RED_RABBIT


def received(record: Record) -> Received:
    return Received(
        topic=record.topic, partition=0, offset=0, timestamp_ms=0, key=record.key, value=record.value, headers=record.headers
    )


def test_an_entry_is_sent_as_announcement_then_images_and_again_with_the_same_bytes() -> None:
    said = announced_part(3, views=[View("v1", png(1)), View("v2", png(2))], views_expected=3, lot="L7", serial="S9")
    large = ticket(said.views[1], "file:///images/x").json_bytes()
    head = pack(said.json_bytes(), ["v2"])
    first, second = steps(head, [png(1), large])
    assert (first, second) == steps(head, [png(1), large])

    [announcement] = first
    envelope, message = Reader(AnnouncedV1).read(received(announcement)) or pytest.fail("not read")
    assert message == said
    assert said.views_expected == 3
    assert (announcement.topic, announcement.key, envelope.id) == (EVIDENCE, STATION.encode(), f"{said.inspection}/announced")

    assert [record.topic for record in second] == [CAPTURE, CAPTURE]
    assert [record.value for record in second] == [png(1), large]
    image, stub = (envelope_of(record.headers) for record in second)
    assert (image.id, image.content_type) == (f"{said.inspection}/v1/capture", "image/png")
    assert (stub.type, stub.content_type) == (TICKET_TYPE, "application/json")
    context = context_of(stub)
    assert (context.sha256, context.views, context.lot, context.serial) == (said.views[1].sha256, 3, "L7", "S9")


def test_another_exposure_is_another_acquisition() -> None:
    one = acquisition_digest(camera="c1", exposure_ms=4)
    assert one == acquisition_digest(exposure_ms=4, camera="c1") != acquisition_digest(camera="c1", exposure_ms=5)
