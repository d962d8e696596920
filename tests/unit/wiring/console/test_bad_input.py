"""What people, browsers and the line may send: markup, far too long, nowhere, out of the folder; and what is away."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from schemas.common import ImageRef
from schemas.envelope import Received
from schemas.evidence import AnnouncedV1
from streams.capture.image import decode
from streams.fates import Unavailable, Unprocessable
from streams.wiring.adapters.database.ask_console import Questions
from streams.wiring.adapters.database.store import REBUILDING, Store
from streams.wiring.adapters.images import Images
from streams.wiring.console import security
from streams.wiring.console.pictures import overlay, why_not
from streams.wiring.console.web import application
from tests.helpers.console import URL, Desk, console, sha256
from tests.helpers.database import fresh_engine
from tests.helpers.evidence_log import log_of
from tests.helpers.history import MODELS, RULES, part
from tests.helpers.judgement import announced, anomaly
from tests.helpers.postgres import Postgres

MARKUP = "<script>alert('x')</script>\"'&{{ 7907 * 7919 }}"
LONG = "x" * 10_000


def seen(serial: str, ref: ImageRef, inspection: str = part(0)) -> tuple[Received, ...]:
    """A part with this serial whose image lies there."""
    hello = announced(inspection, RULES, MODELS, serial=serial, lot=serial)
    look = anomaly(inspection, MODELS, score=2.0).model_copy(update={"image": ref, "p_value": 0.01})
    assert isinstance(hello, AnnouncedV1)
    return tuple(log_of([(0.0, hello), (0.1, look)]))


def reference(uri: str, data: bytes = b"picture") -> ImageRef:
    return ImageRef(uri=uri, sha256=sha256(data), bytes=len(data), content_type="image/png")


@pytest.mark.parametrize("typed", [MARKUP, LONG, "\x00", "\U0001f600", "' OR 1=1 --", "%", "../../etc/passwd"])
def test_whatever_is_typed_finds_nothing_and_is_shown_as_text(desk: Desk, typed: str) -> None:
    browser = desk.logged_in("operator")
    for name in ("q", "id"):
        answer = browser.get("/inspection", **{name: typed})
        assert answer.status_code == 404, name
        assert "<script>alert" not in answer.text
        assert "62615533" not in answer.text
        assert len(answer.text) < 10_000


def test_a_serial_with_markup_is_text(tmp_path: Path) -> None:
    with console(tmp_path, seen(MARKUP, reference("kafka://capture.v1/0/1"))) as desk:
        browser = desk.logged_in("operator")
        page = browser.get("/inspection", id=part(0))
        assert page.status_code == 200
        assert "<script>alert" not in page.text


@pytest.mark.parametrize("name", [MARKUP, LONG, "", " ", "a b", "..", "\u202eadmin", "current/x"])
def test_names_of_users_are_plain(desk: Desk, name: str) -> None:
    browser = desk.logged_in("admin")
    answer = browser.post("/users/add", {"name": name, "role": "operator", "why": "x"}, page="/users")
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text
    assert len(desk.accounts.users()) == 1


def test_why_with_markup_and_10_kb_is_cut_and_text(desk: Desk) -> None:
    browser = desk.logged_in("admin")
    answer = browser.post("/users/add", {"name": "new", "role": "operator", "why": MARKUP + LONG}, page="/users")
    assert answer.status_code == 200
    said = [record.value or b"" for _, record in desk.outgoing.take(10)]
    (act,) = [value for value in said if b"current/users/new" in value]
    assert len(act) < 700


def test_a_role_that_does_not_exist_and_no_reason_change_nothing(desk: Desk) -> None:
    browser = desk.logged_in("admin")
    for form in ({"role": "root", "why": "x"}, {"role": "operator", "why": ""}, {"why": "x"}):
        assert browser.post("/users/add", {"name": "new", **form}, page="/users").status_code == 400
    assert len(desk.accounts.users()) == 1


def test_the_last_admin_stays(desk: Desk) -> None:
    browser = desk.logged_in("admin")
    for path, form in (("/users/disable", {}), ("/users/role", {"role": "operator"})):
        answer = browser.post(path, {"name": "admin-1", "why": "x", **form}, page="/users")
        assert (answer.status_code, "last admin" in answer.text) == (400, True)
    assert browser.get("/users").status_code == 200


def test_a_form_that_is_too_large_or_no_form_is_refused(desk: Desk) -> None:
    browser = desk.logged_in("admin")
    client, csrf = browser.client, browser.csrf("/users")
    assert client.post("/users/add", data={"csrf": csrf, "name": "x" * security.MOST_FORM_BYTES}).status_code == 413
    assert client.post("/users/add", json={"csrf": csrf}).status_code == 415
    assert client.post("/users/add", files={"csrf": b"x"}).status_code == 415
    fields = "&".join(f"a{n}=1" for n in range(500))
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/users/add", content=f"csrf={csrf}&{fields}", headers=kind).status_code == 400
    assert client.post("/users/add", content=b"csrf=%ff%fe", headers=kind).status_code == 400


def test_every_answer_has_its_headers_and_no_page_needs_inline_script(desk: Desk) -> None:
    browser = desk.logged_in("admin")
    paths = ("/lines", "/users", "/nothing-here", "/static/console.css", "/static/../web.py", "/inspection/image?id=x&view=y")
    for path in paths:
        answer = browser.get(path)
        for name in security.HEADERS:
            assert name.lower() in answer.headers, (path, name)
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert " style=" not in answer.text.replace("<style", "")
        assert "<script>" not in answer.text
        assert " onclick" not in answer.text


def test_cookies_beyond_loopback_need_https(tmp_path: Path) -> None:
    with console(tmp_path, (), secure=True) as desk:
        desk.user("operator", "o")
        answer = desk.browser().get("/login")
        (cookie,) = [value for name, value in answer.headers.multi_items() if name == "set-cookie"]
    assert cookie.startswith("__Host-")
    for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert word in cookie


def test_an_image_is_given_as_it_was_judged(tmp_path: Path) -> None:
    store = tmp_path / "images"
    store.mkdir()
    (store / "one").write_bytes(b"picture")
    records = seen("S", reference(f"file://{store / 'one'}"))
    images = Images(None, roots=[store])
    with console(tmp_path, records, read_image=images.read_now) as desk:
        browser = desk.logged_in("operator")
        good = browser.get("/inspection/image", id=part(0), view="v1")
        assert (good.status_code, good.content, good.headers["content-type"]) == (200, b"picture", "image/png")
        assert "sandbox" in good.headers["content-security-policy"]
        (store / "one").write_bytes(b"another")
        assert browser.get("/inspection/image", id=part(0), view="v1").status_code == 404
        (store / "one").unlink()
        gone = browser.get("/inspection/image", id=part(0), view="v1")
        assert (gone.status_code, why_not("image_gone") in gone.text) == (404, True)
    images.close()


def test_only_references_of_the_database_are_opened_and_only_inside_the_store(tmp_path: Path) -> None:
    store, secret = tmp_path / "images", tmp_path / "secret"
    store.mkdir()
    secret.write_bytes(b"picture")
    images = Images(None, roots=[store])
    for uri in (f"file://{secret}", f"file://{store}/../secret", f"file://{store}/%2e%2e/secret"):
        with console(tmp_path / sha256(uri.encode()), seen("S", reference(uri)), read_image=images.read_now) as desk:
            answer = desk.logged_in("operator").get("/inspection/image", id=part(0), view="v1")
            assert (answer.status_code, answer.content == b"picture") == (404, False), uri
    asked: list[str] = []

    def noting(ref: ImageRef) -> bytes:
        asked.append(ref.uri)
        raise Unprocessable("image_gone", "")

    with console(tmp_path / "other", seen("S", reference("kafka://capture.v1/0/1")), read_image=noting) as desk:
        browser = desk.logged_in("operator")
        for wrong in (f"file://{secret}", f"../{secret}", part(1), part(0) + "/../x"):
            assert browser.get("/inspection/image", id=wrong, view="v1").status_code == 404
            assert browser.get("/inspection/image", id=part(0), view=wrong).status_code == 404
        assert asked == []
    images.close()


def test_a_tiff_is_shown_as_png(tmp_path: Path) -> None:
    pixels = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64)
    ref = reference("kafka://capture.v1/0/1").model_copy(update={"content_type": "image/tiff"})
    stored = {"data": bytes(cv2.imencode(".tiff", pixels)[1])}
    with console(tmp_path, seen("S", ref), read_image=lambda _: stored["data"]) as desk:
        browser = desk.logged_in("operator")
        answer = browser.get("/inspection/image", id=part(0), view="v1")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert "content-disposition" not in answer.headers
        assert np.array_equal(decode(answer.content), pixels)
        stored["data"] = b"II*\0 no tiff"
        broken = browser.get("/inspection/image", id=part(0), view="v1")
        assert (broken.status_code, why_not("not_an_image") in broken.text) == (404, True)


def test_an_image_that_no_browser_shows_is_a_download(tmp_path: Path) -> None:
    ref = reference("kafka://capture.v1/0/1").model_copy(update={"content_type": "text/html"})
    with console(tmp_path, seen("S", ref), read_image=lambda _: b"<script>") as desk:
        answer = desk.logged_in("operator").get("/inspection/image", id=part(0), view="v1")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment"


def test_kafka_away_is_said_and_pages_work(desk: Desk) -> None:
    browser = desk.logged_in("operator")
    assert "does not answer" not in browser.get("/lines").text
    desk.trouble = "Local: All broker connections are down"
    page = browser.get("/lines")
    assert (page.status_code, "All broker connections are down" in page.text) == (200, True)
    assert browser.get("/inspection", id=part(3)).status_code == 200


def test_kafka_away_says_so_where_an_image_is_wanted(tmp_path: Path) -> None:
    def away(ref: ImageRef) -> bytes:
        raise Unavailable(f"{ref.uri}: no answer from Kafka in 5 s")

    with console(tmp_path, seen("S", reference("kafka://capture.v1/0/1")), read_image=away) as desk:
        answer = desk.logged_in("operator").get("/inspection/image", id=part(0), view="v1")
    assert (answer.status_code, "no answer from Kafka" in answer.text) == (503, True)


def test_without_the_sinks_database_it_says_what_to_do(tmp_path: Path) -> None:
    with console(tmp_path) as desk:
        browser = desk.logged_in("operator")
        desk.engine.dispose()
        for path in tmp_path.glob("verdictline.db*"):
            path.unlink()
        answer = browser.get("/lines")
        assert (answer.status_code, "verdictline run sink" in answer.text) == (503, True)


def test_a_rebuild_of_the_sinks_database_keeps_users_and_comes_back(tmp_path: Path) -> None:
    with console(tmp_path) as desk:
        browser = desk.logged_in("operator")
        store = Store(desk.engine)
        store.begin_rebuild({}, 0)
        assert REBUILDING in store.marks()
        page = browser.get("/lines")
        assert (page.status_code, "No station has been heard of yet" in page.text) == (200, True)


def test_too_many_failed_logins_must_wait_and_others_need_not(desk: Desk) -> None:
    desk.user("operator", "victim")
    desk.user("operator", "other")
    browser = desk.browser()
    statuses = [browser.login("victim", f"wrong password {n}").status_code for n in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    assert browser.login("victim").status_code == 429
    assert desk.browser().login("other").status_code == 303


def test_a_page_that_fails_leaves_with_the_same_headers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise KeyError("a bug")

    browser = desk.logged_in("operator")
    monkeypatch.setattr(desk.ports.questions, "newest", failing)
    browser.client = TestClient(application(desk.ports), URL, raise_server_exceptions=False, cookies=dict(browser.client.cookies))
    answer = browser.get("/inspection")
    assert (answer.status_code, "the log says why" in answer.text) == (500, True)
    assert {name: answer.headers[name] for name in security.HEADERS} == security.HEADERS


def test_what_the_database_cannot_look_for_is_not_found(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with console(tmp_path, ()) as desk:
        browser = desk.logged_in("operator")
        engine = fresh_engine(postgres.fresh(), tmp_path)
        monkeypatch.setattr(desk.ports.questions, "find", Questions(engine).find)
        answer = browser.get("/inspection", q="\x00")
        engine.dispose()
    assert (answer.status_code, "cannot be looked up" in answer.text) == (400, True)


def test_a_missing_user_looks_like_a_wrong_password(desk: Desk) -> None:
    desk.user("operator", "there")
    answers = [desk.browser().login(name, "no password of anybody") for name in ("there", "nobody", LONG, "\x00")]
    assert {answer.status_code for answer in answers} == {401}


def test_a_heat_map_is_scaled_to_the_threshold() -> None:
    cells = bytes([0, 64, 128, 255] * 256)
    pixels = _pixels(overlay(4.0, cells, 2.0))
    assert [pixel[3] for pixel in pixels[:2]] == [0, 0]
    assert pixels[2][3] < pixels[3][3]
    assert pixels[3][:3] == (214, 0, 40)
    calm = _pixels(overlay(1.0, cells, 2.0))
    assert {pixel[3] for pixel in calm} == {0}


def _pixels(png: bytes) -> list[tuple[int, int, int, int]]:
    length = struct.unpack(">I", png[33:37])[0]
    raw = zlib.decompress(png[41 : 41 + length])
    rows = [raw[y * 129 + 1 : (y + 1) * 129] for y in range(32)]
    return [tuple(row[4 * x : 4 * x + 4]) for row in rows for x in range(32)]  # type: ignore[misc]
