"""`verdictline user`: the console's users, for whoever may read and write its database. Each change waits there for act.v1.

The console carries it to Kafka; it need not run meanwhile.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer
from rich.table import Table

from streams.fates import Unavailable
from streams.settings import Settings
from streams.wiring.adapters.desk.accounts import Accounts
from streams.wiring.adapters.desk.opening import open_desk
from streams.wiring.commands.printing import printer
from streams.wiring.console.users import link_to

RoleName = Literal["operator", "reviewer", "engineer", "admin"]
Name = Annotated[str, typer.Argument(help="The user's name.")]
Why = Annotated[str, typer.Option(help="Goes to act.v1.")]
Who = Annotated[str | None, typer.Option(help="Who does it; else the account that this runs under.")]


def add(
    name: Name,
    why: Why,
    role: Annotated[RoleName, typer.Option(help="What the user may.")] = "operator",
    at_provider: Annotated[bool, typer.Option("--at-provider", help="Logs in at the OpenID Connect provider.")] = False,
    who: Who = None,
) -> None:
    """Add a user; prints a one-time link, good for 24 hours, by which the user sets a password."""
    with _accounts() as (accounts, url):
        if at_provider:
            accounts.add_for_provider(name, role, who=_me(who), why=why, now=_now())
        else:
            typer.echo(link_to(url, accounts.add(name, role, who=_me(who), why=why, now=_now())))


def list_users(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Who may log in, and as what."""
    with _accounts() as (accounts, _):
        users = accounts.users()
    if as_json:
        rows = [{"name": u.name, "role": u.role, "disabled": u.disabled, "ready": u.ready, "made_by": u.made_by} for u in users]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("name", "role", "state", "made by")
    for user in users:
        state = (
            "disabled"
            if user.disabled
            else "may log in"
            if user.ready
            else "waits for the provider"
            if user.at_provider
            else "waits for a password"
        )
        table.add_row(user.name, user.role, state, user.made_by)
    printer().print(table)


def role(name: Name, role: Annotated[RoleName, typer.Argument(help="The new role.")], why: Why, who: Who = None) -> None:
    """Give a user another role; sessions end."""
    with _accounts() as (accounts, _):
        accounts.give_role(name, role, who=_me(who), why=why, now=_now())


def reset(name: Name, why: Why, who: Who = None) -> None:
    """Forget a password; prints a one-time link for a new one. Sessions end."""
    with _accounts() as (accounts, url):
        typer.echo(link_to(url, accounts.reset(name, who=_me(who), why=why, now=_now())))


def provider(name: Name, why: Why, who: Who = None) -> None:
    """Let a user log in at the OpenID Connect provider, and no longer with a password. Sessions end."""
    with _accounts() as (accounts, _):
        accounts.to_provider(name, who=_me(who), why=why, now=_now())


def disable(name: Name, why: Why, who: Who = None) -> None:
    """No login any more, at once."""
    with _accounts() as (accounts, _):
        accounts.disable(name, who=_me(who), why=why, now=_now())


def enable(name: Name, why: Why, who: Who = None) -> None:
    """Take back `disable`."""
    with _accounts() as (accounts, _):
        accounts.enable(name, who=_me(who), why=why, now=_now())


@contextmanager
def _accounts() -> Iterator[tuple[Accounts, str]]:
    """With the console's address."""
    try:
        settings = Settings()
        engine = open_desk(settings.state)
        try:
            yield Accounts(engine), settings.console_address
        finally:
            engine.dispose()
    except (ValueError, Unavailable) as error:
        typer.echo(f"verdictline user: {error}", err=True)
        raise typer.Exit(1) from error


def _me(who: str | None) -> str:
    return who or getpass.getuser()


def _now() -> datetime:
    return datetime.now(UTC)
