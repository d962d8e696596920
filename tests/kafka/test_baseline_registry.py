"""Baselines through a real Kafka: acts in order, samples read where they lie, cut-off acts completed, what is stamped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas.act import ActV1
from schemas.baseline import BaselineV1
from schemas.common import digest
from schemas.envelope import Record
from schemas.evidence import BaselineStampV1
from schemas.topics import ACT, BASELINE
from streams.fates import Unavailable
from streams.wiring.adapters.baseline_registry import BaselineRegistry, stream_digest
from streams.wiring.adapters.kafka import Writer, ends, read_all
from streams.wiring.adapters.topics import apply_topics
from tests.helpers import judgement
from tests.helpers.baselines import baseline, baseline_record, pointer, score_stream, state_of
from tests.helpers.servers import SharedKafka
from tests.helpers.wait import wait_until

pytestmark = pytest.mark.kafka
Client = dict[str, str]
MODELS = judgement.model_set("anomaly", "classification")


@pytest.fixture(scope="module")
def client(kafka: SharedKafka) -> Client:
    found = {"bootstrap.servers": kafka.bootstrap}
    apply_topics(found)
    return found


@pytest.fixture
def registry(client: Client) -> Iterator[BaselineRegistry]:
    with BaselineRegistry(client) as following:
        yield following


@pytest.fixture
def first(kafka: SharedKafka) -> BaselineV1:
    """Of a score stream that nobody else has."""
    return baseline(score_stream(f"plant/line/{kafka.fresh('cam')}"), scores=5000)


def write(client: Client, *records: Record) -> None:
    writer = Writer(client)
    for record in records:
        writer.send(record)
    writer.flush()


def acts(client: Client, stream: str) -> list[tuple[str, str]]:
    found = [ActV1.read(record.value or b"") for record in read_all(client, [ACT])]
    return [(act.act, act.digest) for act in found if act.where == f"current/{stream}"]


def test_every_act_is_recorded_once_and_the_sample_comes_back(
    client: Client, registry: BaselineRegistry, first: BaselineV1
) -> None:
    stream = digest(first.stream)
    after = baseline(first.stream, "refreshed", parent=digest(first), anchor=digest(first), generation=1)
    with BaselineRegistry(client) as gateway:
        gateway.wait_ready()
        assert registry.publish_baseline(first, who="ann", why="10,000 parts").changed
        assert not registry.publish_baseline(first, who="ann", why="10,000 parts").changed
        wait_until(lambda: gateway.standing(stream).state == "active", 5, "the baseline in force")
        assert gateway.baseline(digest(first)) == first
        registry.publish_baseline(after, who="bob", why="new fixture")
        wait_until(lambda: gateway.standing(stream).stamped == digest(after), 5, "the refreshed one")
        assert [gateway.baseline(digest(one)) for one in (first, after)] == [first, after]
        assert registry.retire_baseline(stream, who="bob", why="line closed").changed
        assert not registry.retire_baseline(stream, who="bob", why="line closed").changed
        wait_until(lambda: gateway.standing(stream).state == "retired", 5, "the retirement")
        assert gateway.baseline("0" * 64) is None
        assert registry.publish_baseline(first, who="ann", why="back").changed
    in_force, retired = "baseline_in_force", "baseline_retired"
    said = [(in_force, digest(first)), (in_force, digest(after)), (retired, digest(after)), (in_force, digest(first))]
    assert acts(client, stream) == said
    entry = registry.baseline_entries()[digest(after)]
    assert (entry.origin, entry.parent, entry.n, entry.stream) == ("refreshed", digest(first), 10, first.stream)
    assert registry.baseline_pointers()[stream].who == "ann"


def test_an_act_that_was_cut_off_is_completed(client: Client, registry: BaselineRegistry, first: BaselineV1) -> None:
    stream = digest(first.stream)
    write(client, baseline_record(first), baseline_record(pointer(first)))
    assert not registry.publish_baseline(first, who="ann", why="test").changed
    write(client, baseline_record(pointer(first).model_copy(update={"baseline": None})))
    assert not registry.retire_baseline(stream, who="ann", why="test").changed
    assert acts(client, stream) == [("baseline_in_force", digest(first)), ("baseline_retired", digest(first))]


def test_what_nobody_published_is_refused_and_nothing_is_written(
    client: Client, registry: BaselineRegistry, first: BaselineV1
) -> None:
    before = ends(client, [BASELINE, ACT])
    orphan = first.model_copy(update={"parent": "0" * 64})
    with pytest.raises(ValueError, match=f"parent: no baseline {'0' * 64} was ever published"):
        registry.publish_baseline(orphan, who="ann", why="test")
    with pytest.raises(ValueError, match="no baseline was ever in force"):
        registry.retire_baseline(digest(first.stream), who="ann", why="test")
    assert ends(client, [BASELINE, ACT]) == before
    stranger = baseline(score_stream(f"{first.stream.station}-b"))
    registry.publish_baseline(stranger, who="ann", why="test")
    with pytest.raises(ValueError, match="belongs to another score stream"):
        registry.publish_baseline(first.model_copy(update={"anchor": digest(stranger)}), who="ann", why="test")


def test_a_copy_that_compaction_moved_is_found(client: Client, registry: BaselineRegistry, first: BaselineV1) -> None:
    write(client, baseline_record(first))
    registry.refresh()
    at = registry.baseline_entries()[digest(first)].offset
    write(client, baseline_record(state_of(first, "provisional")), baseline_record(first))
    registry.refresh()
    assert registry.baseline_entries()[digest(first)].offset == at + 2
    assert registry.baseline(digest(first)) == first


def test_what_a_view_is_stamped_with(client: Client, registry: BaselineRegistry, first: BaselineV1) -> None:
    registry.publish_model_set(MODELS, who="ann", why="test")
    station, stream = first.stream.station, digest(first.stream)

    def stamp(models: str = digest(MODELS), acquisition: str = judgement.SHA) -> BaselineStampV1 | None:
        return registry.baseline_stamp(models, station, "v1", acquisition)

    assert stamp("0" * 64) is None
    assert stamp() == BaselineStampV1(stream=stream, state="provisional")
    registry.publish_baseline(first, who="ann", why="test")
    assert stamp() == BaselineStampV1(stream=stream, baseline=digest(first), state="active")
    write(client, baseline_record(state_of(first, "suspect")))
    registry.refresh()
    assert stamp() == BaselineStampV1(stream=stream, baseline=digest(first), state="suspect")
    moved = stamp(acquisition="c" * 64)  # another light: another stream, provisional at once
    other = stream_digest(station, "v1", judgement.PRODUCT, "c" * 64, judgement.model_ref("anomaly"))
    assert moved == BaselineStampV1(stream=other, state="provisional")


def test_kafka_is_away() -> None:
    with BaselineRegistry({"bootstrap.servers": "127.0.0.1:1"}, timeout_s=0.5) as registry:
        with pytest.raises(Unavailable):
            registry.baseline_stamp("0" * 64, "site/line/cam", "v1", "0" * 64)
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
            registry.baseline("0" * 64)
