"""The gateway on a real Kafka: what is acknowledged arrives, in order, once; large images; stamps; the command and bad input."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import typer
from typer.testing import CliRunner

from schemas.common import ImageRef, digest
from schemas.topics import CAPTURE
from streams.capture.gateway import Refused, View
from streams.fates import Unprocessable
from streams.settings import Settings
from streams.wiring.adapters.images import Images
from streams.wiring.adapters.outbox import OutboxInUse
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.commands.capture import capture
from streams.wiring.processors.gateway import Gateway, NothingInForce
from streams.wiring.processors.gateway_watch import watched_gateway
from streams.workbench.processes import free_ports
from tests.helpers import judgement
from tests.helpers.gateway import STAMP, Fixed, bad_images, part, png
from tests.helpers.sent import sent
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def bootstrap(kafka: SharedKafka) -> str:
    """A Kafka with its topics."""
    apply_topics({"bootstrap.servers": kafka.bootstrap})
    return kafka.bootstrap


@pytest.fixture
def settings(bootstrap: str, tmp_path: Path) -> Settings:
    return Settings(kafka=bootstrap, state=tmp_path / "state")


@pytest.fixture
def station(kafka: SharedKafka) -> str:
    return f"{kafka.fresh('site')}/line/cam"


@pytest.fixture
def images(settings: Settings) -> Iterator[Images]:
    reader = Images(settings.client(), roots=[settings.images])
    yield reader
    reader.close()


async def test_parts_of_several_stations_arrive_in_order_and_leave_the_outbox_empty(
    settings: Settings, station: str, images: Images
) -> None:
    stations = [f"{station}-{i}" for i in range(3)]
    gateway = Gateway(settings, Fixed(), stations=stations)
    parts = [part(n, station=stations[n % 3], views=[View("v1", png(n)), View("v2", png(n + 1))]) for n in range(90)]
    ids = await asyncio.gather(*map(gateway.submit, parts))
    assert await gateway.drain(30)
    gateway.close()
    for name in stations:
        mine = [str(id) for id in ids if id.station == name]
        found = sent(settings.client(), name)
        assert list(found.announced) == mine
        assert (found.copies.total(), found.conflicts, len(found.images)) == (0, [], 60)
    first = found.images[f"{mine[0]}/v2/capture"]
    context, ref, data = await images.resolve(first)
    assert (context.views, context.policy, data) == (2, STAMP.policy, png(3))
    assert await images.read(ref) == data
    logs = list((settings.state / "outbox").rglob("*.log"))
    assert len(logs) == 3
    again = Gateway(settings, Fixed(), stations=stations)
    assert again.unsent == 0
    assert [again.next_n(name) for name in stations] == [30, 30, 30]
    again.close()


def test_a_gateway_shows_its_outbox_and_whether_it_reaches_kafka(settings: Settings, station: str) -> None:
    (port,) = free_ports(1)
    gateway = Gateway(settings, Fixed(), stations=[station])

    def shown(metric: str) -> float:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            lines = [line for line in answer.read().decode().splitlines() if line.startswith(metric + "{")]
        return float(next((line.split()[-1] for line in lines if station in line or '"gateway"' in line), "nan"))

    with watched_gateway(gateway, settings.model_copy(update={"health_port": port})):
        gateway.post(part(1, station=station)).result(30)
        assert gateway.wait_sent(30)
        assert shown("verdictline_captured_total") == 1
        assert 0 <= shown("verdictline_outbox_fill_ratio") < 0.1
        wait_until(lambda: shown("verdictline_kafka_reachable") == 1, 20)
        with urlopen(f"http://127.0.0.1:{port}/health/live") as answer:
            assert answer.status == 200
    gateway.close()


def test_a_large_image_goes_by_claim_ticket_and_is_checked_when_it_is_read(
    settings: Settings, station: str, images: Images
) -> None:
    gateway = Gateway(settings.model_copy(update={"inline_limit_bytes": 5_000}), Fixed(), stations=[station])
    large = png(1, padding=20_000)
    id = str(gateway.post(part(0, station=station, views=[View("v1", large), View("v2", png(2))])).result(30))
    assert gateway.wait_sent(30)
    gateway.close()
    found = sent(settings.client(), station)
    assert len(found.image(id)) < 1000
    _, ref, data = asyncio.run(images.resolve(found.images[f"{id}/v1/capture"]))
    assert data == large
    assert asyncio.run(images.resolve(found.images[f"{id}/v2/capture"]))[2] == png(2)

    file = Path(ref.uri.removeprefix("file://"))
    file.write_bytes(bytes([large[0] ^ 1]) + large[1:])
    with pytest.raises(Unprocessable, match="sha256_mismatch"):
        images.read_now(ref)
    file.unlink()
    with pytest.raises(Unprocessable, match="image_gone"):
        images.read_now(ref)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("s3://bucket/key", "unsupported_uri"),
        ("file:///etc/hostname", "forbidden_path"),
        (f"kafka://{CAPTURE}/0/999999999", "image_gone"),
        ("kafka://no-such-topic/x", "unsupported_uri"),
        ("kafka://no-such-topic/0/7", "image_gone"),
    ],
)
async def test_a_reference_that_cannot_be_read_says_why(images: Images, uri: str, reason: str) -> None:
    with pytest.raises(Unprocessable, match=reason):
        await images.read(ImageRef(uri=uri, sha256="a" * 64, bytes=10, content_type="image/png"))


async def test_what_is_refused_writes_nothing_and_the_rest_goes_on(settings: Settings, station: str) -> None:
    stamps = Fixed()
    gateway = Gateway(settings, stamps, stations=[station])
    results = await asyncio.gather(
        gateway.submit(part(0, station=station)),
        gateway.submit(part(1, station=station, product="unheard-of")),
        gateway.submit(part(2, station=station, views=[View("v1", png()), View("side", b"no image")])),
        gateway.submit(part(3, station=station, serial="S1")),
        gateway.submit(part(4, station=station, serial="S1")),
        return_exceptions=True,
    )
    assert [getattr(result, "n", type(result)) for result in results] == [0, NothingInForce, Refused, 1, 2]
    stamps.away = True  # as after a restart without Kafka: the last stamp holds
    assert (await gateway.submit(part(5, station=station))).n == 3
    with pytest.raises(OutboxInUse):
        Gateway(settings, Fixed(), stations=[station])
    assert await gateway.drain(30)
    gateway.close()
    found = sent(settings.client(), station)
    assert found.numbers == [0, 1, 2, 3]
    second = found.announced[str(results[4])]
    assert (second.visit, second.previous) == (2, str(results[3]))


@pytest.fixture(scope="module")
def product(bootstrap: str, kafka: SharedKafka) -> str:
    """A product with a policy and a model set in force."""
    name = kafka.fresh("disc")
    models = judgement.model_set("anomaly").model_copy(update={"product": name})
    with Registry({"bootstrap.servers": bootstrap}) as registry:
        registry.publish_model_set(models, who="test", why="test")
        registry.publish_policy(judgement.policy(product=name), who="test", why="test")
    return name


def cli(settings: Settings, monkeypatch: pytest.MonkeyPatch, *args: str) -> tuple[int, str, str]:
    """(exit code, output, errors) of `verdictline capture`."""
    app = typer.Typer()
    app.command()(capture)
    monkeypatch.setenv("VERDICTLINE_KAFKA", settings.kafka or "")
    result = CliRunner().invoke(app, [*args, "--state", str(settings.state)])
    return result.exit_code, result.stdout, result.stderr


def test_a_folder_with_every_kind_of_bad_file(
    settings: Settings, station: str, product: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    bad = bad_images(folder)
    for n in range(3):
        (folder / f"{n}-good.png").write_bytes(png(n))
    code, out, err = cli(settings, monkeypatch, str(folder), "--station", station, "--product", product, "--json")
    told = json.loads(out)
    assert (code, told["announced"], told["unsent"]) == (3, 3, 0)
    assert {Path(row["file"]).name: row["reason"] for row in told["refused"]} == bad
    assert len(err.splitlines()) == len(bad)
    assert "limit is 64000000" in err
    found = sent(settings.client(), station)
    assert list(found.announced) == told["inspections"]
    assert {said.policy for said in found.announced.values()} == {digest(judgement.policy(product=product))}


def test_views_are_consecutive_names_and_what_is_missing_is_said(
    settings: Settings, station: str, product: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for n in range(5):
        (tmp_path / f"{n}.png").write_bytes(b"torn" if n == 3 else png(n))
    code, _, err = cli(
        settings, monkeypatch, str(tmp_path), "--station", station, "--product", product, "--views", "2", "--lot", "L1"
    )
    assert (code, "3.png" in err) == (3, True)
    found = sent(settings.client(), station)
    said = [(len(a.views), a.views_expected, a.lot, a.views[0].view) for a in found.announced.values()]
    assert said == [(2, 2, "L1", "v1"), (1, 2, "L1", "v1"), (1, 2, "L1", "v1")]


def wrong_use(folder: Path, station: str, product: str) -> dict[str, tuple[list[str], str]]:
    good = [str(folder), "--station", station, "--product", product]
    return {
        "no folder": ([str(folder / "nowhere"), *good[1:]], "there is no folder"),
        "no image": ([str(folder / "empty"), *good[1:]], "no image in"),
        "bad station": ([str(folder), "--station", "Line 1", "--product", product], "is no station"),
        "unknown product": ([*good[:-1], "unheard-of"], "no policy and model set in force for product 'unheard-of'"),
        "bad purpose": ([*good, "--purpose", "fun"], "use production, setup"),
    }


def test_wrong_use_is_one_clear_line_and_writes_nothing(
    settings: Settings, station: str, product: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "1.png").write_bytes(png())
    for case, (args, text) in wrong_use(tmp_path, station, product).items():
        code, out, err = cli(settings, monkeypatch, *args)
        assert (code, out, len(err.splitlines())) == (1, "", 1), case
        assert text in err, case
    away: dict[str, Any] = {"kafka": "127.0.0.1:9"}
    code, _, err = cli(settings.model_copy(update=away), monkeypatch, str(tmp_path), "--station", station, "--product", product)
    assert (code, "127.0.0.1:9" in err, len(err.splitlines())) == (1, True, 1)
    assert not list((settings.state / "outbox").rglob("*.log"))
