"""`verdictline verdicts` on a real Kafka: which are shown, which are in effect, following."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import pytest
from typer.testing import CliRunner

from schemas.codec import record_of
from schemas.common import Disposition
from schemas.envelope import Record
from schemas.ids import inspection_id, verdict_id
from schemas.topics import VERDICT
from schemas.verdict import VerdictV1, WhyV1
from streams.__main__ import application
from streams.wiring.adapters.kafka import Writer
from streams.wiring.adapters.topics import apply_topics
from tests.helpers.judgement import stamp
from tests.helpers.servers import SharedKafka

pytestmark = pytest.mark.kafka
START = datetime(2026, 11, 23, 9, tzinfo=UTC)


def verdict(station: str, n: int, disposition: Disposition, *, revision: int = 1, product: str = "disc") -> VerdictV1:
    at = START + timedelta(seconds=n + 100 * (revision - 1))
    return VerdictV1(
        inspection=str(inspection_id(station, 1795471200123, n)),
        revision=revision,
        station=station,
        product=product,
        purpose="production",
        disposition=disposition,
        reasons=(WhyV1(code="severity", view="v1", detail="length [mm] 6.4 >= 5"),),
        decided_by="policy" if revision == 1 else "person",
        who=None if revision == 1 else "m.keller",
        announced_at=at,
        decided_at=at,
    )


def send(kafka: SharedKafka, *verdicts: VerdictV1) -> None:
    writer = Writer({"bootstrap.servers": kafka.bootstrap})
    for v in verdicts:
        writer.send(record_of(v, id=verdict_id(v.inspection, v.revision), station=v.station, subject=v.inspection))
    writer.flush()


@pytest.fixture
def station(kafka: SharedKafka, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VERDICTLINE_KAFKA", kafka.bootstrap)
    apply_topics({"bootstrap.servers": kafka.bootstrap})
    return f"site/line/{kafka.fresh('s')}"


def run(*words: str) -> tuple[int, list[str]]:
    done = CliRunner().invoke(application(["verdicts"]), ["verdicts", *words])
    return done.exit_code, done.stdout.splitlines()


def shown(*words: str) -> list[tuple[int, int, str, bool]]:
    """(n, revision, disposition, effective) of each line."""
    code, lines = run("--json", *words)
    assert code == 0
    found = map(json.loads, lines)
    return [(int(v["inspection"][-12:]), v["revision"], v["disposition"], v["effective"]) for v in found]


def test_the_highest_revision_is_in_effect_and_a_copy_shows_once(kafka: SharedKafka, station: str) -> None:
    first, bad = verdict(station, 0, "pass"), verdict(station, 1, "review")
    send(kafka, first, bad, first, verdict(station, 1, "pass", revision=2), verdict(station, 2, "scrap", product="board"))
    assert shown("--station", station) == [
        (0, 1, "pass", True),
        (1, 1, "review", False),
        (2, 1, "scrap", True),
        (1, 2, "pass", True),
    ]
    assert shown("--station", station, "--last", "2") == [(2, 1, "scrap", True), (1, 2, "pass", True)]
    assert shown("--station", station, "--product", "board") == [(2, 1, "scrap", True)]
    assert [n for n, *_ in shown("--station", station, "--disposition", "pass", "--disposition", "review")] == [0, 1, 1]
    _, lines = run("--station", station)
    assert "2026-11-23 09:00:01.000  review" in lines[1]
    assert "severity in v1: length [mm] 6.4 >= 5  [superseded]" in lines[1]
    assert lines[3].endswith("[revision 2, by m.keller]")


def test_a_false_reject_rate_that_is_not_valid_is_marked(kafka: SharedKafka, station: str) -> None:
    doubts: list[dict[str, Any]] = [
        {"baselines": {"v1": stamp(station, "v1"), "v2": stamp(station, "v2", "suspect")}, "false_reject_rate_valid": False},
        {"baselines": {}, "false_reject_rate_valid": False},
        {"baselines": {"v1": stamp(station, "v1")}, "false_reject_rate_valid": True},
        {},
    ]
    send(kafka, *(verdict(station, n, "pass").model_copy(update=doubt) for n, doubt in enumerate(doubts)))
    _, lines = run("--station", station)
    suspect, unknown, *good = lines
    assert suspect.endswith("[rate not valid: v2 suspect]")
    assert unknown.endswith("[rate not valid: no baseline known]")
    assert not any("not valid" in line for line in good)
    _, lines = run("--station", station, "--json")
    first = json.loads(lines[0])
    assert (first["false_reject_rate_valid"], first["baselines"]["v2"]["state"]) == (False, "suspect")


def test_looks_far_enough_back(kafka: SharedKafka, station: str) -> None:
    """The one that is asked for lies behind many that are not."""
    send(kafka, verdict(station, 0, "scrap"), *(verdict(station, n, "pass") for n in range(1, 400)))
    assert shown("--station", station, "--disposition", "scrap", "--last", "1") == [(0, 1, "scrap", True)]
    assert [n for n, *_ in shown("--station", station, "--last", "0")] == list(range(400))


def test_what_is_no_verdict_is_left_out_and_told(kafka: SharedKafka, station: str) -> None:
    writer = Writer({"bootstrap.servers": kafka.bootstrap})
    writer.send(Record(topic=VERDICT, key=station.encode(), value=b"{}"))
    writer.flush()
    send(kafka, verdict(station, 0, "pass"))
    done = CliRunner().invoke(application(["verdicts"]), ["verdicts", "--last", "0", "--station", station])
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 1)
    assert "records in verdict.v1 are no readable verdicts" in done.stderr


@pytest.fixture
def following(kafka: SharedKafka, station: str) -> Iterator[subprocess.Popen[str]]:
    send(kafka, verdict(station, 0, "pass"))
    command = [sys.executable, "-m", "streams", "verdicts", "--follow", "--last", "1", "--json", "--station", station]
    env = {**os.environ, "VERDICTLINE_KAFKA": kafka.bootstrap}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    yield process
    process.kill()
    process.communicate()


def test_follows_without_a_gap_until_ctrl_c(kafka: SharedKafka, station: str, following: subprocess.Popen[str]) -> None:
    out: IO[str] = following.stdout  # type: ignore[assignment]
    assert json.loads(out.readline())["disposition"] == "pass"
    send(kafka, verdict(station, 0, "scrap", revision=2))
    second = json.loads(out.readline())
    assert (second["disposition"], second["revision"], second["effective"]) == ("scrap", 2, True)
    following.send_signal(signal.SIGINT)
    rest, errors = following.communicate(timeout=20)
    assert (following.returncode, rest, "Traceback" in errors) == (0, "", False)
