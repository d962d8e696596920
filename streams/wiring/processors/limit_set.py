"""The parts of a detection limit's set: defects of graded sizes, painted on today's good images, and some left as they are.

A painted view is sent as PNG, so that nothing but the mark is new; unpainted views are sent as they were stored.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import structlog

from schemas.challenge import ChallengeDueV1, ChallengeScheduleV1
from schemas.common import Region
from schemas.evidence import UNPAINTED, ChallengeStampV1
from schemas.model_set import PreparationV1
from streams.capture.gateway import Capture, View
from streams.capture.image import decode, encode_png
from streams.capture.painting import Area, Mark, paint, part_area, scratch_width_px
from streams.fates import Unprocessable
from streams.judgement.versions import Versions
from streams.monitors.graded import DEFAULT_CONTRAST, slot_of
from streams.settings import Settings
from streams.wiring.adapters.images import Images
from streams.wiring.processors.good_parts import GoodPart, good_parts

log = structlog.get_logger("limit-set")
_TODAY = timedelta(hours=24)
_OTHERS = 3  # images that are tried where a mark has no room


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a set's painted parts have in common."""

    due: ChallengeDueV1
    schedule: ChallengeScheduleV1

    @property
    def contrast(self) -> float:
        return self.schedule.limit_contrast or DEFAULT_CONTRAST

    def rng(self, part: str) -> np.random.Generator:
        """Of set and part: a set that is painted again on the same image is the same."""
        name = f"{self.due.station}/{self.due.set}/{part}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


class LimitSets:
    """Makes the parts of limit sets, one after the other. versions: of policies (scale) and model sets (preparation)."""

    def __init__(self, settings: Settings, versions: Versions, *, clock: Callable[[], datetime] = _now) -> None:
        self._settings, self._versions, self._clock = settings, versions, clock

    def __call__(self, due: ChallengeDueV1, schedule: ChallengeScheduleV1 | None) -> Iterator[Capture]:
        """In the order of the set. What cannot be painted is logged and left out.

        Raises Unprocessable `no_sizes`, `no_images`; Unavailable, KafkaUnreachable, KafkaRefused.
        """
        if schedule is None or not schedule.limit_sizes_px:
            raise Unprocessable("no_sizes", f"no schedule of {due.station} says which sizes are painted for {due.product}")
        asked, client = _Asked(due=due, schedule=schedule), self._settings.client()
        since = self._clock() - _TODAY
        ready = deque(good_parts(client, due.station, due.product, most=len(due.parts), since=since))
        images = Images(client, roots=[self._settings.images], readers=1)
        try:
            for part in due.parts:
                if (capture := self._one(asked, part, ready, images)) is not None:
                    yield capture
        finally:
            images.close()

    def _one(self, asked: _Asked, part: str, ready: deque[GoodPart], images: Images) -> Capture | None:
        """On the next good part whose images can still be read, where the mark has room on it."""
        reason: Unprocessable | None = None
        for _ in range(_OTHERS):
            good, views = _next(ready, images, asked)
            try:
                return self._made(asked, part, good, views)
            except Unprocessable as error:
                reason = error
        log.warning("a part of the set cannot be painted", station=asked.due.station, part=part, error=str(reason))
        return None

    def _made(self, asked: _Asked, part: str, good: GoodPart, views: dict[str, bytes]) -> Capture:
        """Raises Unprocessable."""
        grade, repeat = _slot(part, asked)
        stamp = ChallengeStampV1(set=asked.due.set, part=part, proof="digital", kind="golden", label=UNPAINTED)
        if grade is not None:
            view = sorted(views)[repeat % len(views)]
            size = asked.schedule.limit_sizes_px[grade]
            views = {**views, view: self._painted(asked, part, good, views[view], size)}
            mm = self._mm_per_px(good, view)
            stamp = stamp.model_copy(
                update={
                    "kind": "graded",
                    "label": asked.schedule.limit_defect,
                    "view": view,
                    "size_px": size,
                    "size_mm": None if mm is None else size * mm,
                    "contrast": asked.contrast,
                }
            )
        return Capture(
            station=asked.due.station,
            product=asked.due.product,
            views=[View(name, data) for name, data in sorted(views.items())],
            acquisition=good.verdict.acquisition or "",
            purpose="challenge",
            challenge=stamp,
        )

    def _painted(self, asked: _Asked, part: str, good: GoodPart, data: bytes, size: float) -> bytes:
        image, recipe = decode(data), self._preparation(good)
        grey_range = 255.0 if image.dtype == np.uint8 else float(max(1, recipe.high - recipe.low))
        mark = Mark(kind=asked.schedule.limit_defect, size_px=size, contrast=asked.contrast, width_px=scratch_width_px(image))
        area = _inside(part_area(image, grey_range=grey_range), recipe.roi)
        return encode_png(paint(image, mark, area, asked.rng(part), grey_range=grey_range).image)

    def _preparation(self, good: GoodPart) -> PreparationV1:
        models = self._versions.model_set(good.verdict.model_set or "")
        return models.models[0].preparation if models else PreparationV1()

    def _mm_per_px(self, good: GoodPart, view: str) -> float | None:
        policy = self._versions.policy(good.verdict.policy or "")
        scale = policy.geometry.mm_per_px if policy and policy.geometry else {}
        return scale.get(view, scale.get("*"))


def _slot(part: str, asked: _Asked) -> tuple[int | None, int]:
    try:
        grade, repeat = slot_of(part)
    except ValueError as error:
        raise Unprocessable("unknown_part", str(error)) from error
    if grade is not None and grade >= len(asked.schedule.limit_sizes_px):
        raise Unprocessable("unknown_part", f"{part}: the schedule has {len(asked.schedule.limit_sizes_px)} sizes now")
    return grade, repeat


def _next(ready: deque[GoodPart], images: Images, asked: _Asked) -> tuple[GoodPart, dict[str, bytes]]:
    """The first of the row, which then goes to its end; those whose images are gone leave it."""
    while ready:
        good = ready.popleft()
        try:
            views = {view: images.read_now(ref) for view, ref in good.images.items()}
        except Unprocessable as error:
            log.info("a good image is left out", inspection=good.verdict.inspection, error=str(error))
            continue
        ready.append(good)
        return good, views
    station, product = asked.due.station, asked.due.product
    raise Unprocessable("no_images", f"no {product} passed at {station} in the last 24 hours whose images are still there")


def _inside(area: Area, roi: Region | None) -> Area:
    if roi is None:
        return area
    cut = np.zeros_like(area)
    cut[roi.y0 : roi.y1, roi.x0 : roi.x1] = area[roi.y0 : roi.y1, roi.x0 : roi.x1]
    return cut
