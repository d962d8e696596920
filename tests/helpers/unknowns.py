"""A plant on which defects of kinds that nobody has named come up on two lines, and what the console knows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.codec import CONSOLE, keyed
from schemas.common import ImageRef, digest
from schemas.envelope import Received, Record
from schemas.ids import inspection_id
from schemas.model_set import ModelSetPointerV1, ModelSetV1
from schemas.policy import PointerV1, PolicyV1
from streams.review.clusters import borderline, to_look_at
from streams.wiring.adapters.database.store import Store
from streams.wiring.adapters.embeddings.intake import Intake
from tests.helpers.console import Browser, Desk
from tests.helpers.database import write
from tests.helpers.embeddings import embedding, fed, heap
from tests.helpers.evidence_log import T0_MS, Published, appended, log_of, play
from tests.helpers.history import EPOCH, version
from tests.helpers.judgement import PRODUCT, announced, anomaly, classification, image_ref, model_set, policy
from tests.helpers.labels import NOW
from tests.helpers.wait import wait_until

MODELS = model_set("anomaly", "classification")
RULES = policy()
UNSURE = {"good": 0.4, "scratch": 0.3, "dent": 0.3}


@dataclass(frozen=True, kw_only=True)
class Plant:
    """log: what the sink reads; embeddings: of the same parts, in their order. heaps: ids of the parts of each kind."""

    log: tuple[Received, ...]
    embeddings: tuple[Record, ...]
    heaps: tuple[tuple[str, ...], ...]

    @property
    def parts(self) -> list[str]:
        return [one for heap in self.heaps for one in heap]


def part(n: int, site: str = "plant") -> str:
    """On two lines in turns."""
    return str(inspection_id(f"{site}/line-{1 + n % 2}/cam-1", EPOCH, n))


def plant(*sizes: int, images: Sequence[ImageRef] = (), site: str = "plant", product: str = PRODUCT) -> Plant:
    """A kind for each size. images: of the parts, in their order."""
    rules, models = RULES.model_copy(update={"product": product}), MODELS.model_copy(update={"product": product})
    ids = [part(n, site) for n in range(sum(sizes))]
    vectors = [vector for kind, size in enumerate(sizes) for vector in heap(size, kind + 1)]
    ends = np.cumsum(sizes)
    heaps = tuple(tuple(ids[end - size : end]) for end, size in zip(ends, sizes, strict=True))
    refs = [images[n] if n < len(images) else image_ref(n) for n in range(len(ids))]
    log = log_of([event for n, one in enumerate(ids) for event in _seen(n, one, refs[n], (rules, models))])
    outputs, _ = play(log, Published(rules, models))
    verdicts = [record for record in outputs if record.topic == "verdict.v1"]
    said = [appended(record, i, T0_MS + 1000 * i) for i, record in enumerate([*_in_force(rules, models), *verdicts])]
    about = {"product": product, "model_set": digest(models), "policy": digest(rules)}
    embedded = [embedding(one, vector, **about) for one, vector in zip(ids, vectors, strict=True)]
    return Plant(log=(*log, *said), embeddings=tuple(embedded), heaps=heaps)


def _seen(n: int, inspection: str, image: ImageRef, by: tuple[PolicyV1, ModelSetV1]) -> list[tuple[float, Any]]:
    """Anomalous, with a strange corner, and of no class: `unknown_defect`."""
    rules, models = by
    heat = np.zeros((32, 32))
    heat[4:10, 4:12] = 2.0
    about = {"product": rules.product, "image": image}
    look = anomaly(inspection, models, score=2.0, heat=heat).model_copy(update={"p_value": 0.01, **about})
    kind = classification(inspection, models, UNSURE).model_copy(update=about)
    return [(n, announced(inspection, rules, models, serial=f"U{n}", product=rules.product)), (n + 0.1, look), (n + 0.2, kind)]


def _in_force(rules: PolicyV1, models: ModelSetV1) -> list[Record]:
    """The versions, and that they are in force."""
    place, said = f"current/{rules.product}", {"who": "m.weber", "why": "first"}
    both = (ModelSetPointerV1(digest=digest(models), **said), PointerV1(digest=digest(rules), **said))
    pointers = [keyed(one, id=f"{place}/{one.TYPE}", key=place, subject=place, time=NOW, source=CONSOLE) for one in both]
    return [version(rules), version(models), *pointers]


def settled(desk: Desk, found: Plant) -> Intake:
    """The sink has stored the plant's log, and the console read its embeddings."""
    write(Store(desk.engine), list(found.log))
    return fed(desk, found.embeddings)


def groups(desk: Desk) -> list[list[str]]:
    """Members of the clusters of now, sorted; the biggest cluster first."""
    wait_until(lambda: not desk.ports.unknowns.now()[1], 30, "clusters of what is unknown now")
    found, _ = desk.ports.unknowns.now()
    return [sorted(one.inspection for one in group.cluster.members) for group in found.groups]


def answers(desk: Desk, cluster: str, out: Sequence[str] = ()) -> dict[str, str]:
    """The fields of a form in which every doubtful member was looked at, and these taken out."""
    found = desk.ports.unknowns.find(cluster)
    assert found is not None
    ids = sorted(one.inspection for one in found.cluster.members)
    first = borderline(found.cluster, to_look_at(found.cluster))
    fields = {f"b-{ids.index(one)}": "out" if one in out else "in" for one in first}
    fields |= {f"o-{ids.index(one)}": "out" for one in out if one not in first}
    return {"cluster": cluster, "drawn_ms": str(int(desk.now.timestamp() * 1000) - 6000), **fields}


def biggest(desk: Desk) -> str:
    """Its digest, once the clusters are those of now."""
    groups(desk)
    return str(desk.ports.unknowns.now()[0].groups[0].cluster.id)


def named(desk: Desk, browser: Browser, **fields: Any) -> Any:
    """The biggest cluster gets a class: the answer to the form."""
    cluster = biggest(desk)
    form = {**answers(desk, cluster, fields.pop("out", ())), "why": "the same mark on all of them", **fields}
    return browser.post("/unknowns/name", form, page=f"/unknowns/cluster?id={cluster}")
