"""Lines: what each station says now. Counts follow by server-sent events; without script the page is true when it is loaded."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response, StreamingResponse

from streams.fates import Unavailable
from streams.wiring.console import security
from streams.wiring.console.escapes import silence
from streams.wiring.console.ports import Ask
from streams.wiring.console.rendering import fragment, page

HOURS = 24
_EVERY_S, _ALIVE_S = 2.0, 20.0
ORDER = ("pass", "rework", "scrap", "review", "no_verdict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One station as the page shows it. by: disposition -> parts. defects: (class, parts), the most frequent first.

    unknown: parts of no known class; open_reviews: of the parts sent to people, of any age, those that nobody has decided.
    baselines: (view, state); proofs: as StationProofV1.
    """

    name: str
    products: tuple[str, ...]
    by: Mapping[str, int]
    total: int
    defects: tuple[tuple[str, int], ...]
    unknown: int
    open_reviews: int
    last_at: datetime | None
    baselines: tuple[tuple[str, str], ...]
    proofs: tuple[Any, ...]


def home(ask: Ask) -> Response:
    return RedirectResponse("/lines", 303)


def show(ask: Ask) -> Response:
    return page(ask, "lines.html", stations=stations(ask), order=ORDER, hours=HOURS, escapes=ask.ports.escapes(), silence=silence)


async def follow(ask: Ask) -> StreamingResponse:
    """The counts again whenever they have changed, until the browser, the session or the process goes."""
    return StreamingResponse(_events(ask), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(ask: Ask) -> AsyncIterator[str]:
    closing, last, quiet_s = ask.ports.closing, "", 0.0
    while not closing.is_set():
        text = await run_in_threadpool(_live, ask)
        if text is None:
            yield event("lines", fragment("lines_ended.html"))
            return
        if text != last or quiet_s >= _ALIVE_S:
            yield event("lines", text) if text != last else ": still here\n\n"
            last, quiet_s = text, 0.0
        quiet_s += _EVERY_S
        try:
            await asyncio.wait_for(closing.wait(), _EVERY_S)
        except TimeoutError:
            continue


def event(name: str, text: str) -> str:
    """One server-sent event."""
    return f"event: {name}\n" + "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"


def _live(ask: Ask) -> str | None:
    """None: whoever asked is not logged in any more."""
    now, token = ask.ports.now(), security.session_token(ask.request, ask.ports.secure)
    try:
        if token is None or ask.ports.sessions.still(token, now) is None:
            return None
        found = stations(ask, now)
    except Unavailable:
        return fragment("lines_away.html")
    escapes = ask.ports.escapes()
    return fragment("lines_live.html", stations=found, order=ORDER, now=now, escapes=escapes, silence=silence)


def stations(ask: Ask, now: datetime | None = None) -> list[Station]:
    """By name. Raises Unavailable."""
    found = ask.ports.questions.lines((now or ask.now) - timedelta(hours=HOURS))
    names = {one.station for one in found.counts} | set(found.last_at) | {one.stream.station for one in found.baselines}
    return [_station(name, found) for name in sorted(names | {one.station for one in found.proofs})]


def _station(name: str, found: Any) -> Station:
    mine = [one for one in found.counts if one.station == name]
    by: Counter[str] = Counter()
    for one in mine:
        by[one.disposition] += one.n
    return Station(
        name=name,
        products=tuple(sorted({one.product for one in mine})),
        by={disposition: by[disposition] for disposition in ORDER},
        total=sum(by.values()),
        defects=pareto(mine),
        unknown=sum(one.n for one in mine if one.label == "unknown"),
        open_reviews=found.open_reviews.get(name, 0),
        last_at=found.last_at.get(name),
        baselines=_states(one for one in found.baselines if one.stream.station == name),
        proofs=tuple(one for one in found.proofs if one.station == name),
    )


def pareto(counts: Sequence[Any]) -> tuple[tuple[str, int], ...]:
    """(class, parts not passed), the most frequent first; parts without a class by what became of them."""
    by: Counter[str] = Counter()
    for one in counts:
        if one.disposition != "pass":
            by[_bar(one.disposition, one.label)] += one.n
    return tuple(sorted(by.items(), key=lambda pair: (-pair[1], pair[0])))


def _bar(disposition: str, label: str | None) -> str:
    if disposition == "no_verdict":
        return "no verdict"
    if label == "unknown":
        return "unknown, not reviewed yet" if disposition == "review" else "unknown"
    if label not in (None, "good"):
        return str(label)
    return "not reviewed yet" if disposition == "review" else f"{disposition}, without a class"


def _states(baselines: Iterable[Any]) -> tuple[tuple[str, str], ...]:
    """(view, state), the worst of each view's streams: an old camera's stream must not hide the new one's."""
    worst: dict[str, str] = {}
    for one in baselines:
        state, before = one.state, worst.get(one.stream.view)
        if before is None or _BADNESS.index(state) > _BADNESS.index(before):
            worst[one.stream.view] = state
    return tuple(sorted(worst.items()))


_BADNESS = ("retired", "active", "provisional", "suspect", "stale")
