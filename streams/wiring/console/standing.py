"""The classes of a product as they stand: in force, put in force here and not stored yet, or known to the models alone.

What every page that names or labels classes goes by. Knows no page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.common import digest
from schemas.taxonomy import TaxonomyV1
from streams.review.changes import first
from streams.review.taxonomy import Lineage, lineage_of
from streams.wiring.console.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """taxonomy: what counts now, with its digest. versions: all that lead there. who, why, at: of the version that is stored.

    written: False while it is only what the models in force know: the first act publishes it. waiting: versions not stored yet.
    """

    taxonomy: TaxonomyV1
    digest: str
    versions: Mapping[str, TaxonomyV1]
    written: bool
    waiting: tuple[str, ...] = ()
    who: str | None = None
    why: str | None = None
    at: datetime | None = None

    def lineage(self) -> Lineage:
        return lineage_of(self.versions, self.digest)

    def called(self, id: str) -> str:
        """The class's name today, or the newest that it had."""
        found = self.taxonomy.find(id)
        return id if found is None else found.name


def standing(ports: Ports, product: str) -> Standing | None:
    """None: there is no such product. Raises Unavailable."""
    stored = ports.questions.taxonomy(product)
    ahead = ports.taxonomies.ahead(product, stored.digest if stored else None)
    versions = {**(stored.versions if stored else {}), **{digest(one): one for one in ahead}}
    if versions:
        current = ahead[-1] if ahead else stored.taxonomy  # type: ignore[union-attr]
        said = {"who": stored.who, "why": stored.why, "at": stored.at} if stored else {}
        return Standing(
            taxonomy=current, digest=digest(current), versions=versions, written=True, waiting=tuple(map(digest, ahead)), **said
        )
    known = ports.questions.served().get(product)
    if known is None:
        return None
    base = first(product, known.classes)
    return Standing(taxonomy=base, digest=digest(base), versions={digest(base): base}, written=False)
