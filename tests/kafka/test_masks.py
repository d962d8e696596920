"""A mask with real processes: painted at the console, measured and kept by it, on label.v1 and back on the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx2
import numpy as np
import pytest

from schemas.envelope import Record
from schemas.label import LabelV1
from schemas.topics import LABEL
from streams.review.masks import mask_of, read_mask
from streams.wiring.adapters.kafka import Writer
from streams.wiring.adapters.topics import apply_topics
from tests.helpers.masks import HEIGHT, WIDTH, plates, png
from tests.helpers.reviewing import form, said
from tests.helpers.servers import SharedKafka, shared_kafka
from tests.helpers.wait import wait_until
from tests.kafka.test_console import running
from tests.kafka.test_queue import Person, console, read, reviewer

pytestmark = pytest.mark.kafka
_WAIT_S = 90.0


@pytest.fixture(scope="module")
def kafka() -> Iterator[SharedKafka]:
    """One of its own: the queue holds whatever waits on it."""
    with shared_kafka() as found:
        apply_topics({"bootstrap.servers": found.bootstrap})
        yield found


def painted(ada: Person, path: str, mask: np.ndarray, inspection: str, **more: str) -> httpx2.Response:
    page = ada.client.get("/mask", params={"inspection": inspection}).text
    given = {name: unescape(value) for name, value in re.findall(r'data-(base|label|csrf|view)="([^"]*)"', page)}
    headers = {"x-csrf-token": given.pop("csrf"), "content-type": "image/png"}
    return ada.client.post(path, content=png(mask), params={"inspection": inspection, **given, **more}, headers=headers)


def shown(ada: Person, inspection: str) -> str:
    return ada.client.get("/inspection", params={"id": inspection}).text


def test_a_mask_that_was_painted_is_on_label_v1_and_in_the_store(kafka: SharedKafka, tmp_path: Path) -> None:
    reviewer(tmp_path, "ada")
    writer = Writer({"bootstrap.servers": kafka.bootstrap})
    for one in plates(tmp_path / "images", 2):
        writer.send(Record(topic=one.topic, key=one.key, value=one.value, headers=one.headers))
    writer.flush()
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[100:104, 200:240] = True
    with running("sink", kafka.bootstrap, tmp_path), console(kafka.bootstrap, tmp_path, "ada") as (ada, _):
        fields = wait_until(lambda: form(ada.look().text), _WAIT_S, "a part that waits")
        assert said(ada.post("/queue/answer", **fields, answer="class:scratch:rework")) == "scratch: rework."
        part = fields["inspection"]
        proposal = ada.client.get("/mask/proposal", params={"inspection": part, "view": "v1"})
        assert read_mask(proposal.content, WIDTH, HEIGHT).any()
        assert "4.01 mm" in painted(ada, "/mask/measure", mask, part).text
        assert painted(ada, "/mask/save", mask, part, back="queue").json() == {"next": "/queue?done=mask"}
        labels = wait_until(lambda: [one for one in read(kafka, LABEL, LabelV1) if mask_of(one, "v1")], _WAIT_S, "the label")
        wait_until(lambda: "labelled v1 defect, scratch, with a mask" in shown(ada, part), _WAIT_S, "the label in the database")
        assert "Painted by ada" in shown(ada, part)
    (label,) = labels
    kept = mask_of(label, "v1")
    assert kept is not None
    assert kept.uri.startswith(f"file://{tmp_path / 'images'}/")
    assert (read_mask(Path(kept.uri.removeprefix("file://")).read_bytes(), WIDTH, HEIGHT) == mask).all()
