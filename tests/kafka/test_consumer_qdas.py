"""The consumer kit's file program: real Kafka, and what two readers find in the files."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aqdefreader import DfqFile

from schemas.spc import SubgroupV1
from tests.helpers.consumers import Bus, Program, running, verdict, verdict_record, with_header
from tests.helpers.dfq import Sheet, read_dfq
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
STATION = "lyon/line-2/press-out"
EXAMPLE = Path(__file__).parents[2] / "schemas/examples/verdictline.spc.subgroup.v1/good-one-hour.json"


@pytest.fixture
def bus(kafka: SharedKafka) -> Bus:
    return Bus(bootstrap=kafka.bootstrap, verdicts=kafka.fresh("verdict"), spc=kafka.fresh("spc")).make()


def options(bus: Bus, out: Path, *more: str) -> list[str]:
    kafka = ["--kafka", bus.bootstrap, "--group", "g-" + bus.verdicts, "--topic", bus.verdicts, bus.spc, "--backoff-s", "1"]
    return [*kafka, "--out", str(out), *more]


def subgroup(number: int = 1, revision: int = 0, **changes: Any) -> SubgroupV1:
    told = json.loads(EXAMPLE.read_text()) | {"revision": revision, "subgroup_id": f"{STATION}|disc|hourly|st-9f2c|{number:06d}"}
    return SubgroupV1.model_validate(told | changes)


def publish(bus: Bus, *groups: SubgroupV1) -> None:
    bus.publish(STATION, **{f"{one.subgroup_id}/{one.revision}": one for one in groups})


def files(out: Path, kind: str) -> dict[str, bytes]:
    """By name, of one station."""
    folder = out / kind / STATION
    return {file.name: file.read_bytes() for file in sorted(folder.glob("[!.]*"))} if folder.is_dir() else {}


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def sheet(data: bytes) -> Sheet:
    return read_dfq(data.decode())


def test_a_subgroup_becomes_a_dfq_file_that_two_readers_understand(bus: Bus, tmp_path: Path) -> None:
    long = "a-name-that-is-much-longer-than-twenty-characters"
    few = {"name": "scratch-length", "unit": "mm", "n": 3, "mean": 1.9, "values": [1.8, 1.45, 2.2]}
    many = {"name": long, "unit": "mm2", "n": 400, "mean": 0.00002}
    publish(bus, subgroup(characteristics=[few, many], lot="L\r\n\x0f\x14 2291"))
    with running("qdas", tmp_path / "log", *options(bus, tmp_path, "--zone", "Europe/Berlin")):
        wait_until(lambda: files(tmp_path, "dfq"), 20)
    ((name, data),) = files(tmp_path, "dfq").items()
    assert name == "disc.hourly.st-9f2c.000001.r0.dfq"
    found = sheet(data)
    assert {key: found.part[key] for key in ("K1001", "K1081", "K1085")} == {
        "K1001": "disc",
        "K1081": "press-out",
        "K1085": "lyon/line-2",
    }
    assert found.named("nonconforming").counts == [(512, 9)]
    assert found.named("class-scratch").counts == [(512, 5)]
    assert found.named("class-unknown").counts == [(512, 3)]
    assert found.named("class-unreviewed").counts == [(514, 2)]
    length = found.named("scratch-length")
    assert (length.measured, length.fields["K2142"], length.fields["K2022"]) == ([1.8, 1.45, 2.2], "mm", "2")
    end = datetime(2026, 11, 23, 10, tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin")).replace(tzinfo=None)
    assert set(length.times) == {end}
    assert {one["K0006"] for one in length.values} == {"#L     2291"}
    assert [(one["K0081"], one["K0080"]) for one in found.groups] == [(str(n), found.groups[0]["K0080"]) for n in (1, 2, 3)]
    titled = {one.fields["K2002"]: one for one in found.characteristics.values()}
    mean = titled[f"{long}, mean of each subgroup"]
    assert mean.measured == [0.00002]
    assert len(mean.fields["K2001"]) <= 20

    with contextlib.redirect_stdout(io.StringIO()):
        other = DfqFile(data.decode().splitlines()).get_part(0)
    by_key = {one.get_data("K2001"): one.get_measurements() for one in other.get_characteristics()}
    assert [(one.subgroup_size, one.error_count, one.datetime) for one in by_key["nonconforming"]] == [(512_000, 9, end)]
    assert [(one.value, one.attribute, one.batch_no) for one in by_key["scratch-length"]] == [
        (value, 0, "#L     2291") for value in (1.8, 1.45, 2.2)
    ]


def test_a_newer_revision_replaces_the_file_and_an_older_one_never_comes_back(bus: Bus, tmp_path: Path) -> None:
    facts = subgroup().counts
    corrected = subgroup(revision=1, nonconforming=8, counts=facts | {"pass": 504, "rework": 5})
    publish(bus, subgroup(), subgroup(2, n=0, nonconforming=0, counts={"no_verdict": 3}, characteristics=[], defects={}))
    with running("qdas", tmp_path / "log", *options(bus, tmp_path)):
        wait_until(lambda: files(tmp_path, "subgroups"), 20)
        wait_until(lambda: len(table(files(tmp_path, "subgroups")["2026-11-23.csv"])) == 2, 20)
        assert list(files(tmp_path, "dfq")) == ["disc.hourly.st-9f2c.000001.r0.dfq"], "nobody came: no file"
        publish(bus, corrected)
        wait_until(lambda: list(files(tmp_path, "dfq")) == ["disc.hourly.st-9f2c.000001.r1.dfq"], 20)
    before = {kind: files(tmp_path, kind) for kind in ("dfq", "subgroups")}
    assert sheet(before["dfq"]["disc.hourly.st-9f2c.000001.r1.dfq"]).named("nonconforming").counts == [(512, 8)]
    rows = table(before["subgroups"]["2026-11-23.csv"])
    assert [(row["revision"], row["n"], row["rework"], row["defects"]) for row in rows] == [
        ("1", "512", "5", "scratch=5;unknown=3;unreviewed=2"),
        ("0", "0", "0", ""),
    ]
    publish(bus, subgroup())  # another program of this group, which knows nothing of what was, reads the old word again
    with running("qdas", tmp_path / "log2", *options(bus, tmp_path)) as program:
        publish(bus, subgroup(3))
        wait_until(lambda: len(files(tmp_path, "dfq")) == 2, 20)
    assert "events 2" in program.said()
    assert files(tmp_path, "dfq").items() >= before["dfq"].items()


def test_verdicts_of_an_hour_are_one_file_with_every_revision_once(bus: Bus, tmp_path: Path) -> None:
    awkward = 'a "quoted", text\nof two lines'
    bus.judge(
        verdict(STATION, 0, "review", lot=awkward, tool="mould-2"),
        verdict(STATION, 0, "review", lot=awkward, tool="mould-2"),
        verdict(STATION, 4000, "pass"),
        verdict(STATION, 1, "scrap", purpose="challenge"),
    )
    bus.send(bus.verdicts, [with_header(verdict_record(verdict(STATION, 2, "pass")), "ce_type", "org.example.other.v1")])
    with running("qdas", tmp_path / "log", *options(bus, tmp_path)) as program:
        wait_until(lambda: len(files(tmp_path, "verdicts")) == 2, 20)
        bus.judge(verdict(STATION, 0, "rework", revision=2, label="dent", supersedes="review"))
        wait_until(lambda: len(table(files(tmp_path, "verdicts")["2026-11-23T09.csv"])) == 3, 20)
    found = files(tmp_path, "verdicts")
    assert list(found) == ["2026-11-23T09.csv", "2026-11-23T10.csv"]
    rows = table(found["2026-11-23T09.csv"])
    assert [(row["serial"], row["revision"], row["disposition"], row["purpose"], row["who"]) for row in rows] == [
        ("S-00000", "1", "review", "production", ""),
        ("S-00000", "2", "rework", "production", "m.keller"),
        ("S-00001", "1", "scrap", "challenge", ""),
    ]
    assert (rows[0]["lot"], rows[0]["tool"], rows[0]["late"]) == (awkward, "mould-2", "false")
    assert "copies 1, events 4, ignored 1" in program.said()


def test_killed_again_and_again_the_files_are_those_of_a_quiet_run(bus: Bus, tmp_path: Path) -> None:
    parts = 2500
    bus.judge(*(verdict(STATION, n, "pass", captured_at=None) for n in range(parts)))
    publish(bus, *(subgroup(n) for n in range(60)))
    killed, quiet = tmp_path / "killed", tmp_path / "quiet"
    known = options(bus, killed, "--client", "group.instance.id=files")  # else each start waits 6 s for the killed one
    for attempt in range(3):
        so_far = len(files(killed, "dfq"))
        program = Program("qdas", tmp_path / f"log{attempt}", *known)
        wait_until(partial(grown, killed, so_far), 20)
        program.kill()
    with running("qdas", tmp_path / "log", *known):
        wait_until(lambda: rows_in(killed) == parts and len(files(killed, "dfq")) >= 60, 30)
    other = options(bus, quiet)
    other[3] += "-quiet"
    with running("qdas", tmp_path / "log-quiet", *other):
        wait_until(lambda: rows_in(quiet) == parts and len(files(quiet, "dfq")) >= 60, 30)
    for kind in ("dfq", "subgroups", "verdicts"):
        assert files(killed, kind) == files(quiet, kind)


def grown(out: Path, so_far: int) -> bool:
    return so_far == 60 or len(files(out, "dfq")) > so_far


def rows_in(out: Path) -> int:
    return sum(len(table(data)) for data in files(out, "verdicts").values())


def test_a_folder_that_is_full_or_closed_is_waited_for(bus: Bus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("a file stands where the folder should be")
    bus.judge(verdict(STATION, 0, "pass"))
    with running("qdas", tmp_path / "log", *options(bus, out)) as program:
        wait_until(lambda: "not done" in program.said(), 20)
        out.unlink()
        wait_until(lambda: rows_in(out) == 1, 20)


def test_a_file_with_other_columns_is_not_overwritten(bus: Bus, tmp_path: Path) -> None:
    file = tmp_path / "verdicts" / STATION / "2026-11-23T09.csv"
    file.parent.mkdir(parents=True)
    file.write_text("inspection,mine\nx,1\n")
    bus.judge(verdict(STATION, 0, "pass"))
    program = Program("qdas", tmp_path / "log", *options(bus, tmp_path))
    assert program.ended() == 1
    assert "move it away" in program.said()
    assert file.read_text() == "inspection,mine\nx,1\n"
