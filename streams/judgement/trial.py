"""A policy tried on parts that were judged by others: what changes, what stays, what cannot be known. Pure; knows no database.

Before anything is compared, a part is judged once more by its own policy: where that does not give what was said then, its
evidence is no longer what it was, and it is left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.common import Disposition
from streams.judgement.retained import UNDECIDED, Undecided, Would

NONCONFORMING: frozenset[str] = frozenset({"rework", "scrap"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One part that would have got another disposition. truth: `good` or `defect`, where people said so."""

    inspection: str
    station: str
    serial: str | None
    lot: str | None
    was: Disposition
    would_be: Disposition
    truth: str | None = None


@dataclass(slots=True)
class Trial:
    """moves: (was, would be) -> parts, of those that could be judged. truths: (truth, was, would be) -> parts.

    undecided: by reason, and by what they were. left_out: parts that their own policy does not judge again as it did, by reason.
    """

    parts: int = 0
    moves: Counter[tuple[Disposition, Disposition]] = field(default_factory=Counter)
    truths: Counter[tuple[str, Disposition, Disposition]] = field(default_factory=Counter)
    undecided: Counter[tuple[Undecided, Disposition]] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)

    @property
    def judged(self) -> int:
        return self.moves.total()

    def was(self) -> Counter[Disposition]:
        """Of the parts that could be judged."""
        return _folded((was, n) for (was, _), n in self.moves.items())

    def would_be(self) -> Counter[Disposition]:
        return _folded((now, n) for (_, now), n in self.moves.items())

    def discordant(self, names: frozenset[str], truth: str | None = None) -> tuple[int, int]:
        """(only then, only now): parts that got one of these dispositions then and not now, and the other way round."""
        moves: Mapping[tuple[Disposition, Disposition], int] = self.moves
        if truth is not None:
            moves = {(was, now): n for (said, was, now), n in self.truths.items() if said == truth}
        only_then = sum(n for (was, now), n in moves.items() if was in names and now not in names)
        return only_then, sum(n for (was, now), n in moves.items() if now in names and was not in names)


def count(trial: Trial, recorded: Disposition, own: Would, new: Would, truth: str | None, parts: int = 1) -> bool:
    """Count parts that agree in all of this; whether they change. recorded: what revision 1 said."""
    trial.parts += parts
    if own in UNDECIDED or own != recorded:
        trial.left_out["not_reproduced" if own not in UNDECIDED else own] += parts
        return False
    if new == "not_measured" or new == "other_scale" or new == "heat_map_gone" or new == "policy_mismatch":
        trial.undecided[new, recorded] += parts
        return False
    trial.moves[recorded, new] += parts
    if truth is not None:
        trial.truths[truth, recorded, new] += parts
    return new != recorded


def _folded(pairs: Iterable[tuple[Disposition, int]]) -> Counter[Disposition]:
    found: Counter[Disposition] = Counter()
    for name, n in pairs:
        found[name] += n
    return found
