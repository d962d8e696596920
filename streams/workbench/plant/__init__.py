"""The simulated plant: parts with known defects, rendered from a seed, or replayed from a folder of real images."""

from __future__ import annotations

from streams.workbench.plant.line import plant, save, stations, training_set
from streams.workbench.plant.parts import Defect, Knobs, Labelled, Part, PlantStation, RenderedView
from streams.workbench.plant.products import PRODUCTS, Product, product_named

__all__ = [
    "PRODUCTS", "Defect", "Knobs", "Labelled", "Part", "PlantStation", "Product", "RenderedView",
    "plant", "product_named", "save", "stations", "training_set",
]  # fmt: skip
