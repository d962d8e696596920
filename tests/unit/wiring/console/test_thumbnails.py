"""Small images: made of what was judged, kept within a bound; where there is none the picture says why."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from schemas.common import ImageRef
from streams.capture.image import thumbnail
from streams.fates import Unavailable, Unprocessable
from streams.wiring.adapters.images import Images
from streams.wiring.adapters.thumbnails import Thumbnails
from tests.helpers.console import console, sha256
from tests.helpers.history import part
from tests.unit.wiring.console.test_bad_input import reference, seen


def image(height: int, width: int, kind: str = ".png", dtype: type = np.uint8, channels: int = 3) -> bytes:
    chance = np.random.default_rng(3)
    shape = (height, width, channels) if channels > 1 else (height, width)
    return bytes(cv2.imencode(kind, chance.integers(0, np.iinfo(dtype).max, shape).astype(dtype))[1])


@pytest.mark.parametrize("kind", [".png", ".jpg", ".bmp", ".tiff"])
@pytest.mark.parametrize("size", [(100, 60), (700, 500), (300, 3000)])
def test_a_thumbnail_keeps_the_shape_and_is_never_larger(kind: str, size: tuple[int, int]) -> None:
    small = thumbnail(image(*size, kind), 224)
    height, width = np.asarray(cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR)).shape[:2]
    assert small[:2] == b"\xff\xd8"
    assert max(height, width) == min(224, max(size))
    assert height / width == pytest.approx(size[0] / size[1], rel=0.05)


def test_grey_and_16_bits_are_shown_in_8() -> None:
    for data in (image(300, 300, channels=1), image(300, 300, dtype=np.uint16), image(300, 300, dtype=np.uint16, channels=1)):
        assert thumbnail(data, 50)[:2] == b"\xff\xd8"


@pytest.mark.parametrize("data", [b"", b"\x89PNG no", b"GIF89a" + bytes(50), image(90, 90)[:-30]])
def test_what_is_no_image_is_said(data: bytes) -> None:
    with pytest.raises(Unprocessable):
        thumbnail(data, 224)


def test_they_are_made_once_and_kept_within_a_bound() -> None:
    read: list[str] = []

    def reading(ref: ImageRef) -> bytes:
        read.append(ref.sha256)
        return b""

    small = Thumbnails(reading, lambda data, side: bytes(40), most_bytes=100)
    one, two, three = (reference("kafka://capture.v1/0/1", bytes([n])) for n in range(3))
    for ref in (one, one, two, one, three, one, two):
        assert len(small.of(ref)) == 40
    assert read == [one.sha256, two.sha256, three.sha256, two.sha256]


def test_the_page_gives_it_with_a_tag(tmp_path: Path) -> None:
    store, data = tmp_path / "images", image(400, 300)
    store.mkdir()
    (store / "one").write_bytes(data)
    ref = reference(f"file://{store / 'one'}", data)
    images = Images(None, roots=[store])
    with console(tmp_path, seen("S", ref), read_image=images.read_now) as desk:
        browser = desk.logged_in("operator")
        answer = browser.get("/inspection/thumbnail", id=part(0), view="v1")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert (len(answer.content) < len(data), "private" in answer.headers["cache-control"]) == (True, True)
        address = f"/inspection/thumbnail?id={part(0)}&view=v1"
        again = browser.client.get(address, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
        assert browser.client.get(address, headers={"if-none-match": '"another"'}).status_code == 200
    images.close()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unprocessable("image_gone", "x"), "retained"),
        (Unprocessable("sha256_mismatch", "x"), "another image"),
        (Unprocessable("not_an_image", "x"), "cannot"),
        (Unavailable("no answer"), "read now"),
    ],
)
def test_where_there_is_none_a_picture_says_so(tmp_path: Path, error: Exception, said: str) -> None:
    def failing(_: ImageRef) -> bytes:
        raise error

    with console(tmp_path, seen("S", reference("kafka://capture.v1/0/1")), read_image=failing) as desk:
        browser = desk.logged_in("operator")
        answer = browser.get("/inspection/thumbnail", id=part(0), view="v1")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        assert (said in answer.text, answer.headers["cache-control"]) == (True, "no-store")
        nowhere = browser.get("/inspection/thumbnail", id="<script>", view=sha256(b"x"))
        assert (nowhere.status_code, "<script>" in nowhere.text, "no image" in nowhere.text) == (200, False, True)
