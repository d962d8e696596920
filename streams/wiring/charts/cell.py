"""A bar small enough for the cell of a table, as SVG: how long, and its interval. Its colours are those of the charts."""

from __future__ import annotations

_WIDTH, _HEIGHT = 100, 8


def cell_bar(value: float, most: float, colour: int, interval: tuple[float, float] | None = None) -> str:
    """value of `most`, which is the whole width; an interval is a line over the bar. most <= 0 shows an empty cell."""
    scale = _WIDTH / most if most > 0 else 0.0
    long = min(max(value * scale, 0.0), _WIDTH)
    shown = f'<rect x="0" y="1" width="{max(long, 0.6 if value > 0 else 0.0):.1f}" height="{_HEIGHT - 2}"/>'
    if interval is not None:
        low, high = (min(max(end * scale, 0.0), _WIDTH) for end in interval)
        shown += f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{_HEIGHT / 2}" y2="{_HEIGHT / 2}"/>'
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none"'
    return f'<svg class="cell c{colour}" {size} aria-hidden="true">{shown}</svg>'
