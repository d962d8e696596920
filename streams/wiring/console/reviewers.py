"""Reviewers as a gauge: against challenge parts, and against each other. For engineers: no list of merits, a measuring system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from streams.review import gauge
from streams.review.claims import Said
from streams.review.taxonomy import Lineage, meaning
from streams.wiring.console.ports import Ask
from streams.wiring.console.rendering import page
from streams.wiring.console.standing import standing

UNNAMED = "a defect, unnamed"


def show(ask: Ask) -> Response:
    known, several = ask.ports.questions.known_answers(), ask.ports.questions.several_opinions()
    said = [*(one.said for one in known), *(one for opinions in several for one in opinions)]
    lineages = _lineages(ask, {one.product for one in said})
    answers = [
        gauge.Known(part=one.part, said=_called(one.said, lineages), label=(one.truth or UNNAMED) if one.bad else None)
        for one in known
    ]
    reviews = [[_said(one, lineages) for one in opinions] for opinions in several]
    return page(
        ask,
        "reviewers.html",
        people=gauge.reviewers(answers, reviews),
        pairs=gauge.pairs(reviews),
        parts=len({one.part for one in known}),
        showings=len(known),
        reviews=len(reviews),
        together={n: gauge.together(reviews, n) for n in (2, 3)},
        unnamed=UNNAMED,
    )


def _lineages(ask: Ask, products: set[str]) -> dict[str, Lineage]:
    found = {product: standing(ask.ports, product) for product in products}
    return {product: one.lineage() for product, one in found.items() if one is not None}


def _called(one: Any, lineages: Mapping[str, Lineage]) -> Said:
    """With a class of its own for a kind that has no name."""
    said = _said(one, lineages)
    return replace(said, label=UNNAMED) if said.answer == "defect" and said.label is None else said


def _said(one: Any, lineages: Mapping[str, Lineage]) -> Said:
    """Classes as they are today: two who said the same before and after a merge agree."""
    today = meaning(one.label, one.taxonomy, lineages[one.product]) if one.product in lineages else None
    label = today.label if today is not None and today.label is not None else one.label
    return Said(who=one.who, answer=one.answer, label=label)
