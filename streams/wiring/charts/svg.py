"""One chart as SVG: layers over two axes. Colours come from a style sheet that knows light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Self
from zlib import crc32

from streams.wiring.charts.axis import Axis

COLOURS = 7
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 40, 44
_ROW = 18
_CHAR = 6.6  # px, of the labels' font
STYLE = """
.chart{--ink:#1b1f24;--soft:#5b6570;--grid:#e3e7eb;--paper:#fff;--bad:#c62828;font:12px system-ui,sans-serif}
.c0{--c:#0072b2}.c1{--c:#d55e00}.c2{--c:#009e73}.c3{--c:#a64d79}.c4{--c:#b07d00}.c5{--c:#3a9bd9}.c6{--c:#6b6b6b}
@media (prefers-color-scheme:dark){.chart{--ink:#e8ebee;--soft:#a3adb7;--grid:#333b44;--paper:#161a1f;--bad:#ff7b72}
.c0{--c:#58a6ff}.c1{--c:#ff9e57}.c2{--c:#3fc796}.c3{--c:#e08ab8}.c4{--c:#e3b341}.c5{--c:#8ecdf7}.c6{--c:#a0a0a0}}
@media print{.chart{--ink:#000;--soft:#333;--grid:#ccc;--paper:#fff}}
.chart text{fill:var(--ink)}.chart .soft{fill:var(--soft)}.chart .title{font-size:14px;font-weight:600}
.chart .grid{stroke:var(--grid);stroke-width:1}.chart .paper{fill:var(--paper)}
.chart .line{fill:none;stroke:var(--c);stroke-width:1.8;stroke-linejoin:round}
.chart .bar{fill:var(--c);fill-opacity:.38}.chart .outline{fill:none;stroke:var(--c);stroke-width:1.6}
.chart .dot{fill:var(--c)}.chart .err{stroke:var(--c);stroke-width:1.4}.chart .band{fill:var(--c);fill-opacity:.15}
.chart .mark{stroke:var(--bad);stroke-width:1.3}.chart .marktext{fill:var(--bad)}
.chart .dashed{stroke-dasharray:5 4;stroke-width:1.3}.chart .sign{fill:var(--bad);stroke:var(--paper);stroke-width:1}
.chart .limit{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:5 4}
""".strip().replace("\n", "")


@dataclass(kw_only=True)
class Chart:
    """Layers are drawn in the order in which they are added; the methods return the chart itself.

    title, about: what a person, and a screen reader, is told. colour: 0 to 6, the same number is the same colour everywhere.
    """

    title: str
    about: str
    x: Axis
    y: Axis
    width: int = 760
    height: int = 300
    _layers: list[str] = field(default_factory=list)
    _legend: list[tuple[str, int]] = field(default_factory=list)
    _marks: int = 0

    def line(self, xs: Sequence[float], ys: Sequence[float], label: str, colour: int) -> Self:
        points = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in zip(xs, ys, strict=True))
        return self._add(f'<polyline class="line c{colour % COLOURS}" points="{points}"/>', label, colour)

    def dashes(self, xs: Sequence[float], ys: Sequence[float], label: str, colour: int) -> Self:
        """A line that is no measurement: a limit that goes along with the points."""
        points = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in zip(xs, ys, strict=True))
        return self._add(f'<polyline class="line dashed c{colour % COLOURS}" points="{points}"/>', label, colour)

    def bars(self, edges: Sequence[float], heights: Sequence[float], label: str, colour: int) -> Self:
        """One bar between neighbouring edges, from y = 0; one edge more than heights."""
        if len(edges) != len(heights) + 1:
            raise ValueError(f"{len(edges)} edges for {len(heights)} bars: there must be one more")
        base, made = self._y(max(0.0, self.y.low)), []
        for left, right, height in zip(edges, edges[1:], heights, strict=False):
            x0, x1, top = self._x(left), self._x(right), self._y(height)
            made.append(f'<rect x="{x0:.1f}" y="{top:.1f}" width="{max(x1 - x0, 0.5):.1f}" height="{max(base - top, 0):.1f}"/>')
        return self._add(f'<g class="bar c{colour % COLOURS}">{"".join(made)}</g>', label, colour)

    def steps(self, edges: Sequence[float], heights: Sequence[float], label: str, colour: int) -> Self:
        """The outline of bars."""
        places = [f"M{self._x(edges[0]):.1f},{self._y(max(0.0, self.y.low)):.1f}"]
        for left, right, height in zip(edges, edges[1:], heights, strict=False):
            places.append(f"L{self._x(left):.1f},{self._y(height):.1f}L{self._x(right):.1f},{self._y(height):.1f}")
        places.append(f"L{self._x(edges[-1]):.1f},{self._y(max(0.0, self.y.low)):.1f}")
        return self._add(f'<path class="outline c{colour % COLOURS}" d="{"".join(places)}"/>', label, colour)

    def points(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        label: str,
        colour: int,
        intervals: Sequence[tuple[float, float] | None] = (),
    ) -> Self:
        """Dots, with vertical intervals where they are given."""
        made = []
        for index, (x, y) in enumerate(zip(xs, ys, strict=True)):
            px = self._x(x)
            if index < len(intervals) and (interval := intervals[index]) is not None:
                low, high = (self._y(value) for value in interval)
                made.append(f'<line class="err" x1="{px:.1f}" x2="{px:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
            made.append(f'<circle class="dot" cx="{px:.1f}" cy="{self._y(y):.1f}" r="3.4"/>')
        return self._add(f'<g class="c{colour % COLOURS}">{"".join(made)}</g>', label, colour)

    def signs(self, xs: Sequence[float], ys: Sequence[float], texts: Sequence[str]) -> Self:
        """Points that somebody must look at: diamonds, told apart from dots by their shape, each with a word."""
        for x, y, text in zip(xs, ys, texts, strict=True):
            px, py = self._x(x), self._y(y)
            right = px + _CHAR * len(text) + 12 > self.width - _RIGHT
            place = f'x="{px - 9:.1f}" text-anchor="end"' if right else f'x="{px + 9:.1f}"'
            self._layers.append(
                f'<path class="sign" d="M{px:.1f},{py - 6.5:.1f}l6.5,6.5l-6.5,6.5l-6.5,-6.5z"/>'
                f'<text class="marktext" y="{max(py - 3, _TOP + 10):.1f}" {place}>{escape(text)}</text>'
            )
        return self

    def band(self, low: float, high: float, label: str, colour: int) -> Self:
        """A range of x, from top to bottom."""
        x0, x1 = self._x(low), self._x(high)
        shape = f'x="{x0:.1f}" y="{_TOP}" width="{x1 - x0:.1f}" height="{self.height - _TOP - _BOTTOM}"'
        return self._add(f'<rect class="band c{colour % COLOURS}" {shape}/>', label, colour)

    def mark(self, x: float, text: str) -> Self:
        """Something that happened at x."""
        px, row = self._x(x), _TOP + 30 + 13 * (self._marks % 5)
        self._marks += 1
        right = px + _CHAR * len(text) + 8 > self.width
        place = f'x="{px - 4:.1f}" text-anchor="end"' if right else f'x="{px + 4:.1f}"'
        self._layers.append(
            f'<line class="mark" x1="{px:.1f}" x2="{px:.1f}" y1="{_TOP}" y2="{self.height - _BOTTOM}"/>'
            f'<text class="marktext" y="{row}" {place}>{escape(text)}</text>'
        )
        return self

    def limit(self, y: float, text: str) -> Self:
        """A level that matters."""
        py = self._y(y)
        self._layers.append(
            f'<line class="limit" x1="{_LEFT}" x2="{self.width - _RIGHT}" y1="{py:.1f}" y2="{py:.1f}"/>'
            f'<text class="soft" x="{_LEFT + 4}" y="{py - 4:.1f}">{escape(text)}</text>'
        )
        return self

    def svg(self) -> str:
        """A whole SVG document. Layers outside the axes are cut off."""
        rows = self._legend_rows()
        height = self.height + _ROW * len(rows)
        name = f"clip{crc32(self.title.encode()):08x}"
        area = f'x="{_LEFT}" y="{_TOP}" width="{self.width - _LEFT - _RIGHT}" height="{self.height - _TOP - _BOTTOM}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" viewBox="0 0 {self.width} {height}" '
            f'width="{self.width}" height="{height}"><title>{escape(self.title)}</title><desc>{escape(self.about)}</desc>'
            f'<style>{STYLE}</style><clipPath id="{name}"><rect {area}/></clipPath>'
            f'<rect class="paper" width="{self.width}" height="{height}"/>'
            f'<text class="title" x="{_LEFT}" y="22">{escape(self.title)}</text>'
            f'{self._axes()}<g clip-path="url(#{name})">{"".join(self._layers)}</g>{"".join(rows)}</svg>'
        )

    def _add(self, layer: str, label: str, colour: int) -> Self:
        self._layers.append(layer)
        if label and (label, colour) not in self._legend:
            self._legend.append((label, colour))
        return self

    def _x(self, value: float) -> float:
        return _LEFT + self.x.share(value) * (self.width - _LEFT - _RIGHT)

    def _y(self, value: float) -> float:
        return self.height - _BOTTOM - self.y.share(value) * (self.height - _TOP - _BOTTOM)

    def _axes(self) -> str:
        made = []
        for value, text in self.y.ticks(5):
            py = self._y(value)
            made.append(f'<line class="grid" x1="{_LEFT}" x2="{self.width - _RIGHT}" y1="{py:.1f}" y2="{py:.1f}"/>')
            made.append(f'<text class="soft" x="{_LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{escape(text)}</text>')
        for value, text in self.x.ticks(8):
            px, bottom = self._x(value), self.height - _BOTTOM
            made.append(f'<line class="grid" x1="{px:.1f}" x2="{px:.1f}" y1="{bottom}" y2="{bottom + 4}"/>')
            made.append(f'<text class="soft" x="{px:.1f}" y="{bottom + 17}" text-anchor="middle">{escape(text)}</text>')
        middle = (_LEFT + self.width - _RIGHT) / 2
        made.append(
            f'<text class="soft" x="{middle:.0f}" y="{self.height - 8}" text-anchor="middle">{escape(self.x.label)}</text>'
        )
        made.append(
            f'<text class="soft" transform="translate(14 {(self.height - _BOTTOM + _TOP) / 2:.0f}) rotate(-90)" '
            f'text-anchor="middle">{escape(self.y.label)}</text>'
        )
        return "".join(made)

    def _legend_rows(self) -> list[str]:
        rows: list[list[str]] = [[]]
        at = float(_LEFT)
        for label, colour in self._legend:
            wide = 24 + _CHAR * len(label)
            if at + wide > self.width - _RIGHT and rows[-1]:
                rows.append([])
                at = float(_LEFT)
            y = self.height + _ROW * len(rows) - 8
            rows[-1].append(
                f'<rect class="c{colour % COLOURS}" style="fill:var(--c)" x="{at:.0f}" y="{y - 9}" width="12" height="9" rx="2"/>'
                f'<text x="{at + 16:.0f}" y="{y}">{escape(label)}</text>'
            )
            at += wide
        return ["".join(row) for row in rows if row]
