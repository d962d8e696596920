"""Challenge parts at the gateway: the command registers them, the injector hands them in, masters are recognised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.challenge import ChallengeDueV1, ChallengeResultV1
from schemas.codec import record_of
from streams.__main__ import application
from streams.settings import Settings
from streams.wiring.adapters.challenges import publish, read_challenges
from streams.wiring.adapters.kafka import Writer
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.processors.gateway import Gateway
from streams.wiring.processors.injector import Injector
from tests.helpers.gateway import Fixed, part, png
from tests.helpers.sent import Sent, sent
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
ACT = ("--who", "ada", "--why", "test")


@dataclass(frozen=True, kw_only=True)
class Place:
    settings: Settings
    station: str
    folder: Path

    def command(self, *words: str) -> tuple[int, str]:
        """`verdictline challenge WORDS`, for this station."""
        done = CliRunner().invoke(
            application(["challenge"]), ["challenge", *words, "--station", self.station], env={"COLUMNS": "200"}
        )
        return done.exit_code, done.output

    def sent(self) -> Sent:
        return sent(self.settings.client(), self.station)

    def due(self, set: str, *parts: str, proof: str = "digital", within_s: float = 60) -> ChallengeDueV1:
        now = datetime.now(UTC)
        times = {"due_at": now, "answer_by": now + timedelta(seconds=within_s)}
        data = {"station": self.station, "product": "disc", "proof": proof, "set": set, "trigger": "manual", "parts": parts}
        return ChallengeDueV1.model_validate({**data, **times})

    def answer(self, due: ChallengeDueV1) -> None:
        """As the challenge processor does."""
        facts = {"station": self.station, "product": due.product, "proof": due.proof, "set": due.set, "trigger": due.trigger}
        result = ChallengeResultV1.model_validate({**facts, "passed": True, "items": (), "at": due.due_at})
        writer = Writer(self.settings.client())
        writer.send(record_of(result, id=f"{due.set}/result", station=self.station, subject=due.set))
        writer.flush()


@pytest.fixture
def place(kafka: SharedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    settings = Settings(kafka=kafka.bootstrap, state=tmp_path / "state")
    monkeypatch.setenv("VERDICTLINE_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("VERDICTLINE_STATE", str(settings.state))
    apply_topics(settings.client())
    return Place(settings=settings, station=f"{kafka.fresh('site')}/line/cam", folder=tmp_path)


@contextmanager
def serving(place: Place, stamps: Fixed | None = None) -> Iterator[tuple[Gateway, Injector]]:
    with ExitStack() as stack:
        gateway = Gateway(place.settings, stamps or Fixed(), stations=[place.station])
        stack.callback(gateway.close)
        injector = Injector(place.settings, [place.station], capture=gateway.post, acquisition=lambda *_: "c" * 64)
        stack.enter_context(injector)
        assert injector.wait_ready(30)
        yield gateway, injector


def images(place: Place, *names: str) -> Path:
    folder = place.folder / "rabbits"
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (folder / f"{name}.png").write_bytes(png(number))
    return folder


def challenged(place: Place) -> dict[str, Any]:
    """Announced challenge parts by set and part."""
    return {f"{a.challenge.set}/{a.challenge.part}": a for a in place.sent().announced.values() if a.challenge}


def test_images_that_are_registered_go_the_way_of_every_part(place: Place) -> None:
    folder = images(place, "Deep Scratch", "dent")
    code, said = place.command("add", str(folder), "--product", "disc", "--label", "scratch", *ACT)
    assert (code, said.count("is registered")) == (0, 2)
    assert place.command("run", "--product", "disc", *ACT)[0] == 0
    with serving(place):
        found = wait_until(lambda: f if len(f := challenged(place)) == 2 else None, 30, "both parts") or {}
    assert {key.rsplit("/", 1)[1] for key in found} == {"deep-scratch", "dent"}
    for announced in found.values():
        assert announced.purpose == "challenge"
        assert (announced.challenge.kind, announced.challenge.label, announced.challenge.proof) == (
            "defect",
            "scratch",
            "digital",
        )
        assert [view.view for view in announced.views] == ["v1"]
    carried = {place.sent().image(announced.inspection) for announced in found.values()}
    assert carried == {file.read_bytes() for file in folder.iterdir()}


def test_a_set_is_handed_in_once_and_not_after_its_result_or_its_time(place: Place) -> None:
    place.command("add", str(images(place, "a")), "--product", "disc", *ACT)
    done, open_, late = place.due("manual/done", "a"), place.due("manual/open", "a"), place.due("manual/late", "a", within_s=-1)
    publish(place.settings.client(), done, late)
    place.answer(done)
    with serving(place):
        publish(place.settings.client(), open_, open_, place.due("manual/last", "a"))
        wait_until(lambda: "manual/last/a" in challenged(place), 30, "the last set")
        assert [key for key in challenged(place)] == ["manual/open/a", "manual/last/a"]
        assert len(place.sent().announced) == 2


def test_an_image_that_is_gone_or_is_another_one_is_never_sent(place: Place) -> None:
    place.command("add", str(images(place, "gone", "other", "good")), "--product", "disc", *ACT)
    parts = {p.part: p for p in read_challenges(place.settings.client()).parts.values() if p.station == place.station}
    files = {name: Path(p.images["v1"].uri.removeprefix("file://")) for name, p in parts.items()}
    files["gone"].unlink()
    files["other"].write_bytes(files["other"].read_bytes()[:-1] + b"?")
    publish(place.settings.client(), place.due("manual/1", "gone", "nobody", "other", "good"))
    with serving(place):
        wait_until(lambda: challenged(place), 30, "the good one")
    assert list(challenged(place)) == ["manual/1/good"]


def test_a_set_waits_for_a_policy_and_is_handed_in_then(place: Place) -> None:
    place.command("add", str(images(place, "a")), "--product", "board", *ACT)
    stamps = Fixed()
    publish(place.settings.client(), place.due("manual/1", "a"))
    with serving(place, stamps) as (gateway, _):
        wait_until(lambda: gateway.alive, 5)
        assert not challenged(place)
        stamps.product = "board"
        wait_until(lambda: challenged(place), 30, "the part")


def test_a_master_is_recognised_by_its_serial(place: Place) -> None:
    master = ("add", "--product", "disc", "--physical", "--custody", "cabinet 3")
    assert place.command(*master, "--part", "m1", "--serial", "RR-1", *ACT)[0] == 0
    assert place.command(*master, "--part", "m2", "--serial", "RR-2", "--expires", "2020-01-01", *ACT)[0] == 0
    assert place.command(*master, "--part", "m3", "--serial", "RR-3", *ACT)[0] == 0
    assert place.command("retire", "--part", "m3", *ACT)[0] == 0
    assert place.command(*master, "--part", "m4", "--serial", "RR-4", *ACT)[0] == 0
    assert place.command("retire", "--part", "m4", *ACT)[0] == 0
    assert place.command(*master, "--part", "m5", "--serial", "RR-4", *ACT)[0] == 0
    publish(place.settings.client(), place.due("manual/1", "m1", proof="physical"))
    with serving(place) as (_, injector):
        asked = injector.recognise(part(station=place.station, serial="RR-1"))
        assert asked.purpose == "challenge"
        assert asked.challenge
        assert (asked.challenge.set, asked.challenge.part, asked.challenge.proof) == ("manual/1", "m1", "physical")
        assert injector.recognise(part(station=place.station, serial="RR-2")).purpose == "study"
        assert injector.recognise(part(station=place.station, serial="RR-3")).purpose == "study"
        again = injector.recognise(part(station=place.station, serial="RR-4")).challenge
        assert again
        assert again.part == "m5"
        assert injector.recognise(part(station=place.station, serial="RR-1", product="board")).purpose == "study"
        normal = part(station=place.station, serial="S1")
        assert injector.recognise(normal) is normal
    with serving(place) as (_, injector):
        place.answer(place.due("manual/1", "m1", proof="physical"))
        stray = part(station=place.station, serial="RR-1")
        wait_until(lambda: (c := injector.recognise(stray).challenge) and c.set.startswith("unasked/m1/"), 20, "the result")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "--product", "disc", *ACT), "give either images or --physical"),
        (("add", "{bad}", "--product", "disc", *ACT), "not_an_image"),
        (("add", "--product", "disc", "--physical", "--part", "m", *ACT), "needs a serial and a custody"),
        (("add", "{good}", "--product", "disc", "--kind", "odd", *ACT), "kind"),
        (("add", "{good}", "--product", "disc", "--view", "a", "--view", "b", *ACT), "do not make parts of 2 views"),
        (("retire", "--part", "nobody", *ACT), "no part 'nobody'"),
        (("run", "--product", "disc", *ACT), "none is registered for disc"),
        (("schedule", "--product", "disc", "--shift", "25:00", *ACT), "shifts"),
        (("schedule", "--product", "disc", "--zone", "Mars/Olympus", *ACT), "no time zone"),
    ],
)
def test_bad_orders_are_refused_with_the_reason(place: Place, words: tuple[str, ...], said: str) -> None:
    good = images(place, "a")
    bad = place.folder / "notes.png"
    bad.write_text("no picture")
    code, output = place.command(*(word.format(good=good, bad=bad) for word in words))
    assert code != 0
    assert said in output
    assert not [p for p in read_challenges(place.settings.client()).parts.values() if p.station == place.station]


def test_list_and_report(place: Place) -> None:
    place.command("add", str(images(place, "a")), "--product", "disc", *ACT)
    code, said = place.command(
        "schedule", "--product", "disc", "--every-parts", "500", "--shift", "06:00", "--zone", "Europe/Berlin", *ACT
    )
    assert (code, said.strip().endswith("digital proof of disc is scheduled")) == (0, True)
    code, said = place.command("list", "--json")
    data = json.loads(said)
    assert [p["part"] for p in data["parts"]] == ["a"]
    assert data["schedules"][0]["every_parts"] == 500
    assert "every 500 parts; at 06:00 Europe/Berlin" in place.command("list")[1]
    code, said = place.command("report", "--json")
    (row,) = json.loads(said)
    assert (code, row["proven"], row["why"]) == (3, False, "nothing was ever asked")
    assert "NOT PROVEN" in place.command("report")[1]
