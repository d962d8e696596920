"""Detection limits in words and pictures: what is known is shown where it belongs, what is not known is said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from xml.etree import ElementTree

import numpy as np
import pytest

from schemas.challenge import DetectionLimitV1
from streams.monitors.detection_limit import judge
from streams.wiring.commands.limit import courses, sentence
from streams.wiring.commands.limit_chart import course, curve, whole
from tests.unit.test_detection_limit import AT, BLIND, GOOD, items

SVG = "{http://www.w3.org/2000/svg}"


def history(*sets: Sequence[int], mm: float | None = 0.05) -> list[DetectionLimitV1]:
    """Set after set, eight hours apart."""
    said: list[DetectionLimitV1] = []
    state = None
    for n, found in enumerate(sets):
        place = {"station": "plant/line/cam", "product": "disc", "set": f"auto/limit/{n}"}
        more, state = judge(**place, at=AT + timedelta(hours=8 * n), items=items(found, mm=mm), state=state)  # type: ignore[arg-type]
        said += more
    return said


def texts(svg: str) -> set[str | None]:
    return {element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")}


def test_the_sentence_has_the_unit_that_is_known() -> None:
    (mm,), (px,) = history(GOOD), history(GOOD, mm=None)
    assert sentence(mm) == "smallest scratch found 90 % of the time: 0.49 mm (95 %: 0.39 to 0.61)"
    assert sentence(px) == "smallest scratch found 90 % of the time: 9.8 px (95 %: 7.9 to 12.2)"
    assert sentence(history(BLIND)[0]) == "smallest scratch found 90 % of the time: not known"


def test_the_curve_shows_counts_fit_and_limit() -> None:
    (said,) = history(GOOD)
    svg = curve(said).svg()
    assert {"fitted curve", "found, of 12 each", "95 % interval of the limit", "size of the scratch (mm)"} <= texts(svg)
    assert len(list(ElementTree.fromstring(svg).iter(f"{SVG}circle"))) == 5 + 1
    assert "12 of 12 of 20 px" in (ElementTree.fromstring(svg).findtext(f"{SVG}desc") or "")


def test_a_blind_station_is_drawn_without_a_limit() -> None:
    said = history(GOOD, GOOD, GOOD, BLIND)
    svg = curve(said[-1]).svg()
    assert any("no limit within the grades" in (text or "") for text in texts(svg))
    assert "reference" in texts(svg)
    over_time = course(said).svg()
    assert {"worse", "reference", "limit with its 95 % interval"} <= texts(over_time)
    assert len(list(ElementTree.fromstring(over_time).iter(f"{SVG}circle"))) == 4


def test_every_outcome_can_be_drawn() -> None:
    rng = np.random.default_rng(1)
    for found in (*rng.integers(0, 13, (20, 5)).tolist(), (0,) * 5, (12,) * 5):
        said = history(found)
        ElementTree.fromstring(curve(said[0]).svg())
        ElementTree.fromstring(course(said).svg())


@pytest.mark.parametrize("mm", [0.05, None])
def test_a_page_has_both_pictures_of_each_course_and_a_row_of_each_set(mm: float | None) -> None:
    said = history(GOOD, GOOD, GOOD, BLIND, mm=mm)
    text = whole(courses(said))
    assert text.count("<svg") == 2
    assert text.count("<tr>") == 1 + 4
    assert "above the largest size" in text


def test_views_and_marks_are_courses_of_their_own() -> None:
    (front,) = history(GOOD)
    back = front.model_copy(update={"view": "back"})
    assert courses([front, back, front]) == [[back], [front, front]]
