"""`verdictline learn PRODUCT`: a candidate from what people said, with a page that compares it. Puts nothing in force."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from schemas.ids import station_path
from streams.settings import Settings
from streams.training.stages import ParityError
from streams.wiring.adapters.images import FileImages, Images
from streams.wiring.adapters.kafka import reach
from streams.wiring.adapters.labels import follow_said, read_said
from streams.wiring.adapters.model_store import ModelStore, StoreError
from streams.wiring.adapters.registry import Registry
from streams.wiring.adapters.triton import ModelRefused
from streams.wiring.commands.clear import clear_end, end
from streams.wiring.commands.policy_file import dump_policy
from streams.wiring.learned.page import doubts, facts, headline
from streams.wiring.learning import NothingToLearn
from streams.wiring.offering import Offer, Workshop, offer

NOTHING = 3
_COMMAND = "learn"


def learn(
    product: Annotated[str, typer.Argument(help="Whose classifier shall learn.")],
    station: Annotated[str | None, typer.Option(help="SITE/LINE/STATION with a model set of its own: only its labels.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and make a candidate whenever enough has been said.")] = False,
    now: Annotated[bool, typer.Option("--now", help="From what there is, however little.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the page there, too.")] = None,
    state: Annotated[Path | None, typer.Option(help="Folder that keeps the model store.")] = None,
) -> None:
    """Refit the classifier with what people said, compare it with the one in force, offer it. Exit code 3: nothing to learn."""
    with clear_end(_COMMAND), _store_faults():
        settings = Settings() if state is None else Settings(state=state)
        place = None if station is None else station_path(station)
        if settings.triton is None:
            raise ValueError("VERDICTLINE_TRITON names no Triton: a candidate is offered only where it serves what was computed")
        with _workshop(settings) as workshop:
            if watch:
                _watch(workshop, settings, product, place)
            else:
                _tell(_once(workshop, settings, product, place, least=not now), settings, json_file, report)


def _once(workshop: Workshop, settings: Settings, product: str, station: str | None, *, least: bool) -> Offer:
    try:
        return offer(workshop, read_said(settings.client()), product, station, least=least)
    except NothingToLearn as why:
        end(_COMMAND, str(why), code=NOTHING)
        raise


def _watch(workshop: Workshop, settings: Settings, product: str, station: str | None) -> None:
    """Until it is interrupted."""
    before = ""
    with contextlib.suppress(KeyboardInterrupt):
        for said in follow_said(settings.client(), lambda: False):
            try:
                _tell(offer(workshop, said, product, station), settings, None, None)
                before = ""
            except NothingToLearn as why:
                if str(why) != before:
                    typer.echo(f"waiting: {why}")
                before = str(why)


@contextmanager
def _workshop(settings: Settings) -> Iterator[Workshop]:
    client = settings.client()
    reach(client)
    images = Images(client, roots=[settings.images])
    try:
        with Registry(client) as registry:
            registry.wait_ready()
            yield Workshop(
                registry=registry,
                store=ModelStore(settings.store),
                images=images,
                pages=FileImages(settings.images),
                triton=settings.triton,
            )
    finally:
        images.close()


def _tell(made: Offer, settings: Settings, json_file: Path | None, report: Path | None) -> None:
    folder = settings.state / "fitted"
    folder.mkdir(parents=True, exist_ok=True)
    policy = folder / f"{made.message.product}.learned.policy.yaml"
    policy.write_text(dump_policy(made.policy), encoding="utf-8")
    if report is not None:
        shutil.copyfile(made.page, report)
    if json_file is not None:
        text = json.dumps(facts(made.candidate, made.digest), indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")
    model = made.message.model("classification")
    assert model is not None
    typer.echo(f"candidate {made.digest[:12]}: {model.ref.name}/{model.ref.version}, in force nowhere")
    typer.echo(headline(made.candidate))
    for line in doubts(made.candidate):
        typer.echo(f"not proven: {line}")
    typer.echo(f"page: {report or made.page}")
    typer.echo(f"a policy with a rule for each of its classes, to edit: {policy}")


@contextmanager
def _store_faults() -> Iterator[None]:
    try:
        yield
    except (StoreError, ModelRefused, ParityError) as error:
        end(_COMMAND, str(error))
