"""`verdictline policy try` on a database: what it counts, what it lists, what it refuses."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from typer.testing import CliRunner, Result

from schemas.common import Message
from schemas.envelope import from_millis
from schemas.policy import PolicyV1
from schemas.verdict import VerdictV1
from streams.__main__ import application
from streams.judgement.trial import Change, Trial
from streams.wiring.adapters.database import ask_monitors
from streams.wiring.adapters.database.ask_evidence import stretches
from streams.wiring.adapters.database.connection import reading
from streams.wiring.adapters.database.scope import Scope
from streams.wiring.adapters.database.store import Store
from streams.wiring.commands.policy_file import dump_policy
from streams.wiring.commands.policy_try import write_csv
from streams.wiring.from_log import captured_before
from streams.wiring.trying import Versions, try_policy
from tests.helpers.database import fresh_engine, write
from tests.helpers.evidence_log import T0_MS, Published, appended, log_of, play
from tests.helpers.history import MODELS, RULES, history, part, version
from tests.helpers.judgement import STATION, announced, anomaly, classification, model_set, policy

N = 120
ALL = ("--window", "2026-01-05T00:00:00Z..2026-01-06T00:00:00Z")
STRICTER: Mapping[str, Any] = {"anomaly": {"alpha": 0.2}, "title": "stricter"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with a database of N parts."""
    engine = fresh_engine(None, tmp_path)
    write(Store(engine), history(N, 7))
    engine.dispose()
    monkeypatch.setenv("VERDICTLINE_STATE", str(tmp_path))
    for name in ("VERDICTLINE_KAFKA", "VERDICTLINE_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def policy_file(folder: Path, changes: Mapping[str, Any] = STRICTER) -> str:
    file = folder / "policy.yaml"
    file.write_text(dump_policy(PolicyV1.model_validate({**RULES.model_dump(exclude_none=True), **changes})))
    return str(file)


def try_(*argv: str) -> Result:
    return CliRunner().invoke(application(["policy"]), ["policy", "try", *argv], env={"NO_COLOR": "1", "COLUMNS": "200"})


def said() -> list[VerdictV1]:
    verdicts = [VerdictV1.read(r.value or b"") for r in history(N, 7) if r.topic == "verdict.v1"]
    return [one for one in verdicts if one.revision == 1]


def test_it_counts_rates_and_changes(folder: Path) -> None:
    found = json.loads(try_(policy_file(folder), *ALL, "--json").output)
    before = Counter(str(one.disposition) for one in said())
    assert found["parts"] == N
    assert found["left_out"] == {}
    assert all(found["before"][name] <= n for name, n in before.items())
    assert sum(before.values()) - sum(found["before"].values()) == sum(found["undecided"].values())
    assert sum(found["after"].values()) == found["judged"] == N - sum(found["undecided"].values())
    assert len(found["changes"]) == sum(move["parts"] for move in found["moves"]) > 2
    for one in found["changes"]:
        assert one["was"] != one["would_be"]
        assert one["serial"].startswith("S")
    review = found["review"]
    assert review["after"]["events"] == found["after"]["review"]
    assert review["after"]["low_ppm"] < review["after"]["ppm"] < review["after"]["high_ppm"]
    effect = found["effect"]["review"]
    assert effect["only_after"] - effect["only_before"] == found["after"]["review"] - found["before"]["review"]
    assert 0 < effect["p"] <= 1


def test_people_say_what_is_true(folder: Path) -> None:
    found = json.loads(try_(policy_file(folder), *ALL, "--json").output)["truth"]
    verdicts = [VerdictV1.read(r.value or b"") for r in history(N, 7) if r.topic == "verdict.v1"]
    final = {one.inspection: one for one in sorted(verdicts, key=lambda one: one.revision)}
    people = [one for one in final.values() if one.decided_by == "person"]
    assert found["escapes"]["n"] + found["overkill"]["n"] == len(people)
    assert found["escapes"]["n"] == sum(one.disposition != "pass" for one in people)


def test_lines_for_people_and_a_file_with_all(folder: Path) -> None:
    shown = try_(policy_file(folder), *ALL, "--most", "1", "--csv", str(folder / "changes.csv"))
    assert shown.exit_code == 0, shown.output
    rows = list(csv.DictReader((folder / "changes.csv").read_text(encoding="utf-8").splitlines()))
    assert f"{len(rows)} parts change" in shown.output
    assert f"and {len(rows) - 1} more" in shown.output
    assert rows[0]["inspection"] in shown.output
    assert "McNemar p" in shown.output
    assert "ppm" in shown.output


def test_lots_stations_and_windows_cut(folder: Path) -> None:
    file = policy_file(folder)
    assert json.loads(try_(file, "--lot", "L1", "--json").output)["parts"] == 50
    short = ("--window", "2026-01-05T08:00:00Z..2026-01-05T08:00:30Z")
    assert json.loads(try_(file, *short, "--json").output)["parts"] == 30
    nobody = try_(file, *ALL, "--station", "plant/line-1/cam-9")
    assert (nobody.exit_code, "there are no parts of disc" in nobody.output) == (1, True)
    assert "there are no parts" in try_(file).output  # the last 24 hours


@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        ("yesterday", "write 30m, 24h, 7d"),
        ("2026-01-05T08:00:00..2026-01-05T09:00:00", "need a zone"),
        ("2026-01-05T09:00:00Z..2026-01-05T08:00:00Z", "ends before it begins"),
    ],
)
def test_wrong_windows_are_refused(folder: Path, window: str, wanted: str) -> None:
    refused = try_(policy_file(folder), "--window", window)
    assert refused.exit_code == 2
    assert wanted in " ".join(refused.output.replace("│", " ").split())


