"""Control charts drawn: every kind of chart, stages, signals and limits of sizes that differ; the wall's gauges beside them."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from schemas.spc import LimitsV1, PlanV1, SeriesV1
from streams.monitors.spc.packing import pack_course
from streams.wiring.adapters.spc import Charted
from streams.wiring.commands.spc import shown
from streams.wiring.commands.spc_chart import at_size, control, whole
from streams.wiring.processors.spc_gauges import Wall
from tests.helpers.spc import PRODUCT, STATION, Machine, digest_of, plan, segmented, verdict
from tests.helpers.spc_known import known_of

SVG = "{http://www.w3.org/2000/svg}"
KEY = (STATION, PRODUCT, "main")
CHARTS: tuple[dict[str, Any], ...] = (
    {"name": "nonconforming", "of": "nonconforming", "chart": "laney_p", "trial_n": 5},
    {"name": "bad", "of": "nonconforming", "chart": "p", "trial_n": 5},
    {"name": "scratched", "of": "class", "label": "scratch", "chart": "p", "trial_n": 5},
    {"name": "defects", "of": "defects", "chart": "laney_u", "trial_n": 5},
    {"name": "scratches", "of": "defects", "label": "scratch", "chart": "c", "trial_n": 5},
    {"name": "between", "of": "nonconforming", "chart": "g", "trial_n": 5},
    {"name": "times", "of": "nonconforming", "chart": "t", "trial_n": 5},
    {"name": "length", "of": "measurement", "quantity": "length", "chart": "xbar_s", "trial_n": 5},
    {"name": "longest", "of": "measurement", "quantity": "length", "label": "scratch", "chart": "i_mr", "trial_n": 5},
)


@pytest.fixture(scope="module")
def story() -> tuple[Machine, PlanV1, Charted]:
    """Nine lots of differing sizes, models that change after six, and a last lot that is bad."""
    made = plan(*CHARTS, lot=True)
    machine, n = Machine().tell(made), 0
    for lot in range(14):
        for part in range(20 + 5 * (lot % 3)):
            bad = part % 7 == lot % 5 or (lot == 13 and part % 2 == 0)
            evidence = segmented(*[1.0 + 0.1 * ((part * lot) % 9)] * (1 + lot % 2)) if bad else ()
            models = digest_of("2" if lot < 6 else "9")
            one = verdict(
                n, "scrap" if bad else "pass", "scratch" if bad else None, lot=f"L{lot}", model_set=models, evidence=evidence
            )
            machine.judge(one)
            n += 1
    machine.judge(verdict(n, lot="end", model_set=digest_of("9"))).finish()
    return machine, made, known_of(machine.said, STATION).series[KEY]


def texts(svg: str) -> set[str | None]:
    return {element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")}


def test_every_kind_of_chart_has_limits_and_a_picture(story: tuple[Machine, PlanV1, Charted]) -> None:
    _, made, found = story
    assert set(found.characteristics()) == {one["name"] for one in CHARTS}
    for name in found.characteristics():
        svg = control(KEY, found, name, made, 100).svg()
        ElementTree.fromstring(svg)
        assert {"centre", "limits", "subgroup", "new model_set", "of an earlier stage, not comparable"} <= texts(svg), name


def test_signals_and_plain_limits_are_in_the_picture(story: tuple[Machine, PlanV1, Charted]) -> None:
    _, made, found = story
    svg = control(KEY, found, "nonconforming", made, 100).svg()
    assert "signal" in texts(svg)
    assert len(list(ElementTree.fromstring(svg).iter(f"{SVG}circle"))) == 14
    assert f"<desc>14 subgroups, {len({s.subgroup_id for s in found.open_signals('nonconforming')})} with" in svg


def test_a_page_has_all_charts_and_a_row_of_each_signal(story: tuple[Machine, PlanV1, Charted]) -> None:
    _, made, found = story
    text = whole(KEY, found, made, 100)
    assert text.count("<svg") == len(CHARTS)
    assert text.count("<tr>") == 1 + sum(not one.again for one in found.signals.values())


def test_run_lengths_are_stated_in_subgroups(story: tuple[Machine, PlanV1, Charted]) -> None:
    machine, _, _ = story
    stated = {one.characteristic: one.arl0_subgroups for one in machine.of(LimitsV1) if one.status == "trial"}
    assert all(value is not None and value > 1 for value in stated.values())
    assert stated["length"] == pytest.approx(216.7, abs=0.1)


@pytest.mark.parametrize("name", ["nonconforming", "bad", "scratched", "defects", "length"])
def test_limits_are_those_of_each_subgroups_size_whatever_sizes_were_published(
    story: tuple[Machine, PlanV1, Charted], name: str
) -> None:
    _, made, found = story
    limits = found.limits_of(name)
    assert limits is not None
    largest = limits.at_n[-1]
    only = limits.model_copy(update={"at_n": (largest,)})
    for at in limits.at_n:
        drawn = at_size(only, at.n, made)
        assert (drawn.lcl, drawn.ucl) == pytest.approx((at.lcl, at.ucl))


def test_a_chart_is_defined_by_its_own_series(story: tuple[Machine, PlanV1, Charted]) -> None:
    _, made, found = story
    (main,) = made.series
    wide = main.characteristics[0].model_copy(update={"k_sigma": 6})
    other = main.model_copy(update={"series": "other", "characteristics": (wide,)})
    both = made.model_copy(update={"series": (other, main)})
    limits = found.limits_of("nonconforming")
    assert limits is not None
    assert at_size(limits, 20, both) == at_size(limits, 20, made)
    assert at_size(limits.model_copy(update={"series": "other"}), 20, both).ucl > at_size(limits, 20, made).ucl


def test_the_default_plan_is_shown_as_it_is_in_force() -> None:
    """With classes that have no limits yet, and lengths."""
    machine = Machine()
    for n in range(1200):
        bad = n in (5, 600)
        evidence = segmented(1.5) if n == 5 else ()
        label = ("crack" if n == 5 else None) if bad else None
        machine.judge(verdict(n, "scrap" if bad else "pass", label, evidence=evidence))
    found = known_of(machine.finish().said, STATION).series[STATION, PRODUCT, "default"]
    told = yaml.safe_load(shown(None, found))
    assert [SeriesV1.model_validate(one) for one in told["series"]] == list(machine.shelf.lines[PRODUCT].series)
    assert [one["name"] for one in told["series"][0]["characteristics"]] == [
        "nonconforming", "defects", "class-crack", "class-unknown", "length",
    ]  # fmt: skip


def test_the_wall_shows_the_newest_point_and_its_limits(story: tuple[Machine, PlanV1, Charted]) -> None:
    machine, _, found = story
    course = machine.shelf.courses["disc|main"]
    wall = Wall(lambda: [(f"{STATION}|disc|main", pack_course(course)), ("plant/line-2/cam-9|disc|main", course)])
    shown = {labels[2]: point for labels, point in wall.shown() if labels[0] == STATION}
    last = list(found.subgroups.values())[-1]
    limits = found.limits_of("nonconforming")
    assert limits is not None
    at = next(at for at in limits.at_n if at.n == last.n)
    assert shown["nonconforming"] == pytest.approx([last.nonconforming / last.n, limits.center, at.lcl, at.ucl, True])
    assert set(shown) == {one["name"] for one in CHARTS}
    assert [point for labels, point in wall.shown() if labels[0] != STATION] == list(shown.values())  # packed or not
    shares = {labels[2]: value for labels, value in wall.ratios()}
    assert shares["scratched"] == last.nonconforming / last.n
