"""Stations, inspections and deterministic event ids. The same thing always gets the same id."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import StringConstraints

_PART = r"[a-z0-9_-]{1,63}"
STATION_PATTERN = rf"^{_PART}/{_PART}/{_PART}$"
INSPECTION_PATTERN = rf"^{_PART}/{_PART}/{_PART}:[0-9]{{1,15}}-[0-9]{{12}}$"
NAME_PATTERN = rf"^{_PART}$"
DIGEST_PATTERN = r"^[0-9a-f]{64}$"

Station = Annotated[str, StringConstraints(pattern=STATION_PATTERN)]
Inspection = Annotated[str, StringConstraints(pattern=INSPECTION_PATTERN)]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Digest = Annotated[str, StringConstraints(pattern=DIGEST_PATTERN)]

_STATION = re.compile(STATION_PATTERN)
_INSPECTION = re.compile(rf"^({_PART}/{_PART}/{_PART}):([0-9]{{1,15}})-([0-9]{{12}})$")
LAST_N = 10**12 - 1


class InspectionId(NamedTuple):
    """station: site/line/station; epoch: ms since 1970 when the outbox was minted; n: gapless from 0 in it."""

    station: str
    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.station}:{self.epoch}-{self.n:012d}"

    @property
    def sequence(self) -> str:
        """Sorts as text in the order of (epoch, n): the `ce_sequence` attribute."""
        return f"{self.epoch:015d}-{self.n:012d}"


def inspection_id(station: str, epoch: int, n: int) -> InspectionId:
    """Raises ValueError for a malformed station or a number outside its digits."""
    if not 0 <= n <= LAST_N or not 0 <= epoch < 10**15:
        raise ValueError(f"epoch {epoch}, n {n}: outside 15 and 12 digits")
    return InspectionId(station_path(station), epoch, n)


def parse_inspection(text: str) -> InspectionId:
    """Raises ValueError."""
    found = _INSPECTION.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no inspection id (site/line/station:epoch-n)")
    return InspectionId(found[1], int(found[2]), int(found[3]))


def station_path(text: str) -> str:
    """The text itself. Raises ValueError where it is not site/line/station in lower case."""
    if not _STATION.fullmatch(text):
        raise ValueError(f"{text!r} is no station: write site/line/station, each of a-z, 0-9, '_' and '-'")
    return text


def evidence_id(inspection: str, kind: str, *, view: str | None = None, model_set: str | None = None) -> str:
    """`inspection[/view]/kind[/model set]`."""
    return "/".join(part for part in (inspection, view, kind, model_set) if part is not None)


def verdict_id(inspection: str, revision: int) -> str:
    return f"{inspection}/{revision}"
