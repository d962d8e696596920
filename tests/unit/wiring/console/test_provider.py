"""Logging in at a provider, against a real one: the mock provider serves OpenID Connect over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from oidc_provider_mock import User, run_server_in_thread

from schemas.label import Role
from streams.wiring.adapters.oidc import Provider
from tests.helpers.console import URL, Browser, Desk, console

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what the mock provider asks of its own libraries


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    people = [
        User(sub="1", claims={"preferred_username": "m.weber"}),
        User(sub="2", claims={"preferred_username": "<b>x</b>"}),
        User(sub="3", claims={}),
    ]
    with run_server_in_thread(user_claims=people) as server:
        yield f"http://localhost:{server.server_port}"


@contextmanager
def served(folder: Path, issuer: str, newcomer: Role | None = None) -> Iterator[Desk]:
    with console(folder, (), provider=Provider(issuer, "verdictline", "secret"), newcomer=newcomer) as desk:
        yield desk


def at_provider(browser: Browser, sub: str) -> str:
    """Go there and log in; the address that it sends the browser to."""
    there = browser.get("/login/provider")
    assert there.status_code == 302
    answer = httpx2.post(there.headers["location"], data={"sub": sub})
    assert answer.status_code == 302, answer.text
    back: str = answer.headers["location"]
    assert back.startswith(f"{URL}/login/back?")
    return f"/login/back?{urlsplit(back).query}"


def test_who_was_added_by_an_admin_logs_in(tmp_path: Path, issuer: str) -> None:
    with served(tmp_path, issuer) as desk:
        desk.accounts.add_for_provider("m.weber", "engineer", who="admin", why="a test", now=desk.now)
        for _ in range(2):
            browser = desk.browser()
            assert "Log in with localhost" in browser.get("/login").text
            assert browser.get(at_provider(browser, "1")).headers["location"] == "/"
            assert "m.weber" in browser.get("/lines").text
            assert browser.get("/users").status_code == 403


def test_who_was_not_added_stays_outside_unless_newcomers_have_a_role(tmp_path: Path, issuer: str) -> None:
    with served(tmp_path / "closed", issuer) as desk:
        browser = desk.browser()
        answer = browser.get(at_provider(browser, "1"))
        assert (answer.status_code, "Ask an admin" in answer.text) == (403, True)
        assert browser.get("/lines").status_code == 303
    with served(tmp_path / "open", issuer, "operator") as desk:
        browser = desk.browser()
        assert browser.get(at_provider(browser, "1")).status_code == 303
        assert [(user.name, user.role) for user in desk.accounts.users()] == [("m.weber", "operator")]


def test_a_name_with_a_password_is_not_taken_over(tmp_path: Path, issuer: str) -> None:
    with served(tmp_path, issuer, "operator") as desk:
        desk.user("admin", "m.weber")
        browser = desk.browser()
        assert browser.get(at_provider(browser, "1")).status_code == 403


def test_strange_names_and_missing_ones_are_refused(tmp_path: Path, issuer: str) -> None:
    with served(tmp_path, issuer, "operator") as desk:
        for sub in ("2", "3"):
            browser = desk.browser()
            answer = browser.get(at_provider(browser, sub))
            assert answer.status_code == 403
            assert "<b>" not in answer.text
        assert desk.accounts.users() == ()


def test_another_browser_cannot_end_a_login_and_no_answer_counts_twice(tmp_path: Path, issuer: str) -> None:
    with served(tmp_path, issuer, "operator") as desk:
        mine, other = desk.browser(), desk.browser()
        back = at_provider(mine, "1")
        assert other.get(back).status_code == 403
        assert mine.get(back.replace("state=", "state=x")).status_code == 403
        back = at_provider(mine, "1")
        assert mine.get(back).status_code == 303
        assert mine.get(back).status_code == 403


def test_a_provider_that_is_away_is_said(tmp_path: Path) -> None:
    with served(tmp_path, "http://127.0.0.1:9") as desk:
        desk.user("operator", "o")
        browser = desk.browser()
        assert browser.get("/login/provider").status_code == 503
        assert browser.login("o").status_code == 303
