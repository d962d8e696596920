"""Makes parts: `plant(seed, station, n, knobs)` is the n-th part of a station, always the same one.

Chance is seeded by all that names a part, so a restart may go on at n + 1, and a reader may ask again what was true
of part n. A training set draws from another stream than the parts that run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from zlib import crc32

import numpy as np

from streams.workbench.plant import naming
from streams.workbench.plant.canvas import encode, finish, measure
from streams.workbench.plant.parts import GOOD, Defect, Knobs, Labelled, Mask, Part, PlantStation, RenderedView
from streams.workbench.plant.products import PRODUCTS, Product, product_named

_RUN, _TRAIN, _MASTER, _BURST = 1, 2, 3, 4
_SECOND = 0.08  # share of defective parts with two defects


def stations(lines: int = 3, product: str | None = None) -> tuple[PlantStation, ...]:
    """The plant's first stations, one a line; products take turns. product: only those that make it."""
    made = ((name, product_at(name)) for name in map(naming.station_name, itertools.count(1)))
    wanted = (PlantStation(name=name, product=one.name, views=one.views) for name, one in made if product in (None, one.name))
    return tuple(itertools.islice(wanted, lines))


def plant(seed: int, station: str, n: int, knobs: Knobs | None = None) -> Part:
    """The n-th part of a station. Raises ValueError for a station that the plant does not have."""
    knobs = knobs or Knobs()
    product = product_at(station)
    rng = np.random.default_rng([_RUN, seed, crc32(station.encode()), n])
    kinds = _kinds(rng, product, knobs, _run_of_bad(seed, station, n, knobs))
    views, defects = _pictures(rng, rng, product, kinds, knobs)
    return Part(
        station=station, n=n, product=product.name, lot=naming.lot(product.name, station, n),
        serial=naming.serial(product.name, station, n), views=views, defects=defects, mm_per_px=product.mm_per_px,
    )  # fmt: skip


def master(seed: int, station: str, which: int, n: int, knobs: Knobs | None = None, kinds: tuple[str, ...] = ()) -> Part:
    """The master `which` of a station, golden or with these defects, put before its cameras again as their n-th picture.

    The part and how it lies are the same every time; light, lens and sensor are those of the moment. The material batch and the
    wear of the tool that the knobs speak of are not its own.
    """
    knobs = replace(knobs or Knobs(), texture=0.0, wear=0.0)
    product = product_at(station)
    made = np.random.default_rng([_MASTER, seed, crc32(station.encode()), which])
    shot = np.random.default_rng([_MASTER, seed, crc32(station.encode()), which, n])
    views, defects = _pictures(made, shot, product, kinds, knobs)
    return Part(
        station=station, n=n, product=product.name, lot=naming.lot(product.name, station, n),
        serial=naming.master(product.name, station, which), views=views, defects=defects, mm_per_px=product.mm_per_px,
        purpose="challenge",
    )  # fmt: skip


def training_set(seed: int, product: str, per_class: int, good: int, knobs: Knobs | None = None) -> list[Labelled]:
    """`good` good parts with all their views, `per_class` defective views of every known kind, none of an unknown one. Masks are
    those of a product whose defects are measured.

    knobs.dirty_normals of the good parts are defective without anybody having noticed: their label is `good`.
    """
    knobs = knobs or Knobs()
    made = product_named(product)
    wanted = [(GOOD, good), *((kind, per_class) for kind in made.known)]
    return [item for kind, count in wanted for k in range(count) for item in _labelled(seed, made, kind, k, knobs)]


