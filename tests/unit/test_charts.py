"""Charts: well-formed SVG that says what it shows; values land where their axis says."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.wiring.charts.axis import Axis, axis
from streams.wiring.charts.page import page
from streams.wiring.charts.svg import Chart

SVG = "{http://www.w3.org/2000/svg}"


def chart() -> Chart:
    return Chart(
        title="Scores <now>", about='counts & "shares"', x=Axis(label="score", low=0, high=10), y=axis("n", [0, 8], least=[0])
    )


def test_a_chart_is_well_formed_and_says_what_it_shows() -> None:
    made = (
        chart()
        .bars([0, 2, 4, 10], [3, 8, 1], "reference", 0)
        .steps([0, 2, 4, 10], [1, 2, 8], "now", 1)
        .line([0, 5, 10], [0, 4, 8], "cusum", 2)
        .points([1, 2], [3, 4], "limit", 3, [(2, 4), None])
        .band(1, 2, "lot", 4)
        .limit(7, "threshold")
        .mark(9.9, "change <here>")
        .svg()
    )
    root = ElementTree.fromstring(made)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert root.findtext(f"{SVG}title") == "Scores <now>"
    assert root.findtext(f"{SVG}desc") == 'counts & "shares"'
    assert {"score", "n", "reference", "now", "cusum", "threshold", "change <here>"} <= set(texts)
    assert len(list(root.iter(f"{SVG}circle"))) == 2
    assert chart().line([0, 1], [0, 1], "a", 0).svg() == chart().line([0, 1], [0, 1], "a", 0).svg()


def test_a_page_holds_its_charts_and_its_table() -> None:
    made = page("Baseline <x>", ["one & two"], [chart().svg()], [["at", "what"], ["08:00", "<up>"]])
    assert "&lt;x&gt;" in made
    assert "one &amp; two" in made
    assert "&lt;up&gt;" in made
    assert made.count("<svg") == 1


def test_wrong_use_is_said() -> None:
    with pytest.raises(ValueError, match="one more"):
        chart().bars([0, 1], [1, 2], "x", 0)
    with pytest.raises(ValueError, match="no value"):
        axis("empty", [math.nan])
    with pytest.raises(ValueError, match="below high"):
        Axis(label="flat", low=1, high=1)
    with pytest.raises(ValueError, match="above 0"):
        Axis(label="log", low=0, high=1, kind="log")


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))
def test_every_value_and_every_tick_lies_on_the_axis(values: list[float]) -> None:
    made = axis("v", values)
    assert all(0 <= made.share(value) <= 1 for value in values)
    ticks = [value for value, _ in made.ticks()]
    assert 1 <= len(ticks) <= 14
    assert all(-1e-6 <= made.share(value) <= 1 + 1e-6 for value in ticks)


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=20))
def test_log_axes_too(values: list[float]) -> None:
    made = axis("v", values, kind="log")
    assert all(0 <= made.share(value) <= 1 for value in values)
    assert len(made.ticks()) <= 30


def test_time_axes_have_round_ticks() -> None:
    made = Axis(label="UTC", low=1_700_000_123, high=1_700_000_123 + 7200, kind="time")
    assert [text for _, text in made.ticks(8)][:2] == ["22:30", "22:45"]
