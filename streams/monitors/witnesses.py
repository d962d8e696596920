"""What stands beside the scores of a stream: image statistics and golden parts, and whom they name. Never judged, only heard.

Both begin anew with a new baseline; what golden parts looked like at first is kept.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas.baseline import ReferenceV1
from schemas.drift import CauseV1
from schemas.evidence import ImageStatsV1
from streams.monitors import causes, covariates, golden
from streams.monitors.evidence import DriftEvent
from streams.monitors.golden import Golden
from streams.monitors.ordering import Statistics


class Witnesses(NamedTuple):
    """images: see `covariates`; golden: see `golden`."""

    images: covariates.Covariates = covariates.START
    golden: tuple[Golden, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Standards:
    """What they are held against. images: None where nobody knows what good images look like; tolerance: of the model's score."""

    images: covariates.Reference | None
    tolerance: float


@dataclass(frozen=True, kw_only=True)
class Warning:
    """Something that was heard without an alarm of the scores. statistic, detail: what moved, as events say it."""

    cause: CauseV1
    statistic: str
    detail: str


def standards(statistics: Mapping[str, ReferenceV1], n: int, arl0: float, tolerance: float) -> Standards:
    """statistics: of n good images; none where they are not known."""
    known = covariates.reference(statistics, n, arl0) if statistics else None
    return Standards(images=known, tolerance=tolerance)


def begun(state: Witnesses) -> Witnesses:
    """At a new baseline: parts are counted anew."""
    return Witnesses(golden=tuple(one._replace(recent=(), warned=False) for one in state.golden))


def saw(state: Witnesses, held: Standards, image: Statistics | None) -> tuple[Witnesses, Warning | None]:
    """The image of one production part."""
    if held.images is None or image is None:
        return state, None
    light, contrast, sharpness, across, down = image
    stats = ImageStatsV1(light=light, contrast=contrast, sharpness=sharpness, shift_x_px=across, shift_y_px=down)
    after = covariates.step(held.images, state.images, stats)
    names = covariates.raised(state.images, after)
    state = state._replace(images=after)
    if not names:
        return state, None
    cause = causes.of_images(covariates.moved(held.images, after, held.images.warn / covariates.UNIT))
    return state, Warning(cause=cause, statistic=names[0], detail=", ".join(names))


def met(state: Witnesses, held: Standards, seen: Golden, score: float, judged: int) -> tuple[Witnesses, Warning | None]:
    """One pass of a golden part. judged: production parts so far."""
    after = golden.step(state.golden, seen, judged, score, held.tolerance)
    part = golden.raised(state.golden, after)
    state = state._replace(golden=after)
    if part is None:
        return state, None
    told = golden.warning(after, part, held.tolerance)
    images = covariates.moved(held.images, state.images) if held.images else ()
    cause = causes.of_golden(told, part.proof, judged - golden.warned_since(part), images)
    return state, Warning(cause=cause, statistic=f"golden {part.proof}", detail=part.part)


def cause_of(state: Witnesses, held: Standards, event: DriftEvent, judged: int) -> CauseV1 | None:
    """Who moved; None where the event is no shift. judged: production parts, the event's own included."""
    found = event.evidence
    if event.kind == "recovered" or found is None:
        return None
    middle = next((q for q in found.quantiles if q.q == 0.5 and q.now is not None), None)
    by = abs(middle.now - middle.reference) if middle is not None and middle.now is not None else None
    since = judged - found.since
    return causes.judge(
        causes.Facts(
            kind=event.kind,
            since=found.since,
            images=covariates.moved(held.images, state.images) if held.images else (),
            watched=held.images is not None,
            digital=golden.answer(state.golden, "digital", since, held.tolerance, by),
            physical=golden.answer(state.golden, "physical", since, held.tolerance, by),
        )
    )


def dump(state: Witnesses) -> dict[str, Any]:
    """As JSON data."""
    images = None if state.images == covariates.START else b64encode(covariates.pack(state.images)).decode()
    return {"images": images, "golden": golden.dump(state.golden)}


def load(data: Mapping[str, Any]) -> Witnesses:
    images = data["images"]
    known = covariates.START if images is None else covariates.unpack(b64decode(images))
    return Witnesses(known, golden.load(data["golden"]))
