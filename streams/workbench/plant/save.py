"""Writes pictures to fit on as a folder: `good/`, `defect/<kind>/`, `masks/<kind>/<stem>.png`, groups.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streams.workbench.plant.parts import GOOD, Labelled


def save(items: Sequence[Labelled], folder: Path) -> None:
    """Write `good/`, `defect/<kind>/`, `masks/<kind>/<stem>.png` and groups.csv, as a fit reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["stem,group,class,view"]
    for item in items:
        place = folder / GOOD if item.kind == GOOD else folder / "defect" / item.kind
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{item.stem}{item.suffix}").write_bytes(item.encoded)
        if item.mask is not None:
            (folder / "masks" / item.kind).mkdir(parents=True, exist_ok=True)
            (folder / "masks" / item.kind / f"{item.stem}.png").write_bytes(item.mask)
        rows.append(f"{item.stem},{item.group},{item.kind},{item.view}")
    (folder / "groups.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
