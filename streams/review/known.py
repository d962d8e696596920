"""Parts whose answer is known, mixed into what a person is given to review: when, which, and to whom not again. Pure.

When: `answers_between` answers of the person lie before the first one and between any two, so of all that somebody answers they
are at most the share, at every moment. After that each part that would come next is a draw, and one in ten is exchanged: about
1 / (1/share + 10) of all. A draw is a hash of the person and of the part that would have come, which is written down with it.
So it can be repeated; who reviews cannot foresee it, as nobody tells them what would have come.

Which: one that the person has not had for REST, whatever inspection showed it: who remembers a part is not tested by it. Among
those the first by another such hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Protocol, TypeVar

REST = timedelta(days=90)
ODDS = 0.1
_CARE = 1e-9  # 1 / 0.02 may be 50.000000000000007


class Candidate(Protocol):
    """inspection: one showing; part: what is shown, the same in every showing of it."""

    @property
    def inspection(self) -> str: ...
    @property
    def part(self) -> str: ...


C = TypeVar("C", bound=Candidate)


def answers_between(share: float) -> int:
    """At least so many answers lie between two of them. share: above 0 (ValueError), at most 1."""
    if not 0 < share <= 1:
        raise ValueError(f"a share of {share}: give one above 0 and at most 1")
    return ceil(1 / share - _CARE)


def is_due(who: str, instead_of: str, answers: int, share: float) -> bool:
    """Whether this person gets one now. instead_of: the inspection that would come; answers: theirs since the last one, or ever.

    share: 0: never.
    """
    return share > 0 and answers >= answers_between(share) and _hash(f"{who}/{instead_of}", b"known") < ODDS * 2**64


def in_order(who: str, candidates: Sequence[C], had_us: Mapping[str, int], now_us: int) -> list[C]:
    """Those that this person may get, the first to be given first. had_us: part -> when they last had it, microseconds."""
    rest_us = REST // timedelta(microseconds=1)
    free = [one for one in candidates if one.part not in had_us or now_us - had_us[one.part] >= rest_us]
    return sorted(free, key=lambda one: _hash(f"{who}/{one.inspection}", b"which"))


def _hash(text: str, person: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, person=person).digest(), "big")
