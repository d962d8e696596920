"""The simulated plant: parts with known defects, rendered from a seed, or replayed from a folder of real images."""

from __future__ import annotations

from streams.workbench.plant.folder import FolderPlant
from streams.workbench.plant.line import SimulatedPlant, master, plant, product_at, stations, training_set
from streams.workbench.plant.parts import GOOD, Defect, Knobs, Labelled, Part, Plant, PlantStation, RenderedView
from streams.workbench.plant.products import PRODUCTS, Product, product_named
from streams.workbench.plant.save import save

__all__ = [
    "GOOD", "PRODUCTS", "Defect", "FolderPlant", "Knobs", "Labelled", "Part", "Plant", "PlantStation", "Product",
    "RenderedView", "SimulatedPlant", "master", "plant", "product_at", "product_named", "save", "stations", "training_set",
]  # fmt: skip
