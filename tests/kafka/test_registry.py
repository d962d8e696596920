"""Policies and model sets through a real Kafka: order of publishing, following, station before product, bad records."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.act import ActV1
from schemas.common import canonical, digest
from schemas.envelope import Record
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from schemas.topics import ACT, POLICY
from streams.__main__ import application
from streams.fates import Unavailable
from streams.wiring.adapters.kafka import Writer, ends, read_all
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.topics import apply_topics
from streams.wiring.commands.policy_file import dump_policy
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
Client = dict[str, Any]
STATION = "site/line/station"


@pytest.fixture(scope="module")
def client(kafka: SharedKafka) -> Client:
    found = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(found)
    return found


@pytest.fixture
def registry(client: Client) -> Iterator[Registry]:
    with Registry(client) as following:
        yield following


def policy(product: str, *, station: str | None = None, seconds: float = 5, alpha: float | None = None) -> PolicyV1:
    rule = None if alpha is None else {"alpha": alpha}
    return PolicyV1.model_validate(
        {"product": product, "station": station, "title": "a test's", "decide_within_s": seconds, "anomaly": rule}
    )


def model_set(product: str, *, station: str | None = None, scores: int = 9) -> ModelSetV1:
    return ModelSetV1.model_validate(
        {
            "product": product,
            "station": station,
            "data": "d" * 64,
            "models": [
                {
                    "stage": "anomaly",
                    "ref": {"name": f"{product}-anomaly", "version": 1, "digest": "a" * 64, "profile": "cpu-fp32"},
                    "input": "image",
                    "trunk_id": "a-trunk",
                    "preparation": {},
                    "calibration": {"v1": [n / 10 for n in range(scores)]},
                    "tolerance": 0.001,
                }
            ],
        }
    )


def acts(client: Client, where: str) -> list[ActV1]:
    found = [ActV1.read(r.value or b"") for r in read_all(client, [ACT])]
    return [act for act in found if act.where == where]


def test_a_station_goes_before_its_product(kafka: SharedKafka, client: Client, registry: Registry) -> None:
    product = kafka.fresh("disc")
    registry.refresh()
    assert registry.stamp(product, STATION) is None
    registry.publish_policy(policy(product), who="ann", why="first")
    assert registry.stamp(product, STATION) is None
    models = registry.publish_model_set(model_set(product), who="ann", why="first")
    own = registry.publish_policy(policy(product, station=STATION, seconds=2), who="ann", why="a fast line")
    with Registry(client) as other:
        other.wait_ready()
        for each in (registry, other):
            here, there = each.stamp(product, STATION), each.stamp(product, "site/line/another")
            assert here is not None
            assert there is not None
            assert (here.policy, here.model_set, here.decide_within_s) == (own.digest, models.digest, 2)
            assert (there.policy, there.decide_within_s) == (digest(policy(product)), 5)


def test_followed_live_and_old_versions_stay(kafka: SharedKafka, client: Client, registry: Registry) -> None:
    product = kafka.fresh("disc")
    registry.publish_model_set(model_set(product), who="ann", why="first")
    before = registry.publish_policy(policy(product), who="ann", why="first")
    with Registry(client) as gateway:
        wait_until(lambda: gateway.policies_in_force().get(f"current/{product}") == before.digest, what="the first policy")
        after = registry.publish_policy(policy(product, seconds=7), who="bob", why="slower line")
        wait_until(lambda: gateway.policies_in_force().get(f"current/{product}") == after.digest, 5, "the new policy")
        assert gateway.policy(before.digest) == policy(product)
        assert gateway.policy(after.digest) == policy(product, seconds=7)
        assert gateway.policy("0" * 64) is None
    assert [(a.act, a.digest, a.who) for a in acts(client, f"current/{product}")] == [
        ("model_set_in_force", registry.model_sets_in_force()[f"current/{product}"], "ann"),
        ("policy_in_force", before.digest, "ann"),
        ("policy_in_force", after.digest, "bob"),
    ]


def test_publishing_again_completes_what_was_cut_off(kafka: SharedKafka, client: Client, registry: Registry) -> None:
    product = kafka.fresh("disc")
    where = f"current/{product}"
    once = registry.publish_policy(policy(product), who="ann", why="first")
    size = ends(client, [POLICY, ACT])
    again = registry.publish_policy(policy(product), who="ann", why="first")
    assert (once.changed, again.changed) == (True, False)
    assert ends(client, [POLICY, ACT]) == size
    # A publisher that died between the pointer and the act: what it wrote, written by hand.
    cut = policy(product, seconds=9)
    records = [r for r in read_all(client, [POLICY]) if r.key == where.encode()]
    pointer = (records[-1].value or b"").replace(once.digest.encode(), digest(cut).encode())
    version = Record(topic=POLICY, key=digest(cut).encode(), value=cut.json_bytes(), headers=(("ce_type", cut.TYPE.encode()),))
    write(client, version, Record(topic=POLICY, key=where.encode(), value=pointer))
    registry.refresh()
    assert registry.policies_in_force()[where] == digest(cut)
    assert not registry.publish_policy(cut, who="ann", why="first").changed
    assert [act.digest for act in acts(client, where)] == [once.digest, digest(cut)]


def test_records_that_break_the_contract_change_nothing(kafka: SharedKafka, client: Client, registry: Registry) -> None:
    product = kafka.fresh("disc")
    good = registry.publish_policy(policy(product), who="ann", why="first")
    registry.publish_model_set(model_set(product), who="ann", why="first")
    kind = (("ce_type", PolicyV1.TYPE.encode()),)
    other = policy(product, seconds=99)
    pointer = b'{"digest":"%b","who":"eve","why":"x"}'
    where = f"current/{product}".encode()
    write(
        client,
        Record(topic=POLICY, key=b"f" * 64, value=other.json_bytes(), headers=kind),  # another content than its digest says
        Record(topic=POLICY, key=b"e" * 64, value=b"{", headers=kind),
        Record(topic=POLICY, key=b"\xff", value=b"\xff\x00", headers=kind),
        Record(topic=POLICY, key=where, value=pointer % (b"f" * 64)),  # names what was refused
        Record(topic=POLICY, key=where + b"/site/line/x", value=pointer % good.digest.encode()),  # not a policy of that station
        Record(topic=POLICY, key=where, value=b"[]"),
    )
    registry.refresh()
    with Registry(client) as fresh:
        fresh.wait_ready()
        assert fresh.skipped >= 6
        for each in (registry, fresh):
            stamp = each.stamp(product, STATION)
            assert stamp is not None
            assert (stamp.policy, stamp.decide_within_s) == (good.digest, 5)
            assert each.policy("f" * 64) is None
    write(client, Record(topic=POLICY, key=where, value=None))
    registry.refresh()
    assert registry.stamp(product, STATION) is None


def write(client: Client, *records: Record) -> None:
    writer = Writer(client)
    for record in records:
        writer.send(record)
    writer.flush()


def test_a_version_of_tomorrow_keeps_its_digest(kafka: SharedKafka, client: Client, registry: Registry) -> None:
    """A field that this program does not know is part of the version."""
    product = kafka.fresh("disc")
    grown = policy(product).json_bytes().replace(b'{"product"', b'{"colour":"red","product"')

    key = hashlib.sha256(canonical(json.loads(grown))).hexdigest()
    write(client, Record(topic=POLICY, key=key.encode(), value=grown, headers=(("ce_type", PolicyV1.TYPE.encode()),)))
    assert registry.policy(key) == policy(product)


def test_kafka_is_away() -> None:
    others = set(threading.enumerate())
    with Registry({"bootstrap.servers": "127.0.0.1:1"}, timeout_s=0.5) as registry:
        with pytest.raises(Unavailable):
            registry.stamp("disc", STATION)
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
            registry.policy("0" * 64)
    wait_until(lambda: "registry" not in {t.name for t in set(threading.enumerate()) - others}, what="the follower's end")


def test_policy_commands(kafka: SharedKafka, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERDICTLINE_KAFKA", kafka.bootstrap)
    product, file = kafka.fresh("disc"), tmp_path / "policy.yaml"
    registry.publish_model_set(model_set(product, scores=9), who="ann", why="first")

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(application(["policy"]), ["policy", *words])
        return done.exit_code, done.output

    file.write_text(dump_policy(policy(product, alpha=0.01)))  # needs 99 calibration scores, there are 9
    code, said = run("publish", str(file), "--who", "ann", "--why", "too strict")
    assert (code, f"{file}: current/{product}: " in said) == (2, True), said
    assert registry.policy_for(product) is None
    file.write_text(dump_policy(policy(product, alpha=0.2)))
    code, said = run("publish", str(file), "--who", "ann", "--why", "as the data allow")
    assert (code, f"current/{product}: " in said) == (0, True), said
    code, said = run("show", "--product", product)
    assert (code, "alpha: 0.2" in said, "by ann: as the data allow" in said) == (0, True, True)
    assert "baseline:\n  provisional:\n    do: annotate\n" in said  # what may be edited is shown, also where it is the default
    file.write_text("product: Disc\naudit_fraction: yes\nsped: 1\ntitle: x\n")
    code, said = run("check", str(file))
    assert code == 2
    assert [line.split(": ")[2] for line in said.splitlines()] == ["product", "audit_fraction", "sped"]
    file.write_text("product: disc\ntitle: x\nproduct: other\n")
    assert "'product' is there twice" in run("check", str(file))[1]
