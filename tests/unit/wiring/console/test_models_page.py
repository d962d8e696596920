"""Candidates on the page Models: their page, who may promote them, what is written then, and what a stale form does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.act import ActV1
from schemas.codec import CONSOLE, keyed
from schemas.common import ImageRef, Message, Stage, digest
from schemas.envelope import Received, Record, from_millis
from schemas.model_set import ModelSetPointerV1, ModelSetV1
from schemas.policy import PointerV1, PolicyV1
from streams.fates import Unprocessable
from streams.wiring.adapters.database.store import Store
from streams.wiring.adapters.desk.acts import in_force
from tests.helpers.console import Browser, Desk, console, rows
from tests.helpers.database import write
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.judgement import model_set, policy
from tests.helpers.models_offered import PAGE, REPORT, learned

BOTH: tuple[Stage, ...] = ("anomaly", "classification")
BASE = model_set(*BOTH)
WHERE = f"current/{BASE.product}"


CANDIDATE = learned(BASE, 7, "stain")


def now_in_force(version: Message, pointer: Message, kind: str, seconds: int) -> list[Record]:
    at = from_millis(T0_MS) + timedelta(seconds=seconds)
    act = ActV1(act=kind, where=WHERE, digest=digest(version), who="ada", why="fitted", at=at)
    return in_force(version, pointer, act)


def log(models: ModelSetV1 = BASE, rules: PolicyV1 | None = None, seconds: int = 0) -> list[Received]:
    rules = rules or policy()
    records = [
        *now_in_force(rules, PointerV1(digest=digest(rules), who="ada", why="fitted"), "policy_in_force", seconds),
        *now_in_force(models, ModelSetPointerV1(digest=digest(models), who="ada", why="fitted"), "model_set_in_force", seconds),
    ]
    return [appended(record, 100 * seconds + n, T0_MS + n) for n, record in enumerate(records)]


def offered(models: ModelSetV1) -> Received:
    found = digest(models)
    return appended(keyed(models, id=found, key=found, subject=WHERE, time=from_millis(T0_MS), source=CONSOLE), 50, T0_MS)


def no_other(ref: ImageRef) -> bytes:
    if ref != REPORT:
        raise Unprocessable("image_gone", ref.uri)
    return PAGE


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with console(tmp_path, (*log(), offered(CANDIDATE)), read_image=no_other) as made:
        yield made


def promote(browser: Browser, **changes: str) -> int:
    form = {"place": WHERE, "now": digest(BASE), "candidate": digest(CANDIDATE), "why": "finds stains"}
    return browser.post("/models/promote", form | changes, page="/models").status_code


def test_a_candidate_is_shown_with_its_page_and_only_engineers_can_promote_it(desk: Desk) -> None:
    for role, may in (("operator", False), ("reviewer", False), ("engineer", True), ("admin", True)):
        browser = desk.logged_in(role)  # type: ignore[arg-type]
        shown = browser.get("/models").text
        assert "Learned from 9 labelled images, new: <strong>stain</strong>" in shown
        assert ("/models/promote" in shown) == may
        assert (promote(browser, now="") == 403) == (not may)
        page = browser.get("/models/report", candidate=digest(CANDIDATE))
        assert page.content == PAGE
        assert "sandbox" in page.headers["content-security-policy"]
        assert "script-src" not in page.headers["content-security-policy"]
    assert not [one for one in rows(desk) if one.topic == "model-set.v1"]


def test_promoting_writes_version_pointer_and_act_and_rolling_back_too(desk: Desk) -> None:
    browser = desk.logged_in("engineer")
    assert promote(browser) == 303
    made = [one for one in rows(desk) if one.topic == "model-set.v1" or b"model_set" in (one.value or b"")]
    assert [one.key for one in made] == [digest(CANDIDATE).encode(), WHERE.encode(), WHERE.encode()]
    assert ModelSetPointerV1.read(made[1].value or b"").digest == digest(CANDIDATE)
    act = ActV1.read(made[2].value or b"")
    assert (act.act, act.who, act.why) == ("model_set_in_force", "engineer-1", "finds stains")
    write(Store(desk.engine), [appended(record, 60 + n, T0_MS + 60_000 + n) for n, record in enumerate(made)])
    shown = browser.get("/models", done=digest(CANDIDATE)).text
    assert f"Roll back to {digest(BASE)[:12]}" in shown
    assert "has no rule" in shown, "the policy does not name stain yet"
    back = {"place": WHERE, "now": digest(CANDIDATE), "why": "too many reworks"}
    assert browser.post("/models/roll-back", back, page="/models").status_code == 303
    assert ModelSetPointerV1.read(rows(desk)[-2].value or b"").digest == digest(BASE)


def test_what_is_stale_wrong_or_unsaid_changes_nothing(desk: Desk) -> None:
    browser = desk.logged_in("engineer")
    before = len(rows(desk))
    assert promote(browser, now="b" * 64) == 409
    assert promote(browser, why="  ") == 400
    assert promote(browser, candidate="c" * 64) == 404
    assert promote(browser, candidate=digest(BASE)) == 404, "not a candidate"
    assert promote(browser, place="current/nothing") == 404
    assert browser.post("/models/roll-back", {"place": WHERE, "now": digest(BASE), "why": "x"}, page="/models").status_code == 404
    assert browser.get("/models/report", candidate="<script>").status_code == 404
    assert len(rows(desk)) == before


def test_models_that_the_policy_cannot_judge_at_all_are_refused(tmp_path: Path) -> None:
    lost = learned(BASE, 8)
    lost = lost.model_copy(update={"models": tuple(one for one in lost.models if one.stage != "anomaly")})
    with console(tmp_path, (*log(), offered(lost)), read_image=no_other) as desk:
        browser = desk.logged_in("engineer")
        answer = browser.post(
            "/models/promote",
            {"place": WHERE, "now": digest(BASE), "candidate": digest(lost), "why": "x"},
            page="/models",
        )
        assert answer.status_code == 409
        assert "no anomaly model" in answer.text
        assert not [one for one in rows(desk) if one.topic == "model-set.v1"]


def test_a_page_that_is_gone_says_so(tmp_path: Path) -> None:
    with console(tmp_path, (*log(), offered(CANDIDATE))) as desk:
        answer = desk.logged_in("operator").get("/models/report", candidate=digest(CANDIDATE))
        assert answer.status_code == 404
        assert "no longer kept" in answer.text
