"""A stream's events name who moved, by images and golden parts; both warn on their own, and never become production."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from schemas.baseline import BaselineStateV1, ReferenceV1
from schemas.common import Message
from schemas.drift import DriftSummaryV1
from schemas.model_set import ImageReferenceV1
from streams.monitors.ordering import Scored
from streams.monitors.stream_state import dump, load
from tests.helpers.streams import STREAM, Shelf, events, models, normal, parts, told

SHELF = Shelf()
GOOD = ImageReferenceV1(n=400, statistics={"light": ReferenceV1(mean=120, sd=2), "contrast": ReferenceV1(mean=30, sd=1)})
MODELS = SHELF.put(models(normal(400, seed=1), image={"v1": GOOD}))
QUIET, MOVED = normal(300, seed=2), normal(300, seed=3, shift=1.5)
MASTER = ("master-7", "physical", "")


def pictured(scored: Iterable[Scored], *, darker_from: int = 10**9) -> list[Scored]:
    """With image statistics; from a part on light is 12 grey levels lower."""
    chance = np.random.default_rng(9)
    lights = (120 + 2 * float(chance.normal()) - 12 * (part.n >= darker_from) for part in scored)
    return [
        part._replace(image=(light, 30 + float(chance.normal()), 500.0, None, None))
        for part, light in zip(scored, lights, strict=True)
    ]


def with_golden(scored: Iterable[Scored], kind: tuple[str, str, str], *, moved_from: int = 10**9) -> list[Scored]:
    """Every tenth part is the golden one: its score is its own, .3 until it moves to 1.8."""
    chance = np.random.default_rng(4)
    step = 0.0 if kind[1] == "digital" else 0.05

    def score(n: int) -> float:
        return 0.3 + 1.5 * (n >= moved_from) + step * float(chance.normal())

    return [
        part._replace(score=score(part.n), golden=kind) if part.n % 10 == 3 else part  # type: ignore[arg-type]
        for part in scored
    ]


def named(said: list[Message], kind: str) -> tuple[str, str]:
    """Cause and grounds of the only event of a kind."""
    (event,) = [event for event in events(said) if event.kind == kind]
    assert event.cause is not None
    return event.cause.name, "; ".join(event.cause.by)


def test_light_that_fell_with_the_shift_is_named() -> None:
    scored = pictured(parts([*QUIET, *MOVED], MODELS), darker_from=300)
    said = told(SHELF, scored, restart=True)[1]
    name, by = named(said, "baseline_up")
    assert name == "camera_light"
    assert "light fell from 120.0 to 10" in by
    (warning,) = [event for event in events(said) if event.kind == "image_moved"]
    assert (warning.statistic, warning.state) == ("light", "provisional")
    assert 300 <= int(warning.inspection[-3:]) < 310


def test_light_alone_warns_once_and_leaves_the_state_of_the_baseline() -> None:
    said = told(SHELF, pictured(parts(QUIET + normal(300, seed=5), MODELS), darker_from=300))[1]
    assert [event.kind for event in events(said)] == ["new_stream", "image_moved"]
    assert [one.state for one in said if isinstance(one, BaselineStateV1)] == ["provisional"]


def test_scores_alone_cannot_say() -> None:
    assert named(told(SHELF, parts([*QUIET, *MOVED], MODELS))[1], "baseline_up")[0] == "unknown"
    assert named(told(SHELF, pictured(parts([*QUIET, *MOVED], MODELS)))[1], "baseline_up")[0] == "unknown"


@pytest.mark.parametrize(("moved_from", "cause"), [(10**9, "material_process"), (300, "camera_light")])
def test_a_master_tells_the_material_from_the_camera(moved_from: int, cause: str) -> None:
    scored = with_golden(parts([*QUIET, *normal(300, seed=3, shift=0.7)], MODELS), MASTER, moved_from=moved_from)
    assert named(told(SHELF, scored, restart=True)[1], "baseline_up")[0] == cause


def test_an_image_that_scores_otherwise_is_the_model_and_no_production() -> None:
    scored = with_golden(parts([*QUIET, *QUIET], MODELS), ("ref-1", "digital", "ab12"), moved_from=300)
    state, said = told(SHELF, scored)
    name, by = named(said, "golden_moved")
    assert name == "model"
    assert "ref-1" in by
    assert sum(one.n for one in said if isinstance(one, DriftSummaryV1)) == 540
    assert state.detector is not None
    assert state.detector.part == 540
    assert dump(load(dump(state))) == dump(state)


def test_another_version_of_the_model_is_no_reference() -> None:
    newer = SHELF.put(models(normal(400, seed=1), ref=STREAM.model.model_copy(update={"version": 2})))
    (event,) = events(told(SHELF, parts(QUIET, newer))[1])
    assert event.kind == "no_baseline"
    assert "another version" in event.detail
