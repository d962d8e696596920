"""Embeddings whose parts have no verdict yet: a bounded ring in memory. Knows no Kafka and no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.review.keeping import Kept
from streams.wiring.adapters.embeddings.record import Embedded

Place = tuple[str, int]
ROOM = 8192  # 21 MB of 1280 values each
PATIENCE_US = 900 * 10**6  # of the sink's time: a part that has no verdict by then gets none


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What the sink's database says of one part. judged: it has a verdict, or a label. kept: what it stands for, if anything.

    p_values: of its views, how strange they are to the anomaly model.
    """

    judged: bool
    kept: Kept | None
    p_values: Mapping[str, float] = field(default_factory=dict)


class Waiting:
    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._held: dict[tuple[str, str], tuple[Embedded, Place, int]] = {}

    def __len__(self) -> int:
        return len(self._held)

    @property
    def full(self) -> bool:
        return len(self._held) >= self._room

    def add(self, one: Embedded, place: Place, offset: int) -> None:
        """Of two of one view the first counts, as it does for triage."""
        self._held.setdefault((one.inspection, one.view), (one, place, offset))

    def inspections(self) -> list[str]:
        return list({inspection for inspection, _ in self._held})

    def settled(self, now: Mapping[str, Now], clock_us: int) -> tuple[list[tuple[Embedded, Now]], list[Embedded]]:
        """(worth keeping, not) of those whose part is judged, or too old to be. They stay until `forget`."""
        keep, drop = list[tuple[Embedded, Now]](), list[Embedded]()
        for one, _, _ in self._held.values():
            found = now.get(one.inspection)
            if found is not None and found.kept is not None:
                keep.append((one, found))
            elif (found is not None and found.judged) or one.at_ms * 1000 + PATIENCE_US < clock_us:
                drop.append(one)
        return keep, drop

    def forget(self, these: list[Embedded]) -> None:
        for one in these:
            self._held.pop((one.inspection, one.view), None)

    def positions(self, read: Mapping[Place, int], without: list[Embedded]) -> dict[Place, int]:
        """Where reading would have to go on to see all that is held, once `without` is done. read: as far as it has come."""
        found = dict(read)
        done = {(one.inspection, one.view) for one in without}
        for key, (_, place, offset) in self._held.items():
            if key not in done:
                found[place] = min(offset, found.get(place, offset))
        return found
