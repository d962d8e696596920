"""Who moved: camera and light, material and process, fixture, or what serves the model; and when nobody can say.

Scores alone cannot tell them apart. Golden parts can: an injected image never meets a camera, a physical master meets the camera
and not the material. Image statistics say what a camera sees. Rules, first that holds:

| golden image | physical master | production | cause |
|---|---|---|---|
| moved | | | model: the same bytes are scored otherwise |
| | moved | moved | camera_light; fixture where only the place of the part moved |
| | still | moved | material_process |
| | moved | still | fixture: the master, or what holds it |
| | no answer | moved | what the image statistics say, else unknown |

A changed defect rate is the process's: its good parts stand where they stood. Knows no stream and no message but the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.drift import CauseV1
from streams.monitors.covariates import Moved, together
from streams.monitors.golden import UNCLEAR, Answer

Name = Literal["camera_light", "material_process", "fixture", "model", "unknown"]
_WORDS = {
    "light": ("light", "grey levels"),
    "contrast": ("contrast", "grey levels"),
    "sharpness": ("sharpness", ""),
    "shift_x_px": ("place across", "px"),
    "shift_y_px": ("place down", "px"),
}
_PLACE = {"shift_x_px", "shift_y_px"}
_SOON = 200  # parts: a production that moves with its golden parts may not have alarmed yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known at an event. kind: of the event on drift.v1; since: parts since its change-point, where it has one.

    images: what moved in them; watched: whether there were any image statistics. digital, physical: what golden parts say since
    the change-point.
    """

    kind: str
    since: int | None = None
    images: Sequence[Moved] = ()
    watched: bool = False
    digital: Answer = UNCLEAR
    physical: Answer = UNCLEAR


def judge(facts: Facts) -> CauseV1:
    """The cause of a shift of production's scores, of their repeats, or of the defect rate."""
    name, by = _named(facts)
    return CauseV1(name=name, by=tuple(line[:300] for line in by))


def of_golden(answer: Answer, proof: Literal["digital", "physical"], since: int, images: Sequence[Moved]) -> CauseV1:
    """A golden part moved, and production has raised no alarm in the `since` parts since."""
    name, why = _of_golden(proof, since, images)
    return CauseV1(name=name, by=(_golden(answer, proof)[:300], why, *(_said(one, since) for one in images)))


def of_images(images: Sequence[Moved]) -> CauseV1:
    """Image statistics moved, and no score did."""
    return CauseV1(name=_camera(images), by=tuple(_said(one, None) for one in images))


def _of_golden(proof: Literal["digital", "physical"], since: int, images: Sequence[Moved]) -> tuple[Name, str]:
    if proof == "digital":
        return "model", "the same bytes score otherwise: what serves the model changed"
    if images:
        return _camera(images), "the images of production moved, too"
    if since < _SOON:
        return "unknown", f"production has raised no alarm in {since} parts: a worn part or its fixture if it raises none"
    return "fixture", f"production stands, {since} parts long: the part is worn, or held otherwise"


def _named(facts: Facts) -> tuple[Name, list[str]]:
    seen = [_said(one, facts.since) for one in facts.images]
    if facts.digital.verdict == "moved":
        return "model", [
            _golden(facts.digital, "digital"),
            "the same bytes score otherwise: what serves the model changed",
            *seen,
        ]
    if facts.kind == "stuck":
        return "camera_light", ["the same score again and again: the source sends one picture", *seen]
    if facts.kind in ("defect_rate_up", "defect_rate_down"):
        return "material_process", ["the good parts stand where they stood: the share of defects moved", *seen]
    if facts.physical.verdict == "moved":
        return _camera(facts.images), [_golden(facts.physical, "physical"), "what no material can do", *seen]
    if facts.physical.verdict == "still":
        return "material_process", [_golden(facts.physical, "physical"), "so the camera sees what it saw", *seen]
    if facts.images:
        return _camera(facts.images), [*seen, _missing(facts)]
    return "unknown", ["scores alone cannot say", *_unmoved(facts), _missing(facts)]


def _camera(images: Sequence[Moved]) -> Name:
    """fixture where nothing but the place moved."""
    return "fixture" if images and all(one.name in _PLACE for one in images) else "camera_light"


def _unmoved(facts: Facts) -> list[str]:
    return ["light, contrast, sharpness and place stand where they stood"] if facts.watched else []


def _missing(facts: Facts) -> str:
    if facts.physical.passes:
        return f"{facts.physical.passes} passes of physical golden parts since cannot tell yet"
    return "no physical golden part came since: it would tell the camera from the material"


def _golden(answer: Answer, proof: Literal["digital", "physical"]) -> str:
    what = "injected golden image" if proof == "digital" else "physical golden part"
    where = "stands" if answer.verdict == "still" else "moved"
    return (
        f"{what} {', '.join(answer.parts)} {where}: score {answer.now:.4g}, before {answer.before:.4g} "
        f"({answer.passes} passes, certain to {answer.sure:.2g})"
    )


def _said(one: Moved, since: int | None) -> str:
    name, unit = _WORDS[one.name]
    verb = "rose" if one.sd > 0 else "fell"
    if one.name in _PLACE:
        verb = "moved"
    figures = f"{name} {verb} from {one.before:.1f} to {one.now:.1f} {unit}".rstrip() + f" ({abs(one.sd):.1f} sd)"
    if since is None:
        return f"{figures}, {one.since} parts ago"
    return f"{figures}, at about the same part" if together(one.since, since) else f"{figures}, {one.since} parts ago"
