"""Every role on every act of the table; forged, ended and stolen sessions; forms without their token."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import get_args

import pytest
from starlette.requests import Request

from schemas.label import Role
from streams.wiring.console import lines
from streams.wiring.console.pages import PAGES, Page
from streams.wiring.console.ports import Ask
from tests.helpers.console import PASSWORD, URL, Browser, Desk, rows

ROLES: tuple[Role, ...] = get_args(Role)
CLOSED = [page for page in PAGES if page.may is not None and page.path != "/lines/events"]


def ask(browser: Browser, page: Page) -> int:
    if page.method == "GET":
        return browser.get(page.path).status_code
    if page.takes == "png":
        headers = {"x-csrf-token": browser.csrf("/lines"), "content-type": "image/png"}
        return browser.client.post(page.path, content=b"no image", headers=headers).status_code
    return browser.post(page.path, {"name": "nobody", "role": "operator", "why": "a test"}, page="/lines").status_code


@pytest.mark.parametrize("role", ROLES)
def test_every_role_on_every_act(desk: Desk, role: Role) -> None:
    browser = desk.logged_in(role)
    for page in sorted(CLOSED, key=lambda page: page.path == "/logout"):
        status = ask(browser, page)
        assert (status == 403) == (role not in (page.may or ())), (page.path, role, status)
        assert status != 500, page.path


def test_whoever_is_not_logged_in_gets_nowhere(desk: Desk) -> None:
    browser = desk.browser()
    for page in CLOSED:
        answer = browser.get(page.path) if page.method == "GET" else browser.post(page.path)
        if page.method == "GET":
            assert (answer.status_code, answer.headers["location"]) == (303, "/login"), page.path
        else:
            assert answer.status_code == 403, page.path


def test_a_form_without_its_token_changes_nothing(desk: Desk) -> None:
    browser = desk.logged_in("admin")
    form = {"name": "new-one", "role": "operator", "why": "x"}
    stranger = desk.logged_in("admin", "admin-2").csrf("/users")
    before = len(desk.accounts.users())
    for token in ({}, {"csrf": ""}, {"csrf": "x" * 43}, {"csrf": stranger}):
        answer = browser.client.post("/users/add", data={**form, **token})
        assert answer.status_code == 403
    foreign = browser.post("/users/add", form, page="/users", origin="http://camera")
    assert foreign.status_code == 403
    assert len(desk.accounts.users()) == before
    assert browser.post("/users/add", form, page="/users").status_code == 200
    assert len(desk.accounts.users()) == before + 1


def test_a_form_comes_from_the_consoles_own_address_though_a_proxy_writes_another_host(desk: Desk) -> None:
    browser, form = desk.logged_in("admin"), {"name": "new-one", "role": "operator", "why": "x"}
    assert browser.post("/users/add", form, page="/users", origin="http://camera", host="10.0.0.9:8750").status_code == 403
    assert browser.post("/users/add", form, page="/users", origin=URL, host="10.0.0.9:8750").status_code == 200


def test_what_is_followed_ends_with_the_session(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_EVERY_S", 0.01)
    monkeypatch.setattr(lines, "_ALIVE_S", 0.02)
    browser = desk.logged_in("operator")
    cookie = f"verdictline-session={browser.client.cookies['verdictline-session']}".encode()
    request = Request({"type": "http", "headers": [(b"cookie", cookie)]})
    ask = Ask(ports=desk.ports, request=request, person=None, form={}, now=desk.now)

    async def heard() -> list[str]:
        said: list[str] = []
        async for text in (await lines.follow(ask)).body_iterator:
            said.append(str(text))
            if len(said) == 3:
                desk.accounts.disable("operator-1", who="chief", why="left", now=desk.now)
        return said

    said = asyncio.run(asyncio.wait_for(heard(), 20))
    assert said[0].startswith("event: lines")
    assert said[1:3] == [": still here\n\n"] * 2
    assert len(said) == 4
    assert "not logged in any more" in said[3]


def test_a_forged_session_is_nobody(desk: Desk) -> None:
    browser = desk.logged_in("admin")
    stolen_hash = browser.client.cookies["verdictline-session"]
    for forged in ("x" * 43, "", stolen_hash[:-1], "../../etc"):
        other = desk.browser()
        other.client.cookies.set("verdictline-session", forged)
        assert other.get("/lines").status_code == 303, forged


def test_sessions_end_by_time_and_do_not_live_longer_by_a_clock_that_is_set_back(desk: Desk) -> None:
    browser, start = desk.logged_in("operator"), desk.now
    for hours in (3.9, 7.7, 11.5):
        desk.now = start + timedelta(hours=hours)
        assert browser.get("/models").status_code == 200
    desk.now = start - timedelta(seconds=30)
    assert browser.get("/models").status_code == 200
    desk.now = start - timedelta(minutes=5)
    assert browser.get("/models").status_code == 303
    desk.now = start + timedelta(hours=12, minutes=1)
    assert browser.get("/models").status_code == 303


def test_an_idle_session_ends(desk: Desk) -> None:
    browser = desk.logged_in("operator")
    desk.now += timedelta(hours=4, minutes=1)
    assert browser.get("/models").status_code == 303


def test_logging_out_ends_the_session_on_the_server(desk: Desk) -> None:
    browser = desk.logged_in("operator")
    token = browser.client.cookies["verdictline-session"]
    assert browser.post("/logout", page="/lines").status_code == 303
    browser.client.cookies.set("verdictline-session", token)
    assert browser.get("/lines").status_code == 303


def test_the_first_link_makes_one_admin_once(desk: Desk) -> None:
    token = desk.accounts.first_link(desk.now)
    other = desk.accounts.first_link(desk.now)
    assert token
    assert other
    browser = desk.browser()
    assert "first admin" in browser.get("/welcome", link=token).text
    form = {"link": token, "name": "chief", "password": PASSWORD, "again": PASSWORD}
    assert browser.post("/welcome", form).status_code == 303
    assert browser.get("/users").status_code == 200
    assert [(user.name, user.role) for user in desk.accounts.users()] == [("chief", "admin")]
    for used in (token, other):
        late = desk.browser()
        assert late.get("/welcome", link=used).status_code == 404
        assert late.post("/welcome", {**form, "link": used, "name": "second"}).status_code == 400
    assert desk.accounts.first_link(desk.now) is None
    assert [record.topic for record in rows(desk)] == ["act.v1", "act.v1"]


def test_a_link_ends(desk: Desk) -> None:
    token = desk.accounts.first_link(desk.now)
    assert token
    desk.now += timedelta(hours=24, seconds=1)
    assert desk.browser().get("/welcome", link=token).status_code == 404
