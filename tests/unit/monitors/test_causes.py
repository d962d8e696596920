"""Who moved: every row of the table, in words with figures, and never more than the data tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.drift import CauseV1
from streams.monitors.causes import Facts, judge, of_golden, of_images
from streams.monitors.covariates import Moved
from streams.monitors.golden import Answer

LIGHT = Moved(name="light", before=121.4, now=109.0, sd=-6.5, since=48, height=20.0)
SHARP = Moved(name="sharpness", before=400.0, now=150.0, sd=-8.0, since=300, height=20.0)
PLACE = Moved(name="shift_x_px", before=0.1, now=9.3, sd=4.4, since=50, height=20.0)
GONE = Answer("moved", ("m-1",), 4, 2.0, 2.6, 0.1)
STILL = Answer("still", ("m-1", "m-2"), 4, 2.0, 2.01, 0.1)
VAGUE = Answer("unclear", ("m-1",), 1, 2.0, 2.2, 0.5)
ALARM = Facts(kind="baseline_up", since=50, watched=True)


@pytest.mark.parametrize(
    ("facts", "name", "words"),
    [
        (replace(ALARM, digital=GONE, physical=GONE, images=[LIGHT]), "model", "the same bytes score otherwise"),
        (replace(ALARM, physical=GONE, images=[LIGHT]), "camera_light", "no material can do"),
        (replace(ALARM, physical=GONE), "camera_light", "m-1 moved: score 2.6, before 2 (4 passes"),
        (replace(ALARM, physical=GONE, images=[PLACE]), "fixture", "place across moved from 0.1 to 9.3 px"),
        (replace(ALARM, physical=STILL, images=[LIGHT]), "material_process", "m-1, m-2 stands"),
        (replace(ALARM, images=[LIGHT]), "camera_light", "light fell from 121.4 to 109.0 grey levels (6.5 sd), at about the"),
        (replace(ALARM, images=[SHARP]), "camera_light", "sharpness fell from 400.0 to 150.0 (8.0 sd), 300 parts ago"),
        (replace(ALARM, images=[PLACE]), "fixture", "no physical golden part came since"),
        (replace(ALARM, images=[PLACE, LIGHT]), "camera_light", "light fell"),
        (replace(ALARM, physical=VAGUE), "unknown", "1 passes of physical golden parts since cannot tell yet"),
        (ALARM, "unknown", "light, contrast, sharpness and place stand"),
        (replace(ALARM, watched=False), "unknown", "scores alone cannot say"),
        (replace(ALARM, kind="stuck"), "camera_light", "the source sends one picture"),
        (replace(ALARM, kind="defect_rate_up", images=[LIGHT]), "material_process", "the share of defects moved"),
        (replace(ALARM, kind="stuck", digital=GONE), "model", "score 2.6"),
    ],
)
def test_the_cause_and_what_it_rests_on(facts: Facts, name: str, words: str) -> None:
    found = judge(facts)
    assert found.name == name
    assert any(words in line for line in found.by)
    assert CauseV1.read(found.json_bytes()) == found


def test_without_image_statistics_nothing_is_said_of_them() -> None:
    assert not any("stand where" in line for line in judge(replace(ALARM, watched=False)).by)


def test_warnings_of_their_own() -> None:
    assert of_golden(GONE, "physical", 500, ()).name == "fixture"
    assert of_golden(GONE, "physical", 40, ()).name == "unknown"
    assert of_golden(GONE, "physical", 40, [LIGHT]).name == "camera_light"
    assert of_golden(GONE, "digital", 500, ()).name == "model"
    light = of_images([LIGHT, SHARP])
    assert light.name == "camera_light"
    assert light.by[0] == "light fell from 121.4 to 109.0 grey levels (6.5 sd), 48 parts ago"


def test_many_parts_make_a_line_that_the_contract_takes() -> None:
    many = Answer("moved", tuple(f"a-rather-long-name-of-a-master-{k}" for k in range(16)), 16, 2.0, 2.6, 0.1)
    assert max(len(line) for line in judge(replace(ALARM, physical=many)).by) == 300
