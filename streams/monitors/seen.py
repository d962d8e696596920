"""Which inspections of a score stream were counted: exact and small. Knows numbers, no score.

For each of the two newest epochs: the highest n and one bit for each of the 1,024 below it. What lies further down counts as
seen, so a copy is never counted twice; a first sighting is given up only where it comes after 1,024 later inspections.
"""

from __future__ import annotations

from dataclasses import dataclass

RECENT = 1024
EPOCHS = 2
_MASK = (1 << RECENT) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """One epoch. bits: bit i stands for top - i."""

    top: int
    bits: int

    def has(self, n: int) -> bool:
        behind = self.top - n
        return behind >= RECENT or (behind >= 0 and bool(self.bits >> behind & 1))

    def add(self, n: int) -> Numbers:
        if n > self.top:
            return Numbers(top=n, bits=(self.bits << (n - self.top) | 1) & _MASK if n - self.top < RECENT else 1)
        return Numbers(top=self.top, bits=self.bits | 1 << (self.top - n))


@dataclass(frozen=True, slots=True)
class Seen:
    """(epoch, numbers), oldest first."""

    epochs: tuple[tuple[int, Numbers], ...] = ()

    def add(self, epoch: int, n: int) -> Seen | None:
        """With this inspection in it, None where it was there already (or is older than what is kept)."""
        known = dict(self.epochs)
        numbers = known.get(epoch)
        if numbers is None:
            if len(known) == EPOCHS and epoch < min(known):
                return None
            known[epoch] = Numbers(top=n, bits=1)
        elif numbers.has(n):
            return None
        else:
            known[epoch] = numbers.add(n)
        return Seen(tuple(sorted(known.items())[-EPOCHS:]))

    def dump(self) -> list[list[int | str]]:
        return [[epoch, numbers.top, f"{numbers.bits:x}"] for epoch, numbers in self.epochs]

    @classmethod
    def load(cls, data: list[list[int | str]]) -> Seen:
        return cls(tuple((int(epoch), Numbers(top=int(top), bits=int(str(bits), 16))) for epoch, top, bits in data))
