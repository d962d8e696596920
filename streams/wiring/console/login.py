"""Logging in and out, and one-time links. A wrong name and a wrong password look alike, and take the same time."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from streams.wiring.console import security
from streams.wiring.console.ports import Ask, Provider, User
from streams.wiring.console.rendering import page
from streams.wiring.console.security import Rejected

_MOST_NAME = 80
_WRONG = "This name and this password do not fit each other."
_CHANGED = "An admin has changed this user just now. Log in again."
_WAIT = "Too many attempts have failed. Wait a quarter of an hour, or ask an admin for a one-time link."


def show(ask: Ask) -> Response:
    if ask.person is not None:
        return RedirectResponse("/", 303)
    return _form(ask, 200, None)


def login(ask: Ask) -> Response:
    name, password = ask.form.get("name", "")[:_MOST_NAME], ask.form.get("password", "")
    address = ask.request.client.host if ask.request.client else "?"
    attempt = ask.ports.sessions.attempt(name, address, ask.now)
    if attempt is None:
        return _form(ask, 429, _WAIT, name)
    user = ask.ports.accounts.check(name, password)
    if user is None:
        return _form(ask, 401, _WRONG, name)
    ask.ports.sessions.fitted(attempt)
    return begin(ask, user)


def _form(ask: Ask, status: int, fault: str | None, name: str = "") -> Response:
    provider = ask.ports.provider
    issuer = None if provider is None else urlsplit(provider.issuer).netloc
    return page(ask, "login.html", status, fault=fault, name=name, issuer=issuer)


async def to_provider(ask: Ask) -> Response:
    """To the provider; it sends the browser back to `from_provider`."""
    visitor = security.visitor_token(ask.request, ask.ports.secure)
    response = await _provider(ask).begin(ask.request, visitor, f"{ask.ports.url}/login/back")
    security.keep_visitor(response, visitor, ask.ports.secure)
    return response


async def from_provider(ask: Ask) -> Response:
    visitor, accounts = security.visitor_token(ask.request, ask.ports.secure), ask.ports.accounts
    try:
        identity = await _provider(ask).finish(ask.request, visitor)
        user = await run_in_threadpool(accounts.from_provider, identity.subject, identity.name, ask.ports.newcomer, ask.now)
    except ValueError as error:
        return await run_in_threadpool(_form, ask, 403, str(error))
    return await run_in_threadpool(begin, ask, user)


def _provider(ask: Ask) -> Provider:
    if ask.ports.provider is None:
        raise Rejected(404, "There is no other way to log in.")
    return ask.ports.provider


def begin(ask: Ask, user: User) -> Response:
    """A new session, whatever cookie came: nobody can be made to use a session that somebody else knows."""
    token = ask.ports.sessions.begin(user, ask.now)
    if token is None:
        return _form(ask, 401, _CHANGED, user.name)
    response = RedirectResponse("/", 303)
    security.keep_session(response, token, ask.ports.secure)
    return response


def logout(ask: Ask) -> Response:
    token = security.session_token(ask.request, ask.ports.secure)
    if token is not None:
        ask.ports.sessions.end(token)
    response = RedirectResponse("/login", 303)
    security.drop_session(response, ask.ports.secure)
    return response


def welcome(ask: Ask) -> Response:
    """What a one-time link opens. Looking at it does not use it up: mail programs look at links, too."""
    token = ask.asked("link")
    link = ask.ports.accounts.link(token, ask.now)
    status = 200 if link else 404
    return page(ask, "welcome.html", status, link=link, token=token, fault=None, name=(link.name or "") if link else "")


def use_link(ask: Ask) -> Response:
    token, name = ask.form.get("link", ""), ask.form.get("name", "")
    try:
        if ask.form.get("password") != ask.form.get("again"):
            raise ValueError("The two passwords differ.")
        user = ask.ports.accounts.use_link(token, name, ask.form.get("password", ""), ask.now)
    except ValueError as error:
        link = ask.ports.accounts.link(token, ask.now)
        return page(ask, "welcome.html", 400, link=link, token=token, fault=str(error), name=name)
    return begin(ask, user)
