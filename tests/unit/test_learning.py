"""What labels teach: new classes, corrections, what is left out and why, and an honest word about what got better or worse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schemas.label import LabelledViewV1, LabelV1, MaskV1
from schemas.taxonomy import TaxonomyActV1
from streams.review.labels import taken_back
from streams.training.features import FloatArray
from streams.training.held_out import by_chance, compared, held_out, parts, passed
from streams.training.lesson import gaps, lesson
from streams.training.taught import chosen
from streams.training.truth import today
from streams.wiring.learned.page import doubts, facts, headline, html
from streams.wiring.learning import Candidate, NothingToLearn, taught_to, write
from tests.helpers.learning import Line, after, fitted_line, known, of_classes, rings


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return fitted_line(tmp_path_factory.mktemp("line"))


def left_out(line: Line, *labels: LabelV1) -> dict[str, int]:
    return {str(why): n for why, n in known(labels, of_classes()).left_out.items()}


def test_a_new_class_is_learned_and_the_page_says_what_is_not_proven(line: Line, tmp_path: Path) -> None:
    candidate = line.learn([*rings(line, 12), *(line.say(50 + n, "good") for n in range(4))])
    assert candidate.new_classes == ("ring",)
    (ring,) = (one for one in candidate.by_class if one.label == "ring")
    assert (ring.found_before.events, ring.found_before.n) == (0, 12)
    assert ring.found_after.events >= 8
    assert ring.gained == ring.found_after.events
    assert candidate.overall.chance < 0.05
    assert "better" in headline(candidate)
    assert any("no rule for it" in one for one in doubts(candidate))
    message, stored = write(candidate, line.store, None, lambda stored: line.pictures.put(html(candidate, stored).encode()))
    assert message.learned is not None
    assert (message.learned.labels, message.learned.new_classes) == (16, ("ring",))
    assert message.model("anomaly") == line.models.model("anomaly"), "no baseline adapts itself"
    page = line.pictures.read_now(message.learned.report).decode()
    assert "Candidate for plate" in page
    assert "data:image/jpeg;base64," in page
    assert "<script" not in page
    assert facts(candidate, "d")["classes"][2]["class"] == "ring"
    # the next one goes on from here: nothing is new any more, one more label is not enough
    again = known([*rings(line, 12), *(line.say(50 + n, "good") for n in range(4))], of_classes())
    assert gaps(taught_to(message, line.store), again, of_classes()) == []
    more = known([*rings(line, 13), *(line.say(50 + n, "good") for n in range(4))], of_classes())
    assert [(gap.label, gap.new, gap.due) for gap in gaps(taught_to(message, line.store), more, of_classes())] == [
        ("ring", 1, False)
    ]
    line.store.retire(stored.name, stored.version)


@pytest.mark.parametrize(
    ("count", "kind", "due"), [(1, "ring", False), (4, "ring", False), (5, "ring", True), (4, "spot", False), (5, "spot", True)]
)
def test_when_a_candidate_is_due(line: Line, count: int, kind: str, due: bool) -> None:
    found = gaps(taught_to(line.models, line.store), known([line.say(n, kind) for n in range(count)], of_classes()), of_classes())
    assert [(gap.label, gap.new, gap.due) for gap in found] == [(kind, count, due)]


def test_images_of_one_part_are_one_part(line: Line) -> None:
    labels = [line.say(n, "ring", serial="S1") for n in range(9)]
    found = gaps(taught_to(line.models, line.store), known(labels, of_classes()), of_classes())
    assert [(gap.parts, gap.due) for gap in found] == [(1, False)]


def test_a_class_with_one_part_is_not_learned_and_nothing_else_is_new(line: Line) -> None:
    with pytest.raises(NothingToLearn, match="what the models in force have learned"):
        line.learn(list(rings(line, 1)))
    candidate = line.learn([*rings(line, 1), *(line.say(50 + n, "spot") for n in range(5))])
    assert candidate.new_classes == ()
    assert candidate.plan.few == {"ring": 1}
    assert any("ring: 1 parts are too few" in one for one in doubts(candidate))


def test_an_image_that_is_gone_is_counted_and_left_out(line: Line) -> None:
    labels = list(rings(line, 8))
    for one in labels[:2]:
        del line.pictures.data[one.views[0].image.sha256]
    candidate = line.learn(labels)
    assert candidate.left_out == {"image_gone": 2}
    assert candidate.rows.parts("ring") == 6
    for one in labels[2:4]:
        del line.pictures.data[one.views[0].image.sha256]
    with pytest.raises(NothingToLearn):
        line.learn(labels)  # four are too few


def test_what_a_version_has_seen_is_not_needed_again(line: Line) -> None:
    """As after a new fit, years later: labels are there, images are not, and no candidate is the latest."""
    labels = list(rings(line, 6))
    first = line.learn(labels)
    _, stored = write(first, line.store, None, lambda stored: line.pictures.put(b"page"))
    for one in labels[:3]:
        del line.pictures.data[one.views[0].image.sha256]
    again = line.learn([*labels, line.say(7, "ring")])
    assert again.left_out == {}
    assert again.rows.parts("ring") == 7
    assert np.array_equal(_row(again, labels[0]), _row(first, labels[0]))
    line.store.retire(stored.name, stored.version)
    assert line.learn([*labels, *(line.say(n, "ring") for n in (7, 8))]).left_out == {"image_gone": 3}


def _row(candidate: Candidate, label: LabelV1) -> FloatArray:
    rows = candidate.rows
    return np.asarray(rows.embedding[rows.source.index(f"{label.inspection}/front")])


def test_what_says_no_class_is_counted_by_reason(line: Line) -> None:
    two = tuple(LabelledViewV1(view=view, image=line.say(1, "spot").views[0].image) for view in ("front", "back"))
    assert left_out(line, line.say(1, "spot", answer="unsure", label=None, taxonomy=None)) == {"unsure": 1}
    assert left_out(line, line.say(1, "spot", label=None, taxonomy=None)) == {"no_class": 1}
    assert left_out(line, line.say(1, "spot", of="part", views=two)) == {"several_views": 1}
    assert left_out(line, line.say(1, "spot", purpose="challenge")) == {"challenge": 1}
    assert left_out(line, line.say(1, "spot", shown="challenge")) == {"challenge": 1}
    assert left_out(line, line.say(1, "spot", taxonomy="b" * 64)) == {"unknown_version": 1}
    assert left_out(line, line.say(1, "spot", product="other")) == {}
    masked = MaskV1(uri="file:///masks/1", sha256="a" * 64, bytes=9, width_px=128, height_px=128)
    painted = (two[0], two[1].model_copy(update={"mask": masked}))
    shown = known([line.say(1, "spot", of="part", views=painted)], of_classes())
    assert [(one.view, one.label) for one in shown.examples] == [("back", "spot")], "the mask says which view shows it"
    both = known([line.say(1, "good", of="part", views=two)], of_classes())
    assert [(one.view, one.label, one.group) for one in both.examples] == [("back", "good", "S1"), ("front", "good", "S1")]


def test_two_people_who_differ_teach_nothing_and_a_third_settles_it(line: Line) -> None:
    ada, bob, eve = line.say(1, "spot"), line.say(1, "line", seen="spot", who="bob"), line.say(1, "spot", who="eve")
    assert known([ada, bob], of_classes()).examples == ()
    assert left_out(line, ada, bob) == {"disagreement": 1}
    (settled,) = known([ada, bob, eve], of_classes()).examples
    assert settled.label == "spot"


def test_a_label_taken_back_is_not_learned_and_one_corrected_is_learned_anew(line: Line) -> None:
    labels = list(rings(line, 6))
    with pytest.raises(NothingToLearn):
        line.learn([*labels, *(taken_back(one, "ada") for one in labels[:2])])
    first = line.learn(labels)
    message, stored = write(first, line.store, None, lambda stored: line.pictures.put(b"page"))
    before = taught_to(message, line.store)
    corrected = [line.say(n, "spot", seen="ring", withdraws=labels[n].id) for n in range(2)]
    plan = lesson(before, known([*labels, *corrected], of_classes()), of_classes())
    assert (plan.relabelled, plan.withdrawn, plan.few) == (2, 0, {"ring": 4})
    back = lesson(before, known([*labels, taken_back(labels[0], "ada")], of_classes()), of_classes())
    assert (back.relabelled, back.withdrawn, len(back.kept)) == (0, 1, len(before) - 1)
    line.store.retire(stored.name, stored.version)


def test_retired_split_and_merged_classes(line: Line) -> None:
    spots = [line.say(n, "spot") for n in range(6)]
    retired = of_classes(after(TaxonomyActV1(act="retire", of=("spot",)), spot="retired"))
    split = of_classes(after(TaxonomyActV1(act="split", of=("spot",), into=("dot", "pit")), spot="retired"))
    merged = of_classes(after(TaxonomyActV1(act="merge", of=("line", "spot"), into=("mark",)), spot="retired", line="retired"))
    assert known(spots, retired).left_out == {"retired": 6}
    assert known(spots, split).left_out == {"ambiguous": 6}
    assert today("spot", "", split).candidates == ("dot", "pit"), "what a folder taught follows by its id"
    gone = line.learn(list(rings(line, 6)), retired)
    assert gone.model.classes == ("good", "line", "ring")
    assert gone.plan.gone == {"spot": 8}
    whole = line.learn(list(rings(line, 6)), merged)
    assert whole.model.classes == ("good", "mark", "ring")
    (mark,) = (one for one in whole.by_class if one.label == "mark")
    assert mark.found_before.events >= 6, "what is in force says line or spot, and both mean mark today"


def test_a_candidate_that_is_worse_says_so(line: Line) -> None:
    """Somebody called twenty spots good."""
    candidate = line.learn([line.say(n, "good", seen="spot") for n in range(20)])
    spot = next(one for one in candidate.by_class if one.label == "spot")
    assert spot.lost > spot.gained
    assert "Worse for spot" in headline(candidate)
    assert any("spot gets worse" in one for one in doubts(candidate))
    assert any("called good than before" in one for one in doubts(candidate))


def test_no_part_is_answered_by_a_fit_that_has_seen_it(line: Line) -> None:
    """Labels by chance, the same for all images of a part: whoever has seen the part knows them, nobody else does."""
    rows, chance = taught_to(line.models, line.store), np.random.default_rng(1)
    of = {group: str(chance.choice(["line", "spot"])) for group in sorted(set(rows.group))}
    mixed = chosen(rows, range(len(rows)), [of[group] for group in rows.group])
    target = np.searchsorted(sorted(set(mixed.label)), mixed.label)
    whole = held_out(mixed, mixed.embedding, np.full(len(rows), -1))
    assert (whole.argmax(1) == target).mean() > 0.9, (whole.argmax(1) == target).mean()
    without = held_out(mixed, mixed.embedding, mixed.fold)
    assert (without.argmax(1) == target).mean() < 0.75
    groups = {group for group, fold in zip(rows.group, rows.fold, strict=True) if fold == 0}
    assert not groups & {group for group, fold in zip(rows.group, rows.fold, strict=True) if fold != 0}


def test_parts_count_once_and_are_right_by_most_of_their_images() -> None:
    found = parts(
        ["a", "a", "a", "b", "b", "good"],
        ["1", "1", "1", "2", "2", "3"],
        ["a", "b", "b", "b", "good", "good"],
        ["a", "a", "b", "b", "b", "good"],
    )
    assert [(one.label, one.before, one.after) for one in found] == [
        ("a", "b", "a"), ("b", "unknown", "b"), ("good", "good", "good")
    ]  # fmt: skip
    all_ = compared(found)
    assert (all_.gained, all_.lost, all_.found_before.events, all_.found_after.events) == (2, 0, 1, 3)
    assert compared(found, "b").called_before.n == 1
    assert [share.events for share in passed(found)] == [0, 0]


@pytest.mark.parametrize(
    ("gained", "lost", "chance"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (8, 2, 0.109375)]
)
def test_the_exact_comparison(gained: int, lost: int, chance: float) -> None:
    assert by_chance(gained, lost) == by_chance(lost, gained) == pytest.approx(chance)
