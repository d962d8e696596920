"""Labels about made-up plates, the models that they shall teach, and where their images lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.common import ImageRef, digest
from schemas.label import LabelledViewV1, LabelV1
from schemas.model_set import ModelSetV1
from schemas.policy import PolicyV1
from schemas.taxonomy import ClassV1, TaxonomyActV1, TaxonomyV1
from streams.fates import Unprocessable
from streams.review.labels import Shelf, shelve
from streams.review.taxonomy import Lineage, lineage_of
from streams.training.truth import Truth, truth
from streams.wiring.adapters.model_store import ModelStore
from streams.wiring.fitting import fit_to_store
from streams.wiring.learning import Candidate, Ground, learn
from tests.helpers.fits import plate, plates, png, trunk
from tests.helpers.labels import label, part

PRODUCT = "plate"
KINDS = ("line", "spot", "ring")
CLASSES = TaxonomyV1(product=PRODUCT, classes=tuple(ClassV1(id=kind, name=kind.title()) for kind in KINDS))


@dataclass
class Pictures:
    """Images by their SHA-256; one that is taken out is gone."""

    data: dict[str, bytes] = field(default_factory=dict)

    def put(self, data: bytes) -> ImageRef:
        sha256 = hashlib.sha256(data).hexdigest()
        self.data[sha256] = data
        return ImageRef(uri=f"file:///{sha256}", sha256=sha256, bytes=len(data), content_type="image/png")

    def read_now(self, ref: ImageRef) -> bytes:
        if ref.sha256 not in self.data:
            raise Unprocessable("image_gone", ref.uri)
        return self.data[ref.sha256]


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is in force, and where it lies."""

    store: ModelStore
    models: ModelSetV1
    policy: PolicyV1
    pictures: Pictures = field(default_factory=Pictures)

    def say(self, n: int, kind: str, *, seen: str | None = None, **changes: Any) -> LabelV1:
        """A label on the n-th part, of that kind; seen: what the picture shows, where it is something else."""
        shown = self.pictures.put(png(plate(1000 + n, seen or kind)[0]))
        answer = {"answer": "good"} if kind == "good" else {"answer": "defect", "label": kind, "taxonomy": digest(CLASSES)}
        view = LabelledViewV1(view="front", image=shown)
        values: dict[str, Any] = {"product": PRODUCT, "inspection": part(n), "serial": f"S{n}", "views": (view,), **answer}
        return label(n, **(values | changes))

    def ground(self, latest: ModelSetV1 | None = None, lineage: Lineage | None = None) -> Ground:
        return Ground(base=self.models, latest=latest or self.models, policy=self.policy, lineage=lineage or of_classes())

    def learn(self, labels: Sequence[LabelV1], lineage: Lineage | None = None) -> Candidate:
        ground = self.ground(lineage=lineage)
        return learn(ground, known(labels, ground.lineage), self.store, self.pictures)


def fitted_line(folder: Path) -> Line:
    """Models of plates that are good, or have a line or a spot."""
    store = ModelStore(folder / "models")
    report = fit_to_store(plates(24, 8, masks=False), PRODUCT, store, trunk=trunk())
    return Line(store=store, models=report.model_set, policy=report.policy)


def of_classes(*versions: TaxonomyV1) -> Lineage:
    """The first ones, and what came after them."""
    all_ = (CLASSES, *versions)
    return lineage_of({digest(one): one for one in all_}, digest(all_[-1]))


def after(*acts: TaxonomyActV1, **classes: str) -> TaxonomyV1:
    """The next version. classes: id -> state, of all that are not active."""
    ids = [*KINDS, *(id for act in acts for id in act.into if id not in KINDS)]
    rows = tuple(ClassV1(id=id, name=id.title(), state=classes.get(id, "active")) for id in ids)
    return TaxonomyV1(product=PRODUCT, classes=rows, previous=digest(CLASSES), acts=acts)


def known(labels: Sequence[LabelV1], lineage: Lineage | None) -> Truth:
    return truth(shelve(Shelf(), labels), PRODUCT, lineage)


def rings(line: Line, count: int, first: int = 0) -> Iterator[LabelV1]:
    yield from (line.say(first + n, "ring") for n in range(count))