@dataclass(frozen=True, kw_only=True)
class SimulatedPlant:
    """The functions above with seed and knobs bound. product: only its lines; ValueError for one that the plant does not make."""

    seed: int
    knobs: Knobs = field(default_factory=Knobs)
    product: str | None = None

    def __post_init__(self) -> None:
        if self.product is not None:
            product_named(self.product)

    def stations(self, lines: int = 3) -> tuple[PlantStation, ...]:
        return stations(lines, self.product)

    def part(self, station: str, n: int) -> Part:
        return plant(self.seed, station, n, self.knobs)

    def training_set(self, product: str, per_class: int, good: int) -> list[Labelled]:
        return training_set(self.seed, product, per_class, good, self.knobs)


def product_at(station: str) -> Product:
    """What a station makes: the products take turns."""
    return list(PRODUCTS.values())[(naming.line_number(station) - 1) % len(PRODUCTS)]


def _run_of_bad(seed: int, station: str, n: int, knobs: Knobs) -> float | None:
    """The chance that a run of parts shares; None where every part has its own."""
    if knobs.burst == 1:
        return None
    return float(np.random.default_rng([_BURST, seed, crc32(station.encode()), n // knobs.burst]).random())


def _kinds(rng: np.random.Generator, product: Product, knobs: Knobs, shared: float | None = None) -> tuple[str, ...]:
    """What is wrong with the next part; mostly nothing. shared: the chance of its run."""
    chance, strange, second = rng.random(3)
    if (chance if shared is None else shared) >= knobs.defect_rate:
        return ()
    allowed = [[k for k in pool if knobs.kinds is None or k in knobs.kinds] for pool in (product.known, product.unknown)]
    known, unknown = allowed
    pool = unknown if unknown and (strange < knobs.unknown_share or not known) else known
    if not pool:
        return ()
    count = min(2 if second < _SECOND else 1, len(pool))
    return tuple(str(kind) for kind in rng.choice(pool, count, replace=False))


def _pictures(
    rng: np.random.Generator, shot: np.random.Generator, product: Product, kinds: tuple[str, ...], knobs: Knobs
) -> tuple[tuple[RenderedView, ...], tuple[Defect, ...]]:
    """rng: chance of the part and its place; shot: of light, lens and sensor."""
    views: list[RenderedView] = []
    defects: list[Defect] = []
    hurt = rng.integers(len(product.views), size=len(kinds))
    for index, name in enumerate(product.views):
        here = tuple(kind for kind, view in zip(kinds, hurt, strict=True) if view == index)
        clean, masks = product.draw(rng, name, here, knobs)
        image = finish(clean, shot, knobs)
        defects += [_defect(product, kind, name, mask) for kind, mask in zip(here, masks, strict=True)]
        views.append(
            RenderedView(name=name, encoded=encode(image, product.suffix), content_type=product.content_type, masks=masks)
        )
    return tuple(views), tuple(defects)


def _defect(product: Product, kind: str, view: str, mask: Mask) -> Defect:
    size, mm = measure(mask), product.mm_per_px
    return Defect(
        kind=kind, known=kind in product.known, view=view, length_mm=size.length * mm, width_mm=size.width * mm,
        area_mm2=size.area * mm * mm, x_mm=size.x * mm, y_mm=size.y * mm,
    )  # fmt: skip


def _labelled(seed: int, product: Product, kind: str, k: int, knobs: Knobs) -> Iterator[Labelled]:
    rng = np.random.default_rng([_TRAIN, seed, crc32(product.name.encode()), crc32(kind.encode()), k])
    dirty = kind == GOOD and rng.random() < knobs.dirty_normals
    true = () if kind == GOOD and not dirty else (kind if kind != GOOD else str(rng.choice(product.known)),)
    views, _ = _pictures(rng, rng, product, true, knobs)
    group = f"{product.name}-{kind}-{k:05d}"
    for view in views:
        if kind == GOOD or view.masks:
            mask = encode(view.masks[0], ".png") if view.masks and kind != GOOD and product.segmented else None
            yield Labelled(
                stem=f"{group}-{view.name}", suffix=product.suffix, encoded=view.encoded, kind=kind, group=group,
                view=view.name, mask=mask,
            )  # fmt: skip
