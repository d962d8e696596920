"""Classes: what defects a product has, how far each is from being learned, and how the classes came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from schemas.taxonomy import ClassV1
from streams.review.changes import told
from streams.review.readiness import Readiness, readiness
from streams.review.taxonomy import Lineage, Today, meaning
from streams.wiring.console.ports import Ask
from streams.wiring.console.rendering import page
from streams.wiring.console.reviews import DECIDERS
from streams.wiring.console.standing import Standing, standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One class. labels that stand, and the physical parts that they are of. served: its model knows it."""

    one: ClassV1
    labels: int
    parts: int
    examples: Sequence[Any]
    ready: Readiness
    served: bool
    dispositions: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Labels whose class is no active one any more. why: retired, ambiguous, no_class, unknown_version."""

    why: str
    label: str | None
    candidates: tuple[str, ...]
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the history. waiting: not stored yet, so who and why are not known here."""

    said: str
    version: str
    act: Any | None


def show(ask: Ask) -> Response:
    return shown(ask, ask.asked("product"))


def shown(ask: Ask, product: str, status: int = 200, fault: str | None = None) -> Response:
    """product: empty for the first one."""
    served = ask.ports.questions.served()
    product = product or next(iter(served), "")
    now = standing(ask.ports, product) if product in served else None
    if now is None:
        return page(ask, "classes.html", 404 if product else 200, products=list(served), product="", asked=product[:80])
    lineage, said = now.lineage(), ask.ports.questions.labelled(product)
    return page(
        ask,
        "classes.html",
        status,
        products=list(served),
        product=product,
        now_in_force=now,
        cards=_cards(ask, product, served[product], now, lineage),
        retired=[one for one in now.taxonomy.classes if one.state == "retired"],
        lost=_lost(said, lineage, now),
        answers={answer: sum(one.n for one in said if one.answer == answer) for answer in ("good", "defect", "unsure")},
        proposals=_proposals(ask, product),
        steps=_history(ask, product, now),
        may_change=ask.person is not None and ask.person.role in DECIDERS,
        fault=fault,
        done=_words(now.digest, now) if ask.asked("done") == now.digest else None,
    )


def _cards(ask: Ask, product: str, served: Any, now: Standing, lineage: Lineage) -> list[Card]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for version, meanings in lineage.meanings.items():
        for label, today in meanings.items():
            if today.fate == "current" and today.label is not None:
                groups.setdefault(today.label, []).append((label, version))
    found = ask.ports.questions.gathered(product, groups)
    active = [one for one in now.taxonomy.classes if one.state == "active"]
    return [_card(one, found.get(one.id), served) for one in sorted(active, key=lambda one: one.name.casefold())]


def _card(one: ClassV1, found: Any | None, served: Any) -> Card:
    parts = found.parts if found else 0
    return Card(
        one=one,
        labels=found.labels if found else 0,
        parts=parts,
        examples=found.examples if found else (),
        ready=readiness(parts),
        served=one.id in served.classes,
        dispositions=served.dispositions.get(one.id, ()),
    )


def _lost(said: Sequence[Any], lineage: Lineage, now: Standing) -> list[Lost]:
    """Labels of defects that no active class has, by what became of theirs."""
    counts: dict[Today, tuple[str | None, int]] = {}
    for one in said:
        today = meaning(one.label, one.taxonomy, lineage)
        if one.answer == "defect" and today.fate != "current":
            label, n = counts.get(today, (one.label, 0))
            counts[today] = (label, n + one.n)
    return [
        Lost(why=today.fate, label=label and now.called(label), candidates=tuple(map(now.called, today.candidates)), n=n)
        for today, (label, n) in sorted(counts.items(), key=lambda pair: -pair[1][1])
    ]


def _proposals(ask: Ask, product: str) -> list[tuple[Any, bool]]:
    """(proposal, whether it was decided here and is not stored yet)."""
    decided = ask.ports.taxonomies.decided(product)
    return [(one, one.fate == "open" and one.id in decided) for one in ask.ports.questions.proposals(product)]


def _history(ask: Ask, product: str, now: Standing) -> list[Step]:
    """The newest first: acts on versions, as act.v1 has them, and what is on its way to it."""
    acts = ask.ports.questions.taxonomy_acts(product)
    stored = {act.digest for act in acts}
    ahead = [version for version in reversed(now.waiting) if version not in stored]
    waiting = [Step(said=_words(version, now), version=version, act=None) for version in ahead]
    return [*waiting, *(Step(said=_said_by(act, now), version=act.digest, act=act) for act in acts)]


def _said_by(act: Any, now: Standing) -> str:
    return str(act.act).replace("_", " ") if act.act != "taxonomy_in_force" else _words(act.digest, now)


def _words(digest: str, now: Standing) -> str:
    version = now.versions.get(digest)
    return "a version that is not here" if version is None else told(version, now.versions.get(version.previous or ""))
