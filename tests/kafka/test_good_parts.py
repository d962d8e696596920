"""Today's good parts on a real Kafka: what counts as good, and that their images are found by offset and checked."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.challenge import ChallengeDueV1
from schemas.codec import record_of
from schemas.common import ImageRef, digest
from schemas.ids import inspection_id
from schemas.topics import EVIDENCE, VERDICT
from schemas.verdict import UsedV1, VerdictV1, WhyV1
from streams.capture.gateway import Capture
from streams.capture.image import encode_png
from streams.fates import Unprocessable
from streams.monitors.graded import graded_parts
from streams.settings import Settings
from streams.wiring.adapters.images import FileImages
from streams.wiring.adapters.kafka import Writer, ends, read_all
from streams.wiring.adapters.topics import apply_topics, driver_partitions
from streams.wiring.processors.good_parts import good_parts
from streams.wiring.processors.limit_set import LimitSets
from tests.helpers.challenges import schedule
from tests.helpers.evidence_log import Published, evidence_record
from tests.helpers.judgement import anomaly, model_ref, model_set, policy
from tests.helpers.servers import SharedKafka
from tests.unit.test_painting import disc

pytestmark = pytest.mark.kafka
MODELS = model_set("anomaly")
RULES = policy(geometry={"mm_per_px": {"*": 0.05}})
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


class Place:
    """A station whose evidence and verdicts are written by hand, images in the file store."""

    def __init__(self, kafka: SharedKafka, folder: Path) -> None:
        self.settings = Settings(kafka=kafka.bootstrap, state=folder / "state")
        self.client = self.settings.client()
        self.station = f"{kafka.fresh('site')}/line/cam"
        self.files, self.n = FileImages(self.settings.images), -1
        apply_topics(self.client)
        self.partition = driver_partitions(self.client, VERDICT, [self.station])[self.station]

    def judge(self, disposition: str = "pass", **changes: Any) -> str:
        """A part with one view; its inspection."""
        self.n += 1
        inspection = str(inspection_id(self.station, 1_767_600_000_000, self.n))
        data = encode_png(disc(seed=self.n))
        sha = hashlib.sha256(data).hexdigest()
        ref = ImageRef(uri=self.files.put(data, sha), sha256=sha, bytes=len(data), content_type="image/png")
        offset = ends(self.client, [EVIDENCE])[EVIDENCE, self.partition]
        writer = Writer(self.client)
        writer.send(evidence_record(anomaly(inspection, MODELS).model_copy(update={"image": ref})))
        writer.flush()
        self.say(inspection, disposition, offset, **changes)
        return inspection

    def say(self, inspection: str, disposition: str, offset: int, **changes: Any) -> None:
        used = UsedV1(stage="anomaly", view="v1", offset=offset, model=model_ref("anomaly"), score=0.1)
        values: dict[str, Any] = {
            "inspection": inspection,
            "revision": 1,
            "station": self.station,
            "product": "disc",
            "purpose": "production",
            "acquisition": "a" * 64,
            "disposition": disposition,
            "reasons": (WhyV1(code="accepted"),),
            "decided_by": "policy",
            "policy": digest(RULES),
            "model_set": digest(MODELS),
            "evidence": (used,),
            "announced_at": NOW,
            "decided_at": NOW + timedelta(milliseconds=self.n),
        }
        message = VerdictV1.model_validate(values | changes)
        writer = Writer(self.client)
        writer.send(record_of(message, id=f"{inspection}/{message.revision}", station=self.station, subject=inspection))
        writer.flush()

    def good(self, most: int = 10) -> list[str]:
        found = good_parts(self.client, self.station, "disc", most=most, since=NOW - timedelta(hours=1))
        return [part.verdict.inspection for part in found]

    def paint(self, *sizes: float, repeats: int = 2, **rules: Any) -> list[Capture]:
        """A whole set."""
        times = {"due_at": NOW, "answer_by": NOW + timedelta(minutes=5)}
        parts = graded_parts(sizes, repeats)
        facts = {"station": self.station, "product": "disc", "proof": "digital", "set": "auto/limit/1", "trigger": "limit"}
        due = ChallengeDueV1.model_validate({**facts, **times, "parts": parts})
        asked = schedule(station=self.station, limit_sizes_px=sizes, limit_repeats=repeats, **rules)
        return list(LimitSets(self.settings, Published(RULES, MODELS), clock=lambda: NOW)(due, asked))


@pytest.fixture
def place(kafka: SharedKafka, tmp_path: Path) -> Place:
    return Place(kafka, tmp_path)


def test_good_are_production_parts_that_passed_and_still_do(place: Place) -> None:
    first = place.judge()
    place.judge("review")
    place.judge(purpose="challenge")
    place.judge(decided_at=NOW - timedelta(hours=2))
    place.judge(product="plate")
    contained = place.judge()
    offset = max(r.offset for r in read_all(place.client, [EVIDENCE]) if r.partition == place.partition)
    place.say(contained, "scrap", offset, revision=2, decided_by="person", who="ada")
    last = place.judge()
    assert place.good() == [last, first]
    assert place.good(most=1) == [last]


def test_a_set_has_every_size_as_often_as_asked_and_tells_what_it_painted(place: Place) -> None:
    for _ in range(3):
        place.judge()
    made = place.paint(6.0, 18.0, limit_contrast=0.3, limit_defect="spot")
    stamps = [capture.challenge for capture in made if capture.challenge]
    assert [stamp.part for stamp in stamps] == list(graded_parts((6.0, 18.0), 2))
    painted = [stamp for stamp in stamps if stamp.kind == "graded"]
    assert {(s.size_px, round(s.size_mm or 0, 9), s.contrast, s.label, s.view) for s in painted} == {
        (6.0, 0.3, 0.3, "spot", "v1"),
        (18.0, 0.9, 0.3, "spot", "v1"),
    }
    assert {capture.purpose for capture in made} == {"challenge"}
    assert {capture.acquisition for capture in made} == {"a" * 64}
    again = place.paint(6.0, 18.0, limit_contrast=0.3, limit_defect="spot")
    assert [c.views for c in again] == [c.views for c in made], "the same set on the same images is the same"
    assert len({c.views[0].data for c in made}) == 4 + 3, "every mark has a place of its own"


def test_a_damaged_image_is_never_painted_on(place: Place) -> None:
    place.judge()
    (damaged,) = (path for path in place.settings.images.rglob("*") if path.is_file())
    data = damaged.read_bytes()
    damaged.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    place.judge()
    whole = next(path.read_bytes() for path in place.settings.images.rglob("*") if path.is_file() and path != damaged)
    plain = [c.views[0].data for c in place.paint(6.0, repeats=1) if c.challenge and c.challenge.kind == "golden"]
    assert set(plain) == {whole}


def test_without_images_of_today_it_says_why(place: Place) -> None:
    with pytest.raises(Unprocessable, match="no_images: no disc passed at"):
        place.paint(6.0)
    place.judge()
    for path in list(place.settings.images.rglob("*")):
        if path.is_file():
            path.unlink()
    with pytest.raises(Unprocessable, match="no_images"):
        place.paint(6.0)


def test_a_mark_without_room_is_left_out_and_the_rest_is_sent(place: Place) -> None:
    place.judge()
    made = place.paint(6.0, 240.0, repeats=1)
    assert [capture.challenge.part for capture in made if capture.challenge] == ["grade-0-0", *(f"plain-{n}" for n in range(6))]
