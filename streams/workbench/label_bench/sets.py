"""Images whose class is known, as embeddings: public sets from folders, and parts of the simulated plant. Computed once.

The plant: every part with one defect or none of stations that make half of their parts defective, a third of those of kinds
that no training set holds, so that the six kinds of a product are about as frequent; a part is shown by the view that its
defect is in.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schemas.model_set import PreparationV1
from streams.capture.image import prepare
from streams.training.dataset import read_dataset
from streams.training.features import FloatArray
from streams.training.trunk import load_trunk
from streams.workbench.plant.line import plant
from streams.workbench.plant.naming import station_name
from streams.workbench.plant.parts import Knobs
from streams.workbench.plant.products import PRODUCTS

FOLDERS = ("neu_steel", "x_sdd")
PARTS, PLANT_SEED = 1500, 7
_KNOBS = Knobs(defect_rate=0.5, unknown_share=1 / 3)
Row = tuple[bytes, str, str]  # image, class, group


@dataclass(frozen=True, kw_only=True, eq=False)
class Classed:
    """embedding (n, 992); kind, group: (n,) of text."""

    name: str
    embedding: FloatArray
    kind: npt.NDArray[np.str_]
    group: npt.NDArray[np.str_]

    @property
    def classes(self) -> list[str]:
        return sorted(set(self.kind.tolist()))


def names() -> tuple[str, ...]:
    return (*FOLDERS, *(f"plant-{product}" for product in PRODUCTS))


def classed(name: str, data: Path, tell: Callable[[str], None]) -> Classed:
    """data: folder that holds the public sets. Kept in the folder for temporary files. Raises DataError."""
    kept = Path(tempfile.gettempdir()) / "verdictline-bench-labels" / f"{name}-{PARTS}-{PLANT_SEED}.npz"
    if not kept.is_file():
        tell(f"{name}: computing embeddings")
        rows = list(_of_plant(name.removeprefix("plant-")) if name.startswith("plant-") else _of_folder(data / name))
        images = [prepare(image, PreparationV1()) for image, _, _ in rows]
        embedding = load_trunk(threads=1).features(images, ("embedding",))["embedding"]
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = kept.with_name(f".{kept.name}")
        with made.open("wb") as file:
            np.savez(file, embedding=embedding, kind=[row[1] for row in rows], group=[row[2] for row in rows])
        made.rename(kept)
    with np.load(kept, allow_pickle=False) as arrays:
        return Classed(name=name, embedding=arrays["embedding"], kind=arrays["kind"], group=arrays["group"])


def _of_folder(folder: Path) -> Iterator[Row]:
    for item in read_dataset(folder).items:
        if item.kind != "good":
            yield item.read(), item.kind, item.group


def _of_plant(product: str) -> Iterator[Row]:
    station = station_name(1 + list(PRODUCTS).index(product))
    for n in range(PARTS):
        part = plant(PLANT_SEED, station, n, _KNOBS)
        if len(part.defects) < 2:
            hurt = part.defects[0].view if part.defects else part.views[0].name
            yield next(view.encoded for view in part.views if view.name == hurt), part.kinds[0], part.serial
