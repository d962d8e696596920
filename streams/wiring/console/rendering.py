"""Templates to pages: what every page shows beside its own, and how numbers, times and references are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from schemas.envelope import from_millis
from streams.fates import Unavailable
from streams.wiring.console import security
from streams.wiring.console.ports import Ask

HOME = Path(__file__).parent
_JINJA = Environment(
    loader=FileSystemLoader(HOME / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
MENU: list[tuple[str, str, frozenset[str]]] = []


def page(ask: Ask, template: str, status: int = 200, **values: Any) -> Response:
    """A whole page. Whoever is not logged in gets the cookie that its forms are checked with."""
    visitor = security.visitor_token(ask.request, ask.ports.secure)
    csrf = ask.person.csrf if ask.person else visitor
    frame = {"person": ask.person, "csrf": csrf, "menu": _menu(ask), "path": ask.request.url.path, "now": ask.now, **_state(ask)}
    response = HTMLResponse(_JINJA.get_template(template).render(**frame, **values), status)
    if ask.person is None:
        security.keep_visitor(response, visitor, ask.ports.secure)
    return response


def piece(ask: Ask, template: str, status: int = 200, **values: Any) -> Response:
    """A piece of a page as an answer, for a script that puts it in its place."""
    csrf = ask.person.csrf if ask.person else ""
    return HTMLResponse(fragment(template, person=ask.person, csrf=csrf, now=ask.now, **_state(ask), **values), status)


def fragment(template: str, **values: Any) -> str:
    """A piece of a page."""
    return _JINJA.get_template(template).render(**values)


def set_menu(rows: Iterable[tuple[str, str, frozenset[str]]]) -> None:
    """(path, name, roles), as the table of pages says."""
    MENU[:] = rows


def _menu(ask: Ask) -> list[tuple[str, str]]:
    return [(path, name) for path, name, roles in MENU if ask.person is not None and ask.person.role in roles]


def _state(ask: Ask) -> dict[str, Any]:
    """What is away now: every page says it."""
    try:
        waiting = ask.ports.outgoing.waiting() if ask.person else 0
    except Unavailable:
        waiting = 0
    return {"kafka_trouble": ask.ports.kafka_trouble() if ask.person else None, "waiting": waiting}


def when(time: datetime | None) -> str:
    """UTC to the second."""
    return "–" if time is None else time.strftime("%Y-%m-%d %H:%M:%S")


def clock(time: datetime, now: datetime) -> str:
    """UTC: only the time of day where it is today's."""
    return time.strftime("%H:%M:%S") if time.date() == now.date() else when(time)


def number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}g}"


def size(box: Mapping[str, Any]) -> str:
    """What is known of a segmented region (InstanceV1), in mm where there is a scale."""
    unit = "mm" if "length_mm" in box else "px"
    measures = ((name, box.get(f"{name}_{unit}")) for name in ("length", "width"))
    said = [f"{name} {number(value)} {unit}" for name, value in measures if value is not None]
    area = box.get("area_mm2" if unit == "mm" else "area_px")
    return ", ".join([*said, *([] if area is None else [f"area {number(area)} {unit}²"])])


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def about(n: int) -> str:
    """A count as far as one wants to know it: tens, above 1000 hundreds. One more or less cannot be seen."""
    step = 10 if n < 1000 else 100
    return "fewer than 10" if n < 10 else f"about {(n + step // 2) // step * step:,}"


def word(text: str) -> str:
    """`no_verdict` -> `no verdict`."""
    return text.replace("_", " ")


def short(digest: str | None) -> str:
    return "–" if digest is None else digest[:12]


_JINJA.filters.update(
    when=when, clock=clock, moment=from_millis, number=number, percent=percent, word=word, short=short, size=size, about=about
)
