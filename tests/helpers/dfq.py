"""A small reader of the Q-DAS ASCII transfer format, written from its description and not from our writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

VARIABLE = ("K0001", "K0002", "K0004", "K0005", "K0006")
ATTRIBUTE = ("K0020", "K0021", "", *VARIABLE[1:])


@dataclass
class Characteristic:
    fields: dict[str, str] = field(default_factory=dict)
    values: list[dict[str, str]] = field(default_factory=list)

    @property
    def counts(self) -> list[tuple[float, int]]:
        """(subgroup size, errors) of an attribute."""
        return [(int(one["K0020"]) / 1000, int(one["K0021"])) for one in self.values]

    @property
    def measured(self) -> list[float]:
        return [float(one["K0001"]) for one in self.values]

    @property
    def times(self) -> list[datetime]:
        return [datetime.strptime(one["K0004"], "%d.%m.%Y/%H:%M:%S") for one in self.values]  # noqa: DTZ007 (local, no zone)


@dataclass
class Sheet:
    part: dict[str, str] = field(default_factory=dict)
    characteristics: dict[int, Characteristic] = field(default_factory=dict)
    groups: list[dict[str, str]] = field(default_factory=list)

    def named(self, key: str) -> Characteristic:
        (found,) = [one for one in self.characteristics.values() if one.fields["K2001"] == key]
        return found


def read_dfq(text: str) -> Sheet:
    """Raises ValueError, KeyError or AssertionError for what is no such file."""
    head, *lines = text.split("\r\n")
    assert lines.pop() == "", "the last line is not ended"
    assert head.startswith("K0100 ")
    sheet = Sheet()
    for line in lines:
        key, _, value = line.partition(" ")
        if line[0] != "K":
            _values(sheet, line)
        elif key.endswith("/0"):
            sheet.groups[-1][key[:5]] = value
        elif "/" in key:
            sheet.characteristics.setdefault(int(key[6:]), Characteristic()).fields[key[:5]] = value
        else:
            assert key not in sheet.part, f"{key} twice"
            sheet.part[key] = value
    assert sorted(sheet.characteristics) == list(range(1, int(head.split()[1]) + 1))
    return sheet


def _values(sheet: Sheet, line: str) -> None:
    cells = line.split("\x0f")
    assert len(cells) == len(sheet.characteristics)
    sheet.groups.append({})
    for i, cell in enumerate(cells, 1):
        one = sheet.characteristics[i]
        names = ATTRIBUTE if one.fields["K2004"] == "1" else VARIABLE
        found = dict(zip(names, cell.split("\x14"), strict=False))
        if found["K0002"] != "256":
            one.values.append(found)
