"""A small made-up product to fit on: grey plates, some with a bright spot or a dark line. Fitted once a session."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from streams.training.dataset import GOOD, Dataset, Item
from streams.training.fit import Limits, fit_product
from streams.training.fitted import Fitted
from streams.training.trunk import Trunk, load_trunk

SIDE = 128
Image = npt.NDArray[np.uint8]


def plate(seed: int, kind: str) -> tuple[Image, Image]:
    """(grey picture, mask) of one plate; the mask of a good one is empty."""
    rng = np.random.default_rng([seed, len(kind)])
    picture = rng.normal(120, 6, (SIDE, SIDE)).astype(np.float32)
    picture = cv2.GaussianBlur(picture, (0, 0), 1.2) + np.linspace(-8, 8, SIDE, dtype=np.float32) * rng.normal()
    mask = np.zeros((SIDE, SIDE), np.uint8)
    x, y = (int(v) for v in rng.integers(30, SIDE - 30, 2))
    if kind == "spot":
        cv2.circle(mask, (x, y), 12, 255, -1)
    elif kind == "line":
        cv2.line(mask, (x - 20, y - 15), (x + 20, y + 15), 255, 5)
    elif kind == "ring":
        cv2.circle(mask, (x, y), 20, 255, 4)
    picture[mask > 0] += -70 if kind == "line" else 70
    return np.clip(picture, 0, 255).astype(np.uint8), mask


def png(image: Image) -> bytes:
    return bytes(cv2.imencode(".png", image)[1])


def item(seed: int, kind: str, *, masks: bool = True, view: str = "v1") -> Item:
    picture, mask = plate(seed, kind)
    return Item(
        name=f"{kind}-{seed}",
        kind=kind,
        group=f"{kind}-{seed // 2}",  # two pictures of each part
        view=view,
        data=png(picture),
        mask=png(mask) if masks and kind != GOOD else None,
    )


def plates(good: int, defects: int, *, masks: bool = True) -> Dataset:
    counts = {GOOD: good, "line": defects, "spot": defects}
    views = ("front", "back")
    return Dataset(
        items=tuple(
            item(seed, kind, masks=masks, view=views[seed % 2]) for kind, count in counts.items() for seed in range(count)
        )
    )


@cache
def trunk() -> Trunk:
    return load_trunk()


@cache
def fitted() -> Fitted:
    """All three models."""
    return fit_product(plates(24, 8), "plate", trunk(), seed=3, limits=Limits(masks=8))
