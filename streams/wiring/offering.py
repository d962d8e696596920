"""What stands between labels and a candidate: what is in force, what was said, whether that is enough; then the offer.

Shared by `verdictline learn` and whoever watches for it. Knows no command line.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from schemas.common import ImageRef, digest
from schemas.ids import Digest
from schemas.model_set import ModelSetV1
from schemas.policy import ClassRuleV1, PolicyV1
from streams.review.labels import Shelf, shelve
from streams.review.taxonomy import lineage_of
from streams.training.lesson import Gap, gaps
from streams.training.truth import Truth, truth
from streams.wiring.adapters.images import FileImages
from streams.wiring.adapters.labels import Said
from streams.wiring.adapters.model_store import ModelStore
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.shelf import where_of
from streams.wiring.learned.page import html
from streams.wiring.learning import Candidate, Ground, NothingToLearn, learn, taught_to, write
from streams.wiring.looked import Kept, classifier


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Where candidates are made. triton: the server on this store; None: it finds the version when it starts."""

    registry: Registry
    store: ModelStore
    images: Kept
    pages: FileImages
    triton: str | None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A candidate that everybody can see and that is in force nowhere. policy: a starting point for its new classes."""

    digest: Digest
    message: ModelSetV1
    candidate: Candidate
    policy: PolicyV1
    page: Path


def ground_for(registry: Registry, said: Said, product: str, station: str | None) -> Ground:
    """Raises ValueError where nothing is in force there; Unavailable."""
    registry.refresh()
    where = where_of(product, station)
    pointer = registry.model_set_pointers().get(where)
    base = registry.model_set(pointer.digest) if pointer else None
    policy = registry.policy_for(product, station)
    if base is None or policy is None:
        missing = "no model set" if base is None else "no policy"
        raise ValueError(
            f"{where}: {missing} is in force there, so there is nothing to learn from: `verdictline fit` comes first"
        )
    current = said.current.get(product)
    lineage = None if current is None or current not in said.classes else lineage_of(said.classes, current)
    return Ground(base=base, latest=_latest(registry, base), policy=policy, lineage=lineage)


def offer(workshop: Workshop, said: Said, product: str, station: str | None, *, least: bool = True) -> Offer:
    """least: only where a class has as many new parts as it takes. Raises NothingToLearn and as `learn` and `write`."""
    ground = ground_for(workshop.registry, said, product, station)
    ground = _kept(ground, workshop.store)
    known = truth(shelve(Shelf(), said.labels), product, ground.lineage, station)
    insist_on_enough(gaps(taught_to(ground.latest, workshop.store), known, ground.lineage), known, least=least)
    candidate = learn(ground, known, workshop.store, workshop.images)
    refs: list[ImageRef] = []
    message, _ = write(
        candidate, workshop.store, workshop.triton, lambda stored: _page(html(candidate, stored), workshop.pages, refs)
    )
    found = workshop.registry.offer_model_set(message)
    return Offer(
        digest=found,
        message=message,
        candidate=candidate,
        policy=with_new_classes(ground.policy, candidate),
        page=workshop.pages.root / refs[0].sha256[:2] / refs[0].sha256,
    )


def insist_on_enough(found: list[Gap], known: Truth, *, least: bool) -> None:
    """Raises NothingToLearn with what there is, and what is missing."""
    if not found:
        left = sum(known.left_out.values())
        raise NothingToLearn(
            f"nothing new has been said since the last candidate{f' ({left} labels say no class)' if left else ''}"
        )
    if least and not any(gap.due for gap in found):
        raise NothingToLearn("not enough yet: " + "; ".join(gap.said for gap in found))


def with_new_classes(policy: PolicyV1, candidate: Candidate) -> PolicyV1:
    """The policy in force, with a rule for each new class: review, from its suggested threshold on, until somebody decides."""
    fresh = {
        name: ClassRuleV1(threshold=candidate.thresholds[name], disposition="review")
        for name in candidate.model.classes
        if name not in policy.classes
    }
    return PolicyV1.model_validate({**policy.model_dump(exclude_none=True), "classes": {**policy.classes, **fresh}})


def newest_candidate(registry: Registry, base: ModelSetV1) -> ModelSetV1 | None:
    """Of those compared with `base`, the one whose classifier has the highest version."""
    own = digest(base)
    found = [one for one in registry.model_sets().values() if one.learned is not None and one.learned.base == own]
    return max(found, key=lambda one: classifier(one).ref.version, default=None)


def _latest(registry: Registry, base: ModelSetV1) -> ModelSetV1:
    return newest_candidate(registry, base) or base


def _kept(ground: Ground, store: ModelStore) -> Ground:
    """Without a candidate that was retired from the store."""
    ref = classifier(ground.latest).ref
    if ref.version in store.versions(ref.name):
        return ground
    return Ground(base=ground.base, latest=ground.base, policy=ground.policy, lineage=ground.lineage)


def _page(text: str, pages: FileImages, refs: list[ImageRef]) -> ImageRef:
    data = text.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    refs.append(ImageRef(uri=pages.put(data, sha256), sha256=sha256, bytes=len(data), content_type="text/html"))
    return refs[-1]
