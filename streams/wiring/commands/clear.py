"""Ends a command with one clear line and an exit code, where the reason is known. A bug still shows its trace."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import typer
from pydantic import ValidationError

from streams.fates import Unavailable
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable

FAILED = 1
INVALID = 2


@contextmanager
def clear_end(command: str) -> Iterator[None]:
    """Exit code 1 with the reason on standard error. command: as the user typed it, without `verdictline`."""
    warnings_to_stderr()
    try:
        yield
    except ValidationError as error:  # a setting; also a ValueError
        fault = error.errors()[0]
        end(command, f"setting {'.'.join(map(str, fault['loc']))}: {fault['msg']}")
    except OSError as error:
        end(command, f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (KafkaUnreachable, KafkaRefused, Unavailable, ValueError) as error:
        end(command, str(error))


def warnings_to_stderr() -> None:
    """Standard output is the command's answer: logs go beside it, and only from warnings up."""
    if not structlog.is_configured():
        structlog.configure(
            processors=[_from_warning, *structlog.get_config()["processors"]],
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        )


def _from_warning(_: Any, level: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if level in ("debug", "info"):
        raise structlog.DropEvent
    return event


def end(command: str, *lines: str, code: int = FAILED) -> None:
    """Raises typer.Exit after a line each."""
    for line in lines:
        typer.echo(f"verdictline {command}: {line}", err=True)
    raise typer.Exit(code)
