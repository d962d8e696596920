"""Published data of control charts. Each series with its book; the expected numbers stand in the tests."""

from __future__ import annotations

from streams.monitors.spc.attributes import Count


def counts(numbers: list[int], sizes: list[float] | float) -> list[Count]:
    """Subgroups named 1, 2, ... as the books number them."""
    each = sizes if isinstance(sizes, list) else [sizes] * len(numbers)
    return [Count(subgroup=str(i), count=n, size=size) for i, (n, size) in enumerate(zip(numbers, each, strict=True), start=1)]


def words(text: str) -> list[int]:
    return [int(word) for word in text.split()]


# Orange-juice cans, 50 a sample: D. Montgomery, Introduction to Statistical Quality Control; NIST e-Handbook 6.3.3.2.
ORANGE = counts(words("12 15 8 10 4 7 16 9 14 10 5 6 17 12 22 8 10 5 13 11 20 18 24 15 9 12 7 13 9 6"), 50)
ORANGE_AFTER = counts(words("9 6 12 5 6 4 6 3 7 6 2 4 3 6 5 4 8 5 6 7 5 6 3 5"), 50)
# Bruised peaches: T. Pyzdek, Handbook for Quality Management, table 9.6.
PEACHES = counts(
    words("47 42 55 51 46 61 39 44 41 51 88 101 101 40 48 47 50 48 57 45 43 105 98 100 96"),
    [500 if 11 <= i <= 13 or i >= 22 else 250 for i in range(1, 26)],
)
# NHS emergency attendances seen within four hours, by week: M. Mohammed et al. 2013; R qicharts2 `nhs_accidents`.
_NHS = """266501/280443 264225/276823 276532/291681 281461/296155 269071/282343 261215/275888 270409/283867 279778/295251
270483/284468 270320/282529 267923/279618 271478/283932 255353/266629 256820/268091 261835/276803 259144/271578 255910/266005
260863/273520 264465/278574 260989/273772"""
NHS = counts([int(pair.split("/")[0]) for pair in _NHS.split()], [int(pair.split("/")[1]) for pair in _NHS.split()])
# Defects on wafers: NIST e-Handbook 6.3.3.1.
WAFERS = counts(words("16 14 28 16 12 20 10 12 10 17 19 17 14 16 15 13 14 16 11 20 11 19 16 31 13"), 1)
# Defects of dyed cloth on so many units: Montgomery; R qcc.
CLOTH = counts(words("14 12 20 11 7 10 21 16 19 23"), [10, 8, 13, 10, 9.5, 10, 12, 10.5, 12, 12.5])
# Flow rate, individuals: NIST e-Handbook 6.3.2.2.
FLOW = [float(word) for word in "49.6 47.6 49.9 51.3 47.8 51.2 52.6 52.4 53.6 52.1".split()]
# Piston rings, mm, five a subgroup; thousandths above 73.9: Montgomery; R qcc.
_RINGS = """130 102 119 92 108; 95 92 101 111 104; 88 124 121 105 102; 102 96 93 115 109; 92 107 115 89 114; 109 94 97 85 93;
95 106 94 100 105; 85 103 93 115 88; 108 95 109 105 104; 98 100 90 107 95; 94 98 94 95 90; 104 100 107 100 96; 83 102 98 97 112;
106 67 94 100 84; 112 114 98 99 107; 100 84 105 98 96; 94 112 86 105 107; 106 110 118 103 100; 84 102 103 105 97;
100 110 113 120 103; 88 101 109 105 96; 104 99 90 106 109; 110 89 90 109 114; 115 108 93 100 110; 82 84 95 117 113"""
RINGS = [[73.9 + k / 1000 for k in words(row)] for row in _RINGS.split(";")]
