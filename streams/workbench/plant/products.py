"""The table of products: what each shows, which damage a classifier is taught, and who draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from streams.workbench.plant import board, disc, weave
from streams.workbench.plant.parts import Image, Knobs, Mask

Draw = Callable[[np.random.Generator, str, tuple[str, ...], Knobs], tuple[Image, tuple[Mask, ...]]]


@dataclass(frozen=True, kw_only=True)
class Product:
    """known: kinds that a training set holds; unknown: kinds that only occur on the line. suffix: file format.

    segmented: the size of a defect decides, so a training set has masks.
    """

    name: str
    views: tuple[str, ...]
    known: tuple[str, ...]
    unknown: tuple[str, ...]
    mm_per_px: float
    suffix: str
    segmented: bool
    draw: Draw

    @property
    def content_type(self) -> str:
        return {".jpg": "image/jpeg", ".png": "image/png"}[self.suffix]


_ALL = (
    Product(
        name="disc", views=("face",), known=disc.KNOWN, unknown=disc.UNKNOWN, mm_per_px=disc.MM_PER_PX,
        suffix=".jpg", segmented=True, draw=disc.draw,
    ),
    Product(
        name="weave", views=("cloth",), known=weave.KNOWN, unknown=weave.UNKNOWN, mm_per_px=weave.MM_PER_PX,
        suffix=".jpg", segmented=False, draw=weave.draw,
    ),
    Product(
        name="board", views=board.VIEWS, known=board.KNOWN, unknown=board.UNKNOWN, mm_per_px=board.MM_PER_PX,
        suffix=".jpg", segmented=True, draw=board.draw,
    ),
)  # fmt: skip
PRODUCTS: Mapping[str, Product] = MappingProxyType({product.name: product for product in _ALL})


def product_named(name: str) -> Product:
    """Raises ValueError for a product that the plant does not make."""
    if name not in PRODUCTS:
        raise ValueError(f"the simulated plant makes no {name!r}; it makes {', '.join(PRODUCTS)}")
    return PRODUCTS[name]
