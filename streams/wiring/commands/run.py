"""`verdictline run PROCESSOR`: one processor in this process."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.pipeline import PIPELINE
from streams.settings import Settings
from streams.wiring.adapters.health import PortTaken
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable
from streams.wiring.processors.shell import CONFIG, run_processor

UNAVAILABLE = 69  # exit status
_NAMES = ", ".join(row.name for row in PIPELINE)


def run(
    processor: Annotated[str, typer.Argument(help=f"One of: {_NAMES}.")],
    slot: Annotated[int | None, typer.Option(help="Which of several equal processes this is; stable over restarts.")] = None,
) -> None:
    """Run one processor until SIGTERM or Ctrl-C. Settings: VERDICTLINE_* and verdictline.toml."""
    try:
        settings = Settings()
        if slot is not None:
            settings = settings.model_copy(update={"slot": slot})
        code = run_processor(processor, settings)
    except (KeyError, ValueError, PortTaken) as error:
        typer.echo(f"verdictline run {processor}: {error.args[0] if error.args else error}", err=True)
        raise typer.Exit(CONFIG) from error
    except (KafkaUnreachable, KafkaRefused) as error:
        typer.echo(f"verdictline run {processor}: {error}", err=True)
        raise typer.Exit(UNAVAILABLE) from error
    raise typer.Exit(code)
