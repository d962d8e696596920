"""`verdictline user`: each change, what it refuses, and that every change waits as an act."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from schemas.act import ActV1
from streams.__main__ import application
from streams.wiring.adapters.desk.accounts import Accounts
from streams.wiring.adapters.desk.opening import open_desk
from streams.wiring.adapters.desk.outgoing import Outgoing
from tests.helpers.console import NOW, PASSWORD, token_of


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VERDICTLINE_STATE", str(tmp_path))
    return tmp_path


def user(*argv: str) -> Result:
    return CliRunner().invoke(application(["user"]), ["user", *argv])


def test_a_users_life_is_on_act_v1(state: Path) -> None:
    why = ("--why", "line 3", "--who", "chief")
    assert user("add", "boss", "--role", "admin", *why).exit_code == 0
    link = user("add", "m.weber", "--role", "reviewer", *why).output.strip()
    desk = open_desk(state)
    Accounts(desk).use_link(token_of(link), "", PASSWORD, NOW)
    assert user("role", "m.weber", "engineer", *why).exit_code == 0
    again = user("reset", "m.weber", *why)
    assert Accounts(desk).check("m.weber", PASSWORD) is None
    assert token_of(again.output.strip()) != token_of(link)
    assert user("disable", "m.weber", *why).exit_code == 0
    assert user("enable", "m.weber", *why).exit_code == 0
    listed = {row["name"]: row for row in json.loads(user("list", "--json").output)}
    assert (listed["m.weber"]["role"], listed["m.weber"]["ready"]) == ("engineer", False)
    acts = [ActV1.read(record.value or b"") for _, record in Outgoing(desk).take(20)]
    desk.dispose()
    assert [act.act for act in acts if act.where.endswith("/m.weber")] == [
        "user_added", "user_password", "user_role", "user_password", "user_disabled", "user_enabled",
    ]  # fmt: skip
    assert {act.who for act in acts} == {"chief", "m.weber"}


def test_what_cannot_be_is_refused_with_a_reason(state: Path) -> None:
    why = ("--why", "x")
    assert user("add", "boss", "--role", "admin", *why).exit_code == 0
    for argv, said in (
        (("add", "BOSS"), "already"),
        (("add", "a b"), "letters"),
        (("role", "nobody", "admin"), "no user nobody"),
        (("disable", "boss"), "last admin"),
    ):
        found = user(*argv, *why)
        assert found.exit_code == 1, argv
        assert said in found.output, found.output
    assert user("add", "other", "--role", "root", *why).exit_code == 2
    assert user("add", "other").exit_code == 2


def test_a_list_that_goes_to_a_file_is_not_cut(state: Path) -> None:
    """Twice as wide as what is taken for a terminal where there is none."""
    who = "the.chief.of.the.second.shift.in.the.press.shop.of.plant.b.and.her.deputy.for.line.three.and.four"
    names = [f"reviewer.of.the.whole.line.number.{n}" for n in range(3)]
    for name in names:
        assert user("add", name, "--role", "reviewer", "--why", "x", "--who", who).exit_code == 0
    lines = user("list").output.splitlines()
    for name in names:
        (line,) = [line for line in lines if name in line]
        assert who in line
        assert "…" not in line
