"""`verdictline topics apply|check`: the table of topics on the broker, and one partitioner for everybody."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from aiokafka.partitioner import DefaultPartitioner

from schemas.topics import EVIDENCE
from streams.settings import Settings
from streams.wiring.adapters.kafka import partitions as partitions_of
from streams.wiring.adapters.topics import Difference, apply_topics, check_topics, driver_partitions
from streams.wiring.commands.clear import FAILED, clear_end

STATIONS = tuple(f"site-{n % 7}/line-{n % 31}/station-{n}" for n in range(1000))
Partitions = Annotated[int | None, typer.Option(min=1, max=10_000, help="Of the topics keyed by station; 8 without.")]
AsJson = Annotated[bool, typer.Option("--json", help="The outcome as one line of JSON.")]


def apply(partitions: Partitions = None, as_json: AsJson = False) -> None:
    """Create the topics that are missing and set what differs. Nothing is deleted, no topic shrinks."""
    with clear_end("topics apply"):
        client = Settings().client()
        applied = apply_topics(client, partitions)
        strangers = disagreements(client, EVIDENCE)
    if as_json:
        typer.echo(json.dumps({**asdict(applied), "partitioner_differs": strangers}))
    else:
        typer.echo(f"made {len(applied.made)} topics, changed {len(applied.changed)} settings")
        for line in applied.changed:
            typer.echo(f"  {line}")
        _show(applied.left, strangers)
    raise typer.Exit(FAILED if applied.left or strangers else 0)


def check(partitions: Partitions = None, as_json: AsJson = False) -> None:
    """Compare the broker with the table of topics, and the partitioners with each other. Exit code 1 where they differ."""
    with clear_end("topics check"):
        client = Settings().client()
        found = check_topics(client, partitions)
        strangers = disagreements(client, EVIDENCE)
    if as_json:
        typer.echo(json.dumps({"differences": [asdict(d) for d in found], "partitioner_differs": strangers}))
    else:
        _show(found, strangers)
    raise typer.Exit(FAILED if found or strangers else 0)


def disagreements(client: Mapping[str, Any], topic: str, stations: Sequence[str] = STATIONS) -> list[str] | None:
    """The station names that confluent-kafka and faust (aiokafka) put into different partitions. Nothing is sent.

    None: there is no such topic. Raises KafkaUnreachable.
    """
    count = partitions_of(client, [topic]).get(topic)
    if count is None:
        return None
    numbers = list(range(count))
    ours, theirs = driver_partitions(client, topic, stations), DefaultPartitioner()
    return [name for name in stations if ours[name] != theirs(name.encode(), numbers, numbers)]


def _show(differences: Sequence[Difference], strangers: Sequence[str] | None) -> None:
    for d in differences:
        typer.echo(f"{d.topic}: {d.what} {d.found}, wanted {d.wanted}: {d.todo}")
    if not differences:
        typer.echo("topics: as in the table")
    if strangers is None:
        typer.echo(f"partitioner: not compared, there is no {EVIDENCE}")
    elif strangers:
        first = strangers[0]
        typer.echo(f"partitioner: confluent-kafka and faust disagree on {len(strangers)} of 1,000 station names, as {first}")
    else:
        typer.echo("partitioner: confluent-kafka and faust agree on 1,000 station names")
