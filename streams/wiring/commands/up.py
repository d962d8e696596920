"""`verdictline up`: the two servers alone, until Ctrl-C. Knows no topic and no processor."""

from __future__ import annotations

import json
import signal
import threading
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from streams.settings import Settings, cache_folder
from streams.workbench.processes import ServerStartError
from streams.workbench.servers import Servers


class ServersKind(StrEnum):
    embedded = "embedded"
    docker = "docker"


def up(
    state: Annotated[Path | None, typer.Option(help="Folder that keeps the servers' data.")] = None,
    servers: Annotated[ServersKind, typer.Option(help="Embedded in this machine, or as containers.")] = ServersKind.embedded,
    kafka_port: Annotated[int, typer.Option(min=0, max=65535, help="0: the last one used, else a free one.")] = 0,
    triton_port: Annotated[int, typer.Option(min=0, max=65535, help="Of gRPC; 0: a free one.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The addresses as one line of JSON.")] = False,
) -> None:
    """Run an Apache Kafka and a Triton on this machine until Ctrl-C."""
    settings = Settings() if state is None else Settings(state=state)
    try:
        with Servers(
            settings.state,
            kind=servers.value,
            kafka=settings.kafka,
            triton=settings.triton,
            kafka_client=settings.kafka_client,
            model_store=settings.model_store,
            ports={"kafka": kafka_port, "triton": triton_port},
            cache=cache_folder(settings),
            on_event=lambda text: typer.echo(text, err=True),
        ) as running:
            _tell(running, as_json)
            _wait_for_signal()
    except ServerStartError as error:
        typer.echo(f"verdictline up: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _tell(running: Servers, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"kafka": running.kafka, "triton": running.triton, "model_store": str(running.store)}))
        return
    typer.echo(f"VERDICTLINE_KAFKA={running.kafka}")
    typer.echo(f"VERDICTLINE_TRITON={running.triton}")
    typer.echo(f"VERDICTLINE_MODEL_STORE={running.store}")
    typer.echo("Ctrl-C stops both; their data stay.", err=True)


def _wait_for_signal() -> None:
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    while not done.wait(0.5):
        pass
