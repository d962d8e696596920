"""Masks: where one may be painted, what is proposed and measured; a saved one is a label, once, with its file, or is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from httpx2 import Response
from sqlalchemy import text

from schemas.common import ImageRef
from schemas.label import LabelledViewV1, LabelV1
from schemas.policy import GeometryV1, PolicyV1
from streams.capture.image import decode, encode_png
from streams.fates import Unprocessable
from streams.review.labels import Shelf, shelve
from streams.review.masks import mask_of, read_mask
from streams.wiring.adapters.database.connection import writing
from streams.wiring.adapters.images import FileImages, Images
from streams.wiring.console import security
from tests.helpers.classes import arrive, label, labels, put
from tests.helpers.console import Browser, Desk, console, sha256
from tests.helpers.history import RULES, history
from tests.helpers.known import rabbits
from tests.helpers.masks import HEIGHT, WIDTH, grey_png, painting, part, plates, png, send, truth
from tests.helpers.reviewing import form, look, press, said, sent, take_back
from tests.unit.wiring.console.test_challenges import FOUR, SHARE, until_a_challenge

LINE = np.zeros((HEIGHT, WIDTH), bool)
LINE[100:104, 200:240] = True
OTHER = np.roll(LINE, 50, axis=0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with painting(tmp_path) as found:
        yield found


@pytest.fixture
def ada(desk: Desk) -> Browser:
    return desk.logged_in("reviewer", "ada")


def decided(browser: Browser, answer: str = "class:scratch:rework") -> str:
    """They have said so of the first part of their queue; the part."""
    fields = look(browser)
    press(browser, fields, answer)
    return fields["inspection"]


def drawn(browser: Browser, inspection: str, view: str = "v1") -> dict[str, str]:
    """What the page tells its script."""
    answer = browser.get("/mask", inspection=inspection, view=view)
    assert answer.status_code == 200, answer.text
    found = re.search(r'<div id="mask"(.*?)>', answer.text, re.DOTALL)
    assert found, answer.text[:2000]
    return {name: unescape(value) for name, value in re.findall(r'data-([a-z]+)="([^"]*)"', found[1])}


def save(browser: Browser, page: dict[str, str], mask: Any = LINE, **more: str) -> Response:
    params = {name: page[name] for name in ("inspection", "view", "base", "label", "back")}
    return send(browser, "/mask/save", mask if isinstance(mask, bytes) else png(mask), {**params, "looked_ms": "1500", **more})


def problem(answer: Response) -> str:
    found = re.search(r"<h1>.*?</h1>\s*<p>(.*?)</p>", answer.text, re.DOTALL)
    assert found, answer.text[:2000]
    return unescape(found[1])


def masked(desk: Desk) -> list[LabelV1]:
    return [one for one in sent(desk)[0] if any(view.mask for view in one.views)]


def test_a_saved_mask_is_a_label_that_takes_the_last_one_back_and_a_file_of_the_images_size(
    desk: Desk, ada: Browser, tmp_path: Path
) -> None:
    inspection = decided(ada)
    done = save(ada, drawn(ada, inspection))
    assert (done.status_code, done.json()) == (
        200,
        {"next": f"/inspection?id={inspection.replace('/', '%2F').replace(':', '%3A')}&done=mask"},
    )
    before, after = sent(desk)[0]
    assert (after.withdraws, after.who, after.answer, after.label, after.taxonomy) == (
        before.id,
        "ada",
        "defect",
        "scratch",
        before.taxonomy,
    )
    assert (after.opinion, after.shown, after.revision, after.looked_ms) == (before.opinion, before.shown, before.revision, 1500)
    mask = mask_of(after, "v1")
    assert mask is not None
    file = Path(mask.uri.removeprefix("file://"))
    assert file == tmp_path / "images" / mask.sha256[:2] / mask.sha256
    data = file.read_bytes()
    assert (sha256(data), len(data), mask.width_px, mask.height_px) == (mask.sha256, mask.bytes, WIDTH, HEIGHT)
    assert (read_mask(data, WIDTH, HEIGHT) == LINE).all()
    assert shelve(Shelf(), sent(desk)[0]).standing() == [after]
    assert len(sent(desk)[1]) == 1  # it decides nothing again


def test_the_same_form_twice_is_one_label_and_another_tab_comes_too_late(desk: Desk, ada: Browser) -> None:
    inspection = decided(ada)
    page = drawn(ada, inspection)
    assert [save(ada, page).status_code for _ in range(3)] == [200] * 3
    assert len(masked(desk)) == 1
    late = save(ada, page, OTHER)
    assert (late.status_code, "another tab" in problem(late)) == (409, True)
    again = drawn(ada, inspection)
    assert again["own"]
    assert save(ada, again, OTHER).status_code == 200
    first, second = masked(desk)
    assert second.withdraws == first.id
    assert shelve(Shelf(), sent(desk)[0]).standing() == [second]


def test_what_is_sent_before_the_sink_has_it_counts_and_so_does_what_it_has_stored(desk: Desk, ada: Browser) -> None:
    inspection = decided(ada)
    arrive(desk)
    page = drawn(ada, inspection)
    assert save(ada, page).status_code == 200
    (first,) = masked(desk)
    arrive(desk)
    assert save(ada, page).status_code == 200  # a second try after a long while
    assert masked(desk) == []
    assert save(ada, drawn(ada, inspection), OTHER).status_code == 200
    (second,) = masked(desk)
    assert second.withdraws == first.id


def test_taking_the_answer_back_takes_the_mask_back_with_it(desk: Desk, ada: Browser) -> None:
    fields = look(ada)
    answer = press(ada, fields, "class:scratch:rework")
    page = drawn(ada, fields["inspection"])
    save(ada, page)
    assert said(take_back(ada, answer)).startswith("Taken back")
    labels = sent(desk)[0]
    assert shelve(Shelf(), labels).standing() == []
    assert labels[-1].withdraws == labels[-2].id
    assert ada.get("/inspection/mask", id=fields["inspection"], view="v1", who="ada").status_code == 404
    refused = save(ada, page, OTHER)
    assert (refused.status_code, "decide it first" in problem(refused)) == (409, True)
    press(ada, look(ada), "class:scratch:rework")
    assert save(ada, drawn(ada, fields["inspection"]), OTHER).status_code == 200
    assert len(shelve(Shelf(), sent(desk)[0]).standing()) == 1


def test_only_a_class_whose_size_decides_is_painted_and_the_refusal_says_why(desk: Desk, ada: Browser) -> None:
    refused = [
        (ada, look(ada)["inspection"], "decide it first"),
        (ada, "plant/line-1/cam-1:1-000000000001", "Nothing is known"),
        (ada, "<script>alert(1)</script>", "Nothing is known"),
        (ada, "x" * 10_000, "Nothing is known"),
    ]
    for name, answer, why in (("bob", "class:dent:scrap", "does not decide"), ("eve", "good", ": good.")):
        person = desk.logged_in("reviewer", name)
        refused.append((person, decided(person, answer), why))
    for person, inspection, why in refused:
        page = person.get("/mask", inspection=inspection)
        assert (page.status_code, why in problem(page)) == (409, True), why
        assert "<script>alert" not in page.text
        for path in ("/mask/measure", "/mask/save"):
            assert send(person, path, png(LINE), {"inspection": inspection, "view": "v1"}).status_code == 409, why
    assert masked(desk) == []


def test_the_queue_says_so_where_the_size_of_what_was_said_decides(desk: Desk, ada: Browser) -> None:
    fields = look(ada)
    answer = press(ada, fields, "class:scratch:rework")
    (url,) = re.findall(r'href="(/mask\?[^"]+)" data-key="m"', answer.text)
    assert ada.client.get(unescape(url)).status_code == 200
    assert 'data-key="m"' in ada.get("/queue").text
    assert 'data-key="m"' not in press(ada, form(answer.text), "class:dent:scrap").text
    assert "The mask is saved." in ada.get("/queue", done="mask").text
    assert "<script>" not in ada.get("/queue", done="<script>").text


def test_whoever_has_said_nothing_paints_what_was_decided_and_says_so(desk: Desk, ada: Browser) -> None:
    inspection = look(ada)["inspection"]
    with writing(desk.engine) as connection:
        later = "UPDATE inspections SET disposition = 'scrap', decided_by = 'policy' WHERE inspection = :part"
        connection.execute(text(later), {"part": inspection})
    page = drawn(ada, inspection)
    assert (page["base"], page["label"]) == ("", "scratch")
    assert save(ada, page).status_code == 200
    (label,) = masked(desk)
    assert (label.withdraws, label.shown, label.opinion, label.answer, label.label) == (
        None,
        "request",
        "first",
        "defect",
        "scratch",
    )
    assert [record.topic for _, record in desk.outgoing.take(100)][-2:] == ["taxonomy.v1", "label.v1"]
    assert save(ada, page).status_code == 200
    assert save(ada, drawn(ada, inspection), OTHER).status_code == 200
    assert len(masked(desk)) == 2


def test_an_answer_in_the_queue_takes_back_a_mask_that_was_painted_before_the_part_was_open(desk: Desk, ada: Browser) -> None:
    """Otherwise it would have the id of the label with the mask, and come too late."""
    inspection, decide = part(5), "UPDATE inspections SET revision = :n, disposition = :fate WHERE inspection = :part"
    with writing(desk.engine) as connection:
        connection.execute(text(decide), {"part": inspection, "n": 1, "fate": "scrap"})
    assert save(ada, drawn(ada, inspection)).status_code == 200
    with writing(desk.engine) as connection:
        connection.execute(text(decide), {"part": inspection, "n": 2, "fate": "review"})
    while (shown := look(ada))["inspection"] != inspection:
        ada.post("/queue/skip", shown, page="/lines")
    press(ada, shown, "good")
    (standing,) = shelve(Shelf(), sent(desk)[0]).standing()
    assert (standing.answer, standing.withdraws) == ("good", masked(desk)[0].id)


BAD = [
    (b"", 422, "0 bytes"),
    (b"no image", 422, "not_an_image"),
    (png(LINE[:, :600]), 422, "600 x 480"),
    (png(np.zeros((HEIGHT, WIDTH), bool)), 422, "nothing is painted"),
    (encode_png(np.zeros((HEIGHT, WIDTH, 3), np.uint8)), 422, "8 bits grey"),
    (grey_png(60_000, 60_000, b"\0"), 422, "too_large"),
    (bytes(security.MOST_PNG_BYTES + 1), 413, "bytes"),
]


def test_what_is_no_mask_is_not_kept(desk: Desk, ada: Browser, tmp_path: Path) -> None:
    page = drawn(ada, decided(ada))
    before = sorted((tmp_path / "images").rglob("*"))
    for data, status, why in BAD:
        for path in ("/mask/save", "/mask/measure"):
            answer = send(ada, path, data, {name: page[name] for name in ("inspection", "view", "base", "label")})
            assert (answer.status_code, why in problem(answer)) == (status, True), (path, why)
    assert sorted((tmp_path / "images").rglob("*")) == before
    assert masked(desk) == []


def test_the_token_comes_in_a_header_from_this_page_and_the_body_is_a_png(desk: Desk, ada: Browser) -> None:
    page = drawn(ada, decided(ada))
    other = desk.logged_in("reviewer", "bob").csrf("/lines")
    wrong: list[tuple[dict[str, str], int]] = [
        ({"x-csrf-token": ""}, 403),
        ({"x-csrf-token": other}, 403),
        ({"origin": "http://camera"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ]
    for headers, status in wrong:
        answer = send(
            ada, "/mask/save", png(LINE), {name: page[name] for name in ("inspection", "view", "base", "label")}, **headers
        )
        assert answer.status_code == status, headers
    assert masked(desk) == []
    assert ada.post("/mask/save", {"inspection": page["inspection"]}, page="/lines").status_code == 403  # a form is none


def test_a_view_that_is_none_leads_nowhere(desk: Desk, ada: Browser) -> None:
    page = drawn(ada, decided(ada))
    for view in ("v2", "../../etc/passwd", "<script>", "x" * 10_000, "v1\x00"):
        assert ada.get("/mask", inspection=page["inspection"], view=view).status_code == 404
        assert ada.get("/mask/proposal", inspection=page["inspection"], view=view).status_code == 404
        assert ada.get("/mask/image", inspection=page["inspection"], view=view).status_code == 404
        assert save(ada, page, view=view).status_code == 404
        assert ada.get("/inspection/mask", id=page["inspection"], view=view, who="ada").status_code == 404
    assert masked(desk) == []


def test_a_form_that_names_another_label_or_class_is_stale(desk: Desk, ada: Browser) -> None:
    page = drawn(ada, decided(ada))
    for wrong in ({"base": ""}, {"base": "../x"}, {"label": "dent"}, {"label": "<script>"}):
        answer = save(ada, page, **wrong)
        assert (answer.status_code, "<script>" in answer.text.replace("<script src", "")) == (409, False)
    assert masked(desk) == []


def test_what_is_painted_is_measured_and_the_policys_limits_are_told(desk: Desk, ada: Browser) -> None:
    inspection = decided(ada)
    params = {"inspection": inspection, "view": "v1"}
    short, long = np.zeros((HEIGHT, WIDTH), bool), LINE
    short[100, 200:210] = True
    answer = send(ada, "/mask/measure", png(short), params)
    assert re.sub(r"<[^>]+>|\s+", " ", answer.text).split()[:3] == ["Length", "1", "mm"]
    assert 'class="verdict rework"' in answer.text
    answer = send(ada, "/mask/measure", png(long), params)
    assert "4.01 mm" in answer.text
    assert "1.6 mm²" in answer.text
    assert 'class="verdict scrap"' in answer.text
    assert masked(desk) == []


def test_without_a_scale_sizes_are_in_px_and_that_is_said(tmp_path: Path) -> None:
    limits = [{"measure": "length_px", "at_least": 9, "disposition": "review"}]
    rules = RULES.model_copy(update={"geometry": GeometryV1.model_validate({"rules": limits})})
    with painting(
        tmp_path, plates(tmp_path / "images", 1, rules=PolicyV1.model_validate(rules.model_dump()), length_mm=None)
    ) as desk:
        ada = desk.logged_in("reviewer", "ada")
        inspection = decided(ada, "class:scratch:scrap")
        assert "gives no scale" in ada.get("/mask", inspection=inspection).text
        answer = send(ada, "/mask/measure", png(LINE), {"inspection": inspection, "view": "v1"})
        assert all(one in answer.text for one in ("40.1 px", "160 px²", "gives no scale", 'class="verdict review"'))


def test_the_proposal_comes_from_segmentation_else_from_the_heat_map(tmp_path: Path) -> None:
    for boxes in (True, False):
        folder = tmp_path / str(boxes)
        with painting(folder, plates(folder / "images", 1, boxes=boxes)) as desk:
            ada = desk.logged_in("reviewer", "ada")
            inspection = decided(ada)
            answer = ada.get("/mask/proposal", inspection=inspection, view="v1")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
            found = decode(answer.content) > 0
            assert (found & truth()).sum() / (found | truth()).sum() > 0.7, boxes


def test_the_inspection_shows_the_mask_and_who_painted_it_and_links_to_painting(desk: Desk, ada: Browser) -> None:
    inspection = decided(ada)
    eyes = desk.logged_in("operator", "eyes")
    assert "/mask?" in ada.get("/inspection", id=inspection).text
    assert "/mask?" not in eyes.get("/inspection", id=inspection).text
    save(ada, drawn(ada, inspection))
    for _ in range(2):  # before the sink has it, and after
        page = eyes.get("/inspection", id=inspection).text
        (url,) = re.findall(r'<mask id="[^"]+"><image href="([^"]+)"', page)
        assert "Painted by ada" in page
        shown = eyes.client.get(unescape(url))
        assert shown.status_code == 200
        assert (read_mask(shown.content, WIDTH, HEIGHT) == LINE).all()
        assert "sandbox" in shown.headers["content-security-policy"]
        arrive(desk)
    assert "labelled v1 defect, scratch, with a mask" in eyes.get("/inspection", id=inspection).text
    for wrong in ({"who": "bob"}, {"view": "v2"}, {"id": part(2)}, {"id": "../../x"}):
        assert eyes.get("/inspection/mask", **{"id": inspection, "view": "v1", "who": "ada", **wrong}).status_code == 404


def test_a_mask_on_one_view_of_several_keeps_those_of_the_others(tmp_path: Path) -> None:
    with painting(tmp_path, plates(tmp_path / "images", 1, views=("v1", "v2"))) as desk:
        ada = desk.logged_in("reviewer", "ada")
        inspection = decided(ada)
        for view, mask in (("v1", LINE), ("v2", OTHER)):
            page = drawn(ada, inspection, view)
            assert f'view={"v2" if view == "v1" else "v1"}"' in unescape(ada.get("/mask", inspection=inspection, view=view).text)
            assert save(ada, page, mask).status_code == 200
        (standing,) = shelve(Shelf(), sent(desk)[0]).standing()
        assert standing.of == "part"
        kept = [mask_of(standing, view) for view in ("v1", "v2")]
        assert all(kept)
        assert kept[0] != kept[1]


def test_what_was_said_of_one_view_is_painted_there_alone_and_an_answer_of_the_part_goes_beside_it(tmp_path: Path) -> None:
    """A cluster names views, the queue parts: neither takes the other back."""
    with painting(tmp_path, plates(tmp_path / "images", 1, views=("v1", "v2"))) as desk:
        ada = desk.logged_in("reviewer", "ada")
        ref = desk.ports.questions.image(part(0), "v2")
        assert ref is not None
        views = (LabelledViewV1(view="v2", image=ref),)
        put(desk, labels(label(0, views=views, answer="defect", label="scratch", taxonomy="a" * 64)), 500)
        assert ada.get("/mask", inspection=part(0), view="v1").status_code == 404
        fields = look(ada)
        assert save(ada, drawn(ada, part(0), "v2")).status_code == 200
        assert said(press(ada, fields, "class:scratch:rework")) == "scratch: rework."
        assert save(ada, drawn(ada, part(0), "v1"), OTHER).status_code == 200
        for view, mask in (("v1", OTHER), ("v2", LINE)):
            shown = ada.get("/inspection/mask", id=part(0), view=view, who="ada")
            assert (read_mask(shown.content, WIDTH, HEIGHT) == mask).all()
        standing = shelve(Shelf(), [*desk.ports.questions.labels_of([part(0)])[part(0)], *sent(desk)[0]]).standing()
        assert [(one.of, [view.view for view in one.views if view.mask]) for one in standing] == [
            ("view", ["v2"]),
            ("part", ["v1"]),
        ]


def test_an_image_that_is_gone_or_away_is_told_and_nothing_is_kept(desk: Desk, ada: Browser, tmp_path: Path) -> None:
    inspection = decided(ada)
    page = drawn(ada, inspection)
    ref = desk.ports.questions.image(inspection, "v1")
    assert ref is not None
    Path(ref.uri.removeprefix("file://")).unlink()
    for answer in (
        ada.get("/mask", inspection=inspection),
        save(ada, page),
        ada.get("/mask/proposal", inspection=inspection, view="v1"),
    ):
        assert (answer.status_code, "no longer retained" in problem(answer)) == (404, True)
    assert masked(desk) == []


def test_an_image_in_kafka_is_kept_beside_its_mask_and_stays_when_kafka_forgets_it(tmp_path: Path) -> None:
    files = tmp_path / "images"
    records, there = plates(files, 1), dict[str, bytes]()
    store = Images(None, roots=[files])

    def read(ref: ImageRef) -> bytes:
        if ref.uri.startswith("file:"):
            return store.read_now(ref)
        if ref.sha256 not in there:
            raise Unprocessable("image_gone", ref.uri)
        return there[ref.sha256]

    with painting(tmp_path, records, reader=read) as desk:
        with writing(desk.engine) as connection:
            image = ImageRef.model_validate_json(str(connection.execute(text("SELECT image FROM evidence")).scalars().first()))
            file = Path(image.uri.removeprefix("file://"))
            picture = there[image.sha256] = file.read_bytes()
            file.unlink()
            moved = image.model_copy(update={"uri": "kafka://capture.v1/0/7"})
            connection.execute(text("UPDATE evidence SET image = :image"), {"image": moved.model_dump_json()})
        ada = desk.logged_in("reviewer", "ada")
        inspection = decided(ada)
        page = drawn(ada, inspection)
        desk.trouble = "Local: All broker connections are down"
        away = ada.get("/mask", inspection=inspection)
        assert (away.status_code, "Kafka does not answer" in away.text) == (503, True)
        assert save(ada, page).status_code == 200, "what was painted is not lost"
        desk.trouble = None
        assert save(ada, drawn(ada, inspection), OTHER).status_code == 200
        first, second = (one.views[0].image for one in masked(desk))
        assert (first.uri, second.uri.startswith("file:"), second.sha256) == (moved.uri, True, image.sha256)
        there.clear()
        shown = ada.get("/mask/image", inspection=inspection, view="v1")
        assert (shown.status_code, shown.content) == (200, picture)
        assert save(ada, drawn(ada, inspection), LINE).status_code == 200
    store.close()


def test_a_challenge_is_painted_like_any_part_and_what_was_said_of_it_is_told(tmp_path: Path) -> None:
    seen = (*history(120), *rabbits(*FOUR))
    with console(tmp_path, seen, read_image=lambda _: b"a picture", challenge_share=SHARE) as desk:
        desk.follow()
        ada, eyes = desk.logged_in("reviewer", "ada"), desk.logged_in("reviewer", "eyes")
        page = until_a_challenge(ada)
        inspection = form(page.text)["inspection"]
        told = problem(eyes.get("/mask", inspection=inspection))
        fate = next(one for one in re.findall(r'value="class:scratch:([^"]+)"', page.text))
        assert 'data-key="m"' in press(ada, form(page.text), f"class:scratch:{fate}").text
        found = ada.get("/mask", inspection=inspection, back="queue")
        assert found.status_code == 200
        assert "challenge" not in found.text.lower()
        assert re.search(r"now (\w+)", found.text)[1] == ("rework" if fate == "by its size" else fate)  # type: ignore[index]
        assert "it is a challenge" in told


def test_a_disk_that_takes_nothing_is_told_and_nothing_is_sent(
    desk: Desk, ada: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = drawn(ada, decided(ada))

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileImages, "put", full)
    answer = save(ada, page)
    assert (answer.status_code, "No space left" in problem(answer)) == (503, True)
    assert masked(desk) == []
