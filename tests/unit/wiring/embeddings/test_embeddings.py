"""Embeddings of parts that people look at are kept and compared; the rest, and what cannot be read, is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from schemas.codec import record_of
from schemas.envelope import Received
from schemas.label import LabelV1
from streams.fates import Unavailable
from streams.review.neighbours import SKETCH, unit
from streams.wiring.adapters.database.connection import writing
from streams.wiring.adapters.database.store import Store
from streams.wiring.adapters.embeddings.store import Store as EmbeddingStore
from streams.wiring.adapters.embeddings.tables import FILE, open_kept
from streams.wiring.adapters.embeddings.waiting import PATIENCE_US
from tests.helpers.console import Desk, console
from tests.helpers.database import write
from tests.helpers.embeddings import embedding, fed, heap, intake_of, log
from tests.helpers.evidence_log import T0_MS, appended
from tests.helpers.history import history, part
from tests.helpers.labels import IMAGE
from tests.helpers.labels import label as plain_label

PLACE = ("embedding.v1", 0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with console(tmp_path) as found:
        yield found


def label(n: int, number: int = 0, **changes: object) -> Received:
    """The number decides where it stands in the log."""
    values = {"inspection": part(n), "of": "part", **changes}
    said: LabelV1 = plain_label(**values)  # type: ignore[arg-type]
    record = record_of(said, id=said.id, station=said.station, subject=said.inspection)
    return appended(record, number, T0_MS + 1000 * number)


def defect(n: int, kind: str, number: int, **changes: object) -> Received:
    return label(n, number, answer="defect", label=kind, taxonomy="b" * 64, **changes)


def by_verdict(desk: Desk, *dispositions: str) -> list[int]:
    """Numbers of single-view parts that a policy has so decided."""
    found = {one.inspection: one for one in desk.questions.find("L0") + desk.questions.find("L1")}
    return [
        n
        for n in range(100)
        if (one := found.get(part(n))) is not None
        and one.disposition in dispositions
        and one.decided_by == "policy"
        and not one.audit
    ]


def counted(fate: str) -> float:
    return REGISTRY.get_sample_value("verdictline_console_embeddings_read_total", {"fate": fate}) or 0.0


def test_open_reviews_are_kept_and_passes_are_not(desk: Desk) -> None:
    fed(desk, [embedding(part(n), vector) for n, vector in enumerate(heap(100, 1))])
    kept = {known.inspection for known in desk.kept.of([part(n) for n in range(100)])}
    reviews, passes = by_verdict(desk, "review"), by_verdict(desk, "pass")
    assert reviews
    assert passes
    assert {part(n) for n in reviews} <= kept
    assert not {part(n) for n in passes} & kept


def test_similar_parts_are_the_nearest_labelled_ones_of_the_product_and_trunk(desk: Desk) -> None:
    first, second = heap(12, 1), heap(12, 2)
    labels = [defect(n, "dent" if n < 10 else "scratch", n) for n in range(20)]
    write(Store(desk.engine), labels)
    asked = by_verdict(desk, "review")[-1]
    assert asked >= 20
    records = [embedding(part(n), [*first[:10], *second[:10]][n]) for n in range(20)]
    others = [embedding(part(40), first[10], trunk="another"), embedding(part(41), first[10], product="board")]
    write(Store(desk.engine), [defect(40, "dent", 40), defect(41, "dent", 41)])
    fed(desk, [*records, *others, embedding(part(asked), first[11])])
    found = desk.embeddings.similar(part(asked), "v1", 5)
    near = sorted(range(10), key=lambda n: -float(unit(first[n]) @ unit(first[11])))
    assert [one.inspection for one in found] == [part(n) for n in near[:5]]
    assert {(one.answer, one.label, one.view) for one in found} == {("defect", "dent", "v1")}
    assert [one.similarity for one in found] == sorted((one.similarity for one in found), reverse=True)
    every = {one.inspection for one in desk.embeddings.similar(part(asked), "v1", 99)}
    assert every == {part(n) for n in range(20)}
    assert part(asked) not in {one.inspection for one in desk.embeddings.similar(part(asked), "v1", 99)}


def test_sketch_and_novelty(desk: Desk) -> None:
    asked = by_verdict(desk, "review")[0]
    vectors = heap(3, 1)
    fed(desk, [embedding(part(asked), vectors[0])])
    found = desk.embeddings.sketches([part(asked)]).get(part(asked))
    assert found is not None
    assert found.shape == (SKETCH,)
    assert float(np.linalg.norm(found)) == pytest.approx(1, abs=1e-5)
    assert desk.embeddings.novelty(part(asked)) == 2
    write(Store(desk.engine), [label(n, n) for n in (1, 2) if n != asked])
    intake = fed(desk, [embedding(part(asked), vectors[0]), *(embedding(part(n), vectors[0]) for n in (1, 2) if n != asked)])
    assert not intake.full
    assert desk.embeddings.novelty(part(asked)) == pytest.approx(0, abs=1e-3)
    assert desk.embeddings.novelty("plant/line-1/cam-1:1-000000000000") is None
    assert desk.embeddings.sketches(["plant/line-1/cam-1:1-000000000000"]) == {}
    assert desk.embeddings.similar(part(99), "v9", 3) == ()


def test_labels_follow_the_log_and_an_undone_one_is_none(desk: Desk) -> None:
    asked = by_verdict(desk, "review")[0]
    other = next(n for n in range(50) if n != asked)
    vectors = heap(2, 1)
    write(Store(desk.engine), [label(other, 1)])
    intake = fed(desk, [embedding(part(asked), vectors[0]), embedding(part(other), vectors[1])])
    assert [one.answer for one in desk.embeddings.similar(part(asked), "v1", 3)] == ["good"]
    first = LabelV1.read(label(other, 1).value or b"")
    write(Store(desk.engine), [defect(other, "dent", 2, withdraws=first.id)])
    intake.turn()
    assert [one.label for one in desk.embeddings.similar(part(asked), "v1", 3)] == ["dent"]
    second = LabelV1.read(defect(other, "dent", 2, withdraws=first.id).value or b"")
    write(Store(desk.engine), [label(other, 3, answer=None, withdraws=second.id)])
    intake.turn()
    assert not desk.embeddings.similar(part(asked), "v1", 3)


def test_a_view_that_was_labelled_says_nothing_of_the_other(desk: Desk) -> None:
    asked = by_verdict(desk, "review")[0]
    n = next(n for n in range(50) if n != asked)
    view = {"of": "view", "views": ({"view": "v2", "image": IMAGE},)}
    write(Store(desk.engine), [defect(n, "dent", 1, **view)])
    vectors = heap(3, 1)
    both = [embedding(part(n), vectors[0], view="v1", views=2), embedding(part(n), vectors[1], view="v2", views=2)]
    fed(desk, [embedding(part(asked), vectors[2]), *both])
    assert [(one.view, one.label) for one in desk.embeddings.similar(part(asked), "v1", 9)] == [("v2", "dent")]


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (b"", {}),
        (b"\0" * 95, {}),
        (b"\0" * 96, {}),
        (b"\0\0", {}),
        (np.full(48, np.nan, "<f2").tobytes(), {}),
        (np.full(48, np.inf, "<f2").tobytes(), {}),
        (heap(1, 1)[0].astype("<f4").tobytes(), {}),
        (b"\x01\x3c" * 9000, {}),
        (heap(1, 1)[0].astype("<f2").tobytes(), {"trunk": ""}),
    ],
    ids=["empty", "odd", "zeros", "one value", "nan", "infinity", "float32: twice as wide", "far too wide", "no trunk"],
)
def test_what_is_no_embedding_is_passed_over_and_counted(desk: Desk, value: bytes, changes: dict[str, str]) -> None:
    n, before = by_verdict(desk, "review")[0], counted("passed_over")
    intake = fed(
        desk, [embedding(part(n), heap(1, 1)[0]), embedding(part(n + 1), value, **changes), embedding(part(n), value, view="v2")]
    )
    assert counted("passed_over") >= before + 1
    assert {known.view for known in desk.kept.of([part(n), part(n + 1)])} <= {"v1", "v2"}
    assert len(desk.kept.of([part(n)])) == 1 or changes
    assert intake.read[PLACE] == 3


def test_records_of_other_types_and_broken_headers_are_passed_over(desk: Desk) -> None:
    n = by_verdict(desk, "review")[0]
    good = log([embedding(part(n), heap(1, 1)[0])])[0]
    intake = intake_of(desk)
    intake.begin({PLACE: 0}, {PLACE: 3})
    foreign = [Received(topic="embedding.v1", partition=0, offset=i, timestamp_ms=T0_MS, key=None, value=b"x") for i in (0, 1)]
    broken = Received(**{**{f: getattr(good, f) for f in Received.__slots__}, "offset": 2, "headers": (("ce_type", b"\xff"),)})
    intake.take([*foreign, broken])
    intake.turn()
    assert desk.kept.counts() == {}
    assert desk.kept.positions() == {PLACE: 3}


def test_it_waits_for_the_verdict_and_a_restart_reads_from_the_first_that_waits(tmp_path: Path) -> None:
    records = history(120)
    with console(tmp_path, ()) as desk:
        intake = fed(desk, [embedding(part(n), vector) for n, vector in enumerate(heap(20, 1))])
        assert desk.kept.counts() == {}
        assert desk.kept.positions() == {PLACE: 0}
        again = intake_of(desk)
        assert again.begin({PLACE: 0}, {PLACE: 20}) == {PLACE: 0}
        write(Store(desk.engine), list(records))
        intake.turn()
        assert desk.kept.positions() == {PLACE: 20}
        assert sum(desk.kept.counts().values()) > 0


def test_one_that_waits_does_not_keep_those_behind_it_from_being_kept(desk: Desk) -> None:
    n, never = by_verdict(desk, "review")[0], "plant/line-1/cam-1:1-000000000001"
    vector = heap(1, 1)[0]
    intake = fed(desk, [embedding(never, vector)])
    intake.take(log([embedding(part(n), vector)], first=1))
    intake.turn()
    assert len(desk.kept.of([part(n)])) == 1
    assert desk.kept.positions() == {PLACE: 0}


def test_a_part_that_never_gets_a_verdict_is_given_up_by_the_sinks_clock(desk: Desk) -> None:
    never = "plant/line-1/cam-1:1-000000000001"
    _, clock_us = desk.questions.standings([])
    intake = intake_of(desk)
    intake.begin({PLACE: 0}, {PLACE: 2})
    young, old = clock_us // 1000, (clock_us - PATIENCE_US) // 1000 - 1
    intake.take(log([embedding(never, heap(1, 1)[0])], 0, young))
    intake.turn()
    assert desk.kept.positions() == {PLACE: 0}
    intake.begin({PLACE: 0}, {PLACE: 2})
    intake.take(log([embedding(never, heap(1, 1)[0])], 0, old))
    intake.turn()
    assert desk.kept.positions() == {PLACE: 1}


def test_many_that_wait_stop_the_reading(tmp_path: Path) -> None:
    with console(tmp_path, ()) as desk:
        intake = intake_of(desk, room=5)
        intake.begin({PLACE: 0}, {PLACE: 9})
        intake.take(log([embedding(part(n), heap(1, 1)[0]) for n in range(5)]))
        assert intake.full


def test_what_retention_removed_is_said_and_passed_over(desk: Desk) -> None:
    name, labels = "verdictline_input_gap_records_total", {"processor": "console", "topic": "embedding.v1"}
    before = REGISTRY.get_sample_value(name, labels) or 0.0
    fed(desk, [embedding(part(n), vector) for n, vector in enumerate(heap(5, 1))])
    intake = intake_of(desk)
    assert intake.begin({PLACE: 9}, {PLACE: 20}) == {PLACE: 9}
    intake.take(log([embedding(part(9), heap(1, 1)[0])], first=11))
    assert REGISTRY.get_sample_value(name, labels) == before + 4 + 2
    assert intake_of(desk).begin({PLACE: 0}, {PLACE: 2}) == {PLACE: 0}  # the topic was made anew


def test_the_oldest_without_a_label_go_first(desk: Desk) -> None:
    reviews = by_verdict(desk, "review")
    labelled = next(n for n in range(50) if n not in reviews)
    write(Store(desk.engine), [label(labelled, 1)])
    intake, numbers = intake_of(desk, most=4), [labelled, *reviews[:6]]
    intake.begin({PLACE: 0}, {PLACE: 9})
    for n, of in enumerate(numbers):
        intake.take(log([embedding(part(of), heap(1, 1)[0])], n, T0_MS + n))
    intake.turn()
    assert {one.inspection for one in desk.kept.of([part(n) for n in numbers])} == {part(labelled), *map(part, reviews[3:6])}


def test_a_broken_file_or_one_of_another_layout_is_read_again(tmp_path: Path) -> None:
    with console(tmp_path) as desk:
        n = by_verdict(desk, "review")[0]
        fed(desk, [embedding(part(n), heap(1, 1)[0])])
    with writing(open_kept(tmp_path)) as connection:
        connection.exec_driver_sql("PRAGMA user_version = 99")
    assert EmbeddingStore(open_kept(tmp_path)).positions() == {}
    for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / FILE).write_bytes(b"no database at all" * 1000)
    assert EmbeddingStore(open_kept(tmp_path)).counts() == {}


def test_without_the_sinks_database_it_waits(desk: Desk, tmp_path: Path) -> None:
    intake = intake_of(desk)
    intake.begin({PLACE: 0}, {PLACE: 1})
    desk.engine.dispose()
    for path in tmp_path.glob("verdictline.db*"):
        path.unlink()
    intake.take(log([embedding(part(1), heap(1, 1)[0])]))
    with pytest.raises(Unavailable, match="run sink"):
        intake.turn()
    assert desk.kept.positions() == {}
