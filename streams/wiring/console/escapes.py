"""The live bound on escapes of each product, computed now and then and kept in between: pages and metrics read what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streams.metrics import ESCAPE_AUDITS, ESCAPE_BOUND, Row
from streams.review.escape_bound import PPM
from streams.review.escapes import Escapes, escapes
from streams.wiring.console.ports import Questions


def bounds(questions: Questions) -> dict[str, Escapes]:
    """By product, in the order of their names: whatever has a policy. Raises Unavailable."""
    fractions, passes = questions.audit_fractions(), questions.passes()
    by: dict[str, list[Any]] = {product: [] for product in sorted(fractions)}
    for one in passes:
        if one.product in by:
            by[one.product].append(one)
    return {product: escapes(hours, fractions[product]) for product, hours in by.items()}


class Kept:
    """`refresh` computes, on any thread; the rest only reads. Empty until it was computed once."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._found: Mapping[str, Escapes] = {}

    def refresh(self) -> None:
        """Raises Unavailable: what was found before stays."""
        self._found = bounds(self._questions)

    def found(self) -> Mapping[str, Escapes]:
        return self._found

    def export(self) -> None:
        """The metrics of this process say what is kept here."""
        ESCAPE_BOUND.follow(self._bound)
        ESCAPE_AUDITS.follow(self._audits)

    def _bound(self) -> Iterable[Row]:
        found = self._found.items()
        return [((product,), one.bound.ppm / PPM if one.bound and one.claimed else 1.0) for product, one in found]

    def _audits(self) -> Iterable[Row]:
        return [
            ((product, state), float(n))
            for product, one in self._found.items()
            for state, n in (("answered", one.answered), ("bad", one.found), ("waiting", one.waiting), ("lapsed", one.lapsed))
        ]


def silence(one: Escapes) -> str:
    """Why nothing is claimed."""
    if one.floor is None:
        return "no policy draws passes for audit (audit_fraction is 0)"
    if not one.answered:
        return "no audit has been answered yet"
    return "too few audits have been answered: all of these passes might be bad"
