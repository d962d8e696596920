"""Users: who there is, and the acts of an admin. Each change goes to act.v1."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args
from urllib.parse import urlencode

from starlette.responses import Response

from schemas.label import Role
from streams.wiring.console.ports import Ask
from streams.wiring.console.rendering import page
from streams.wiring.console.security import Rejected

ROLES: tuple[Role, ...] = get_args(Role)
_MOST_WHY = 200


def show(ask: Ask) -> Response:
    return _shown(ask)


def add(ask: Ask) -> Response:
    """With a link, or for the provider."""
    name, role, accounts = ask.form.get("name", ""), _role(ask), ask.ports.accounts
    change = accounts.add_for_provider if ask.form.get("at") == "provider" else accounts.add
    return _done(ask, lambda: change(name, role, who=ask.who, why=_why(ask), now=ask.now), f"{name} was added")


def reset(ask: Ask) -> Response:
    name = ask.form.get("name", "")
    return _done(ask, lambda: ask.ports.accounts.reset(name, who=ask.who, why=_why(ask), now=ask.now), f"{name} is logged out")


def to_provider(ask: Ask) -> Response:
    name, change = ask.form.get("name", ""), ask.ports.accounts.to_provider
    return _done(
        ask, lambda: change(name, who=ask.who, why=_why(ask), now=ask.now), f"{name} logs in at the provider from now on"
    )


def give_role(ask: Ask) -> Response:
    name, role = ask.form.get("name", ""), _role(ask)
    change = ask.ports.accounts.give_role
    return _done(ask, lambda: change(name, role, who=ask.who, why=_why(ask), now=ask.now), f"{name} is {role} now")


def disable(ask: Ask) -> Response:
    name, change = ask.form.get("name", ""), ask.ports.accounts.disable
    return _done(ask, lambda: change(name, who=ask.who, why=_why(ask), now=ask.now), f"{name} is disabled, and logged out")


def enable(ask: Ask) -> Response:
    name, change = ask.form.get("name", ""), ask.ports.accounts.enable
    return _done(ask, lambda: change(name, who=ask.who, why=_why(ask), now=ask.now), f"{name} may log in again")


def link_to(base: str, token: str) -> str:
    """The address of a one-time link. base: of the console."""
    return f"{base.rstrip('/')}/welcome?{urlencode({'link': token})}"


def _done(ask: Ask, change: Callable[[], str | None], said: str) -> Response:
    """change gives the token of a one-time link, where it makes one."""
    try:
        token = change()
    except ValueError as error:
        return _shown(ask, 400, fault=str(error))
    return _shown(ask, said=said, link=None if token is None else link_to(ask.ports.url, token))


def _shown(
    ask: Ask, status: int = 200, *, fault: str | None = None, said: str | None = None, link: str | None = None
) -> Response:
    users, provider = ask.ports.accounts.users(), ask.ports.provider is not None
    return page(ask, "users.html", status, users=users, roles=ROLES, fault=fault, said=said, link=link, provider=provider)


def _role(ask: Ask) -> Role:
    """Raises Rejected 400."""
    role = ask.form.get("role", "")
    if role not in ROLES:
        raise Rejected(400, f"There is no such role; there are {', '.join(ROLES)}.")
    return role


def _why(ask: Ask) -> str:
    """Raises Rejected 400: an act without a reason is none."""
    why = ask.form.get("why", "")[:_MOST_WHY]
    if not why:
        raise Rejected(400, "Say why: it is recorded with the act. Nothing was changed.")
    return why
