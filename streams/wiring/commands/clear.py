"""Ends a command with one clear line and an exit code, where the reason is known. A bug still shows its trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from streams.fates import Unavailable
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable

FAILED = 1
INVALID = 2


@contextmanager
def clear_end(command: str) -> Iterator[None]:
    """Exit code 1 with the reason on standard error. command: as the user typed it, without `verdictline`."""
    try:
        yield
    except ValidationError as error:  # a setting; also a ValueError
        fault = error.errors()[0]
        end(command, f"setting {'.'.join(map(str, fault['loc']))}: {fault['msg']}")
    except OSError as error:
        end(command, f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (KafkaUnreachable, KafkaRefused, Unavailable, ValueError) as error:
        end(command, str(error))


def end(command: str, *lines: str, code: int = FAILED) -> None:
    """Raises typer.Exit after a line each."""
    for line in lines:
        typer.echo(f"verdictline {command}: {line}", err=True)
    raise typer.Exit(code)