def test_what_cannot_be_tried_is_said(folder: Path, tmp_path: Path) -> None:
    file = policy_file(folder)
    assert "is for product 'disc', not for 'ring'" in try_(file, "--product", "ring").output
    broken = folder / "broken.yaml"
    broken.write_text("product: disc\ntitle: t\nclases: {}\n")
    assert "there is no such field" in try_(str(broken)).output
    unfit = policy_file(folder, {"anomaly": None, "title": "unfit"})
    assert "the policy does not fit the models" in try_(unfit, *ALL).output
    (folder / "verdictline.db").rename(folder / "gone.db")
    missing = try_(file, *ALL)
    assert (missing.exit_code, "no database yet" in missing.output) == (1, True)


@pytest.mark.parametrize("later", ["rework", "review"])
def test_parts_of_two_stations_are_not_taken_for_each_other(tmp_path: Path, later: str) -> None:
    """Scratches at one station, dents and a good part at the other: in each stretch of parts they are the only strange kind."""
    own, new = _kinds(0.5, 0.9, later), _kinds(0.9, 0.5, later)
    seen = [(n, BOTH[0], {"good": 0.15, "dent": 0.15, "scratch": 0.7}) for n in range(1, 11)]
    seen += [(n, BOTH[1], {"good": 0.15, "dent": 0.7, "scratch": 0.15}) for n in range(11, 21)]
    seen += [(21, BOTH[1], {"good": 0.9, "dent": 0.05, "scratch": 0.05})]
    log = log_of(one for n, station, shares in seen for one in _strange_part(n, station, shares, own))
    outputs, _ = play(log, Published(own, KINDS))
    verdicts = [appended(one, i, T0_MS + 60_000) for i, one in enumerate(r for r in outputs if r.topic == "verdict.v1")]
    engine = fresh_engine(None, tmp_path)
    write(Store(engine), [*(appended(version(one), 0, T0_MS) for one in (own, KINDS)), *log, *verdicts])
    with reading(engine) as connection:
        whole, first, second = (_tried(connection, new, stations) for stations in ((), BOTH[:1], BOTH[1:]))
    engine.dispose()
    assert whole.moves == first.moves + second.moves
    assert second.moves == Counter({(later, "review"): 10}) + Counter({("review", "review"): 1})


BOTH = ("plant/line-1/cam-1", "plant/line-1/cam-2")
KINDS = model_set("anomaly", "classification")


def _kinds(dent: float, scratch: float, dents: str) -> PolicyV1:
    """An accepted scratch is scrap, an accepted dent what is asked."""
    good = {"threshold": 0.6, "disposition": "pass"}
    dented, scratched = {"threshold": dent, "disposition": dents}, {"threshold": scratch, "disposition": "scrap"}
    return policy(title=f"{dent:g} and {scratch:g}", classes={"good": good, "dent": dented, "scratch": scratched})


def _strange_part(n: int, station: str, shares: dict[str, float], rules: PolicyV1) -> list[tuple[float, Message]]:
    inspection = part(n, station)
    seen = (anomaly(inspection, KINDS, score=0.95), classification(inspection, KINDS, shares))
    return [(float(n), announced(inspection, rules, KINDS)), *((n + 0.1, one) for one in seen)]


def _tried(connection: Connection, rules: PolicyV1, stations: tuple[str, ...]) -> Trial:
    policies, sets = ask_monitors.policies(connection), ask_monitors.model_sets(connection)
    versions = Versions(policies=policies, model_sets=sets, truths={})
    return try_policy(rules, stretches(connection, Scope(purposes=(), stations=stations)), versions)


def test_from_the_log_a_part_counts_by_its_shutter_however_late_it_was_announced() -> None:
    """A gateway without Kafka keeps its parts: they are announced, and judged, half an hour after the window's end."""
    end, shots = from_millis(T0_MS) + timedelta(minutes=5), (4, 6)
    events: list[tuple[float, Message]] = []
    for n, minutes in enumerate(shots):
        shot, inspection = from_millis(T0_MS) + timedelta(minutes=minutes), part(n)
        events.append((1800.0 + n, announced(inspection, RULES, MODELS, captured_at=shot)))
        events.append((1800.5 + n, anomaly(inspection, MODELS)))
    log = log_of(events)
    said = {record.header("ce_subject") for record in captured_before(end, log)}
    assert said == {part(0)}
    assert len(list(captured_before(end, log))) == 2
    assert list(captured_before(None, log)) == log


def test_a_serial_that_a_spreadsheet_would_run_is_text(tmp_path: Path) -> None:
    told = {"station": STATION, "lot": "L1", "was": "pass", "would_be": "scrap"}
    serials = ("=1+1", "+49", "-1", "@x", "S1", None)
    changes = [Change(inspection=part(n), serial=serial, **told) for n, serial in enumerate(serials)]  # type: ignore[arg-type]
    write_csv(tmp_path / "changes.csv", Trial(changes=changes))
    rows = list(csv.DictReader((tmp_path / "changes.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["serial"] for row in rows] == ["'=1+1", "'+49", "'-1", "'@x", "S1", ""]
