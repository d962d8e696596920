"""Logging in and out, and one-time links. A wrong name and a wrong password look alike, and take the same time."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from streams.wiring.console import security
from streams.wiring.console.ports import Ask
from streams.wiring.console.rendering import page

_MOST_NAME = 80
_WRONG = "This name and this password do not fit each other."
_WAIT = "Too many attempts have failed. Wait a quarter of an hour, or ask an admin for a one-time link."


def show(ask: Ask) -> Response:
    if ask.person is not None:
        return RedirectResponse("/", 303)
    return page(ask, "login.html", fault=None, name="")


def login(ask: Ask) -> Response:
    name, password = ask.form.get("name", "")[:_MOST_NAME], ask.form.get("password", "")
    address = ask.request.client.host if ask.request.client else "?"
    if ask.ports.sessions.too_many(name, address, ask.now):
        return page(ask, "login.html", 429, fault=_WAIT, name=name)
    user = ask.ports.accounts.check(name, password)
    if user is None:
        ask.ports.sessions.failed(name, address, ask.now)
        return page(ask, "login.html", 401, fault=_WRONG, name=name)
    return begin(ask, user.name)


def begin(ask: Ask, name: str) -> Response:
    """A new session, whatever cookie came: nobody can be made to use a session that somebody else knows."""
    response = RedirectResponse("/", 303)
    security.keep_session(response, ask.ports.sessions.begin(name, ask.now), ask.ports.secure)
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
    return begin(ask, user.name)
