"""The application: every request is checked here before a page sees it, and every answer leaves with the same headers.

In this order: is there such a page; who asks; may they; does the form carry its token. What a page raises becomes a page too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from streams.fates import Unavailable, Unprocessable
from streams.wiring.console import rendering, security
from streams.wiring.console.pages import PAGES, Page
from streams.wiring.console.ports import Ask, Person, Ports
from streams.wiring.console.security import Rejected

log = structlog.get_logger("console")
_TITLES = {
    400: "That cannot be read",
    403: "Not allowed",
    404: "Not found",
    405: "Not found",
    409: "Not here, or not any more",
    413: "Too large",
    503: "Not now",
}


def application(ports: Ports) -> Starlette:
    rendering.set_menu((page.path, page.menu, frozenset(page.may or ())) for page in PAGES if page.menu is not None)
    routes: list[Route | Mount] = [Route(page.path, _endpoint(ports, page), methods=[page.method]) for page in PAGES]
    static = Mount("/static", StaticFiles(directory=rendering.HOME / "static"))
    app = Starlette(routes=[*routes, static], exception_handlers={HTTPException: _missing(ports), Exception: _bug(ports)})
    app.add_middleware(_Headers, secure=ports.secure)
    return app


class _Headers:
    """Plain ASGI: a stream of events must not be gathered."""

    def __init__(self, app: Callable[..., Awaitable[None]], secure: bool) -> None:
        self._app, self._secure = app, secure

    async def __call__(self, scope: Mapping[str, object], receive: object, send: Callable[..., Awaitable[None]]) -> None:
        async def sending(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                response = Response()
                response.raw_headers = message["headers"]  # type: ignore[assignment]
                if str(scope.get("path", "")).startswith("/static/"):
                    response.headers.setdefault("Cache-Control", "max-age=3600")
                message["headers"] = security.harden(response, self._secure).raw_headers
            await send(message)

        await self._app(scope, receive, sending)


def _endpoint(ports: Ports, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        ask = Ask(ports=ports, request=request, person=None, form={}, now=ports.now())
        try:
            person = await run_in_threadpool(_person, ports, request, ask.now)
            ask = Ask(ports=ports, request=request, person=person, form={}, now=ask.now)
            if page.may is not None and person is None:
                return _to_login(request, page)
            if page.may is not None and person is not None and person.role not in page.may:
                raise Rejected(403, f"To {page.act} takes the role {' or '.join(sorted(page.may))}; you are {person.role}.")
            if page.method == "POST":
                ask = await (_with_form(ask) if page.takes == "form" else _with_png(ask))
            return await _answer(page, ask)
        except Rejected as error:
            return await run_in_threadpool(_problem, ask, error.status, str(error))
        except Unprocessable as error:
            return await run_in_threadpool(_problem, ask, 400, f"That cannot be looked up, nor kept: {error.detail or error}")
        except Unavailable as error:
            log.warning("unavailable", path=page.path, error=str(error))
            return await run_in_threadpool(_problem, ask, 503, f"What this page needs is away: {error}")

    return endpoint


def _person(ports: Ports, request: Request, now: object) -> Person | None:
    token = security.session_token(request, ports.secure)
    return None if token is None else ports.sessions.person(token, now)  # type: ignore[arg-type]


async def _with_form(ask: Ask) -> Ask:
    form = await security.form_of(ask.request)
    given = form.pop(security.CSRF_FIELD, None) or ask.request.headers.get(security.CSRF_HEADER)
    expected = ask.person.csrf if ask.person else security.visitor_token(ask.request, ask.ports.secure)
    security.check_form(ask.request, given, expected, ask.ports.url)
    return replace(ask, form=form)


async def _with_png(ask: Ask) -> Ask:
    """The token comes in a header, and is looked at before the body is read."""
    given = ask.request.headers.get(security.CSRF_HEADER)
    security.check_form(ask.request, given, ask.person.csrf if ask.person else None, ask.ports.url)
    return replace(ask, data=await security.png_of(ask.request))


async def _answer(page: Page, ask: Ask) -> Response:
    handler = page.handler
    if asyncio.iscoroutinefunction(handler):
        found: Response = await handler(ask)
        return found
    return await run_in_threadpool(handler, ask)  # type: ignore[arg-type]


def _to_login(request: Request, page: Page) -> Response:
    if page.method == "POST":
        raise Rejected(403, "You are not logged in any more. Nothing was changed.")
    return RedirectResponse("/login", 303)


def _problem(ask: Ask, status: int, text: str) -> Response:
    return rendering.page(ask, "problem.html", status, title=_TITLES.get(status, "That did not work"), text=text)


def _missing(ports: Ports) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def missing(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        ask = Ask(ports=ports, request=request, person=None, form={}, now=ports.now())
        return await run_in_threadpool(_problem, ask, status, "There is no such page.")

    return missing


def _bug(ports: Ports) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def bug(request: Request, error: Exception) -> Response:
        log.error("a page failed", path=request.url.path, exc_info=error)
        ask = Ask(ports=ports, request=request, person=None, form={}, now=ports.now())
        found = await run_in_threadpool(_problem, ask, 500, "This page failed; the log says why. Nothing was changed.")
        return security.harden(found, ports.secure)  # outside of the middleware

    return bug
