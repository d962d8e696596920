"""What the plant calls its stations, lots and serials."""

from __future__ import annotations

import re

SITE = "plant-a"
LOT = 40  # parts
_STATION = re.compile(rf"{SITE}/line-([1-9][0-9]{{0,3}})/cam-1")


def station_name(line: int) -> str:
    return f"{SITE}/line-{line}/cam-1"


def line_number(station: str) -> int:
    """1, 2, ... Raises ValueError for a station that is not the plant's."""
    found = _STATION.fullmatch(station)
    if not found:
        raise ValueError(f"the plant has no station {station!r}; its stations are {station_name(1)}, {station_name(2)}, ...")
    return int(found[1])


def lot(product: str, station: str, n: int) -> str:
    return f"{product}-{line_number(station)}-{n // LOT:05d}"


def number(serial: str) -> int:
    """The n of the part that has this serial. Raises ValueError."""
    return int(serial.rpartition("-")[2])


def master(product: str, station: str, which: int) -> str:
    return f"golden-{product}-{line_number(station)}-{which:03d}"


def serial(product: str, station: str, n: int) -> str:
    return f"{product}-{line_number(station)}-{n:09d}"
