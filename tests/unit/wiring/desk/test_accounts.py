"""Who may log in: what an admin's act ends at once, and whom the provider's word makes whom. Over a real database in a folder."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from streams.wiring.adapters.desk.accounts import Accounts, Refused, User
from streams.wiring.adapters.desk.opening import FILE, open_desk
from streams.wiring.adapters.desk.sessions import OF_BOTH, WINDOW, Sessions

NOW = datetime(2026, 11, 3, 8, tzinfo=UTC)
PASSWORD = "a quiet line at night"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_desk(tmp_path)


@pytest.fixture
def accounts(engine: Engine) -> Accounts:
    found = Accounts(engine)
    found.use_link(found.first_link(NOW) or "", "chief", PASSWORD, NOW)
    return found


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    return Sessions(engine)


def with_password(accounts: Accounts, name: str) -> User:
    return accounts.use_link(accounts.add(name, "reviewer", who="chief", why="new", now=NOW), "", PASSWORD, NOW)


def named_by_provider(accounts: Accounts, name: str, subject: str = "localhost:9|1") -> User:
    return accounts.from_provider(subject, name, None, NOW)


def test_many_attempts_at_once_are_as_many(sessions: Sessions) -> None:
    with ThreadPoolExecutor(20) as many:
        found = list(many.map(lambda _: sessions.attempt("victim", "10.0.0.9", NOW), range(20)))
    assert sum(one is not None for one in found) == OF_BOTH
    assert sessions.attempt("victim", "10.0.0.8", NOW) is not None
    assert sessions.attempt("victim", "10.0.0.9", NOW + WINDOW + timedelta(seconds=1)) is not None


def test_logins_that_fit_do_not_count(sessions: Sessions) -> None:
    for _ in range(2 * OF_BOTH):
        attempt = sessions.attempt("m.weber", "10.0.0.9", NOW)
        assert attempt is not None
        sessions.fitted(attempt)


def test_a_session_does_not_begin_with_what_was_changed_after_the_check(accounts: Accounts, sessions: Sessions) -> None:
    with_password(accounts, "carol")
    checked = accounts.check("carol", PASSWORD)
    assert checked is not None
    assert sessions.begin(checked, NOW) is not None
    accounts.reset("carol", who="chief", why="leaked", now=NOW)
    assert sessions.begin(checked, NOW) is None


def test_nor_for_who_was_disabled_meanwhile(accounts: Accounts, sessions: Sessions) -> None:
    checked = with_password(accounts, "carol")
    accounts.disable("carol", who="chief", why="left", now=NOW)
    assert sessions.begin(checked, NOW) is None


def test_a_page_left_open_is_no_request(accounts: Accounts, sessions: Sessions) -> None:
    token = sessions.begin(with_password(accounts, "carol"), NOW) or ""
    for hours in (1, 2, 3):
        assert sessions.still(token, NOW + timedelta(hours=hours)) is not None
    assert sessions.still(token, NOW + timedelta(hours=4, seconds=1)) is None
    assert sessions.person(token, NOW + timedelta(hours=4, seconds=1)) is None


def test_the_provider_gets_nobody_who_had_a_password_or_was_given_a_link(accounts: Accounts) -> None:
    with_password(accounts, "alice")
    accounts.reset("alice", who="chief", why="forgot it", now=NOW)
    accounts.add("bob", "engineer", who="chief", why="new", now=NOW)
    for name in ("alice", "bob", "chief"):
        with pytest.raises(Refused, match="Ask an admin"):
            named_by_provider(accounts, name)


def test_the_provider_gets_who_was_added_for_it_once_however_the_name_is_written(accounts: Accounts) -> None:
    accounts.add_for_provider("m.weber", "engineer", who="chief", why="new", now=NOW)
    for _ in range(2):
        found = named_by_provider(accounts, "M.Weber")
        assert (found.name, found.role) == ("m.weber", "engineer")
    with pytest.raises(Refused):
        named_by_provider(accounts, "m.weber", "localhost:9|another")


def test_an_admin_sends_somebody_to_the_provider_and_back(accounts: Accounts, sessions: Sessions) -> None:
    token = sessions.begin(with_password(accounts, "alice"), NOW) or ""
    accounts.to_provider("alice", who="chief", why="single login", now=NOW)
    assert sessions.person(token, NOW) is None
    assert accounts.check("alice", PASSWORD) is None
    assert named_by_provider(accounts, "alice").ready
    accounts.to_provider("alice", who="chief", why="another directory", now=NOW)
    accounts.reset("alice", who="chief", why="a password after all", now=NOW)
    with pytest.raises(Refused):
        named_by_provider(accounts, "alice", "localhost:9|another")


def test_the_first_admin_is_still_made_after_a_newcomer_came(engine: Engine) -> None:
    accounts = Accounts(engine)
    accounts.from_provider("localhost:9|1", "bob", "operator", NOW)
    accounts.disable("bob", who="x", why="he takes no admin away", now=NOW)
    token = accounts.first_link(NOW)
    assert token is not None
    assert accounts.use_link(token, "chief", PASSWORD, NOW).role == "admin"
    with pytest.raises(Refused, match="last admin"):
        accounts.disable("chief", who="x", why="y", now=NOW)


def test_no_hash_is_computed_for_a_link_that_never_was(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []
    monkeypatch.setattr("streams.wiring.adapters.desk.accounts.hashed", computed.append)
    with pytest.raises(Refused, match="used already"):
        accounts.use_link("nonsense", "x", PASSWORD, NOW)
    assert computed == []


def test_the_file_is_its_owners_alone_and_answers_are_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / FILE).touch(mode=0o644)
    engine = open_desk(tmp_path)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        found = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert found == {FILE: 0o600, f"{FILE}-wal": 0o600, f"{FILE}-shm": 0o600}
