"""`verdictline demo`: a simulated plant, or a folder of images, through everything, on this machine."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from streams.settings import Settings
from streams.wiring.adapters.kafka import KafkaRefused, KafkaUnreachable
from streams.workbench.demo.models import FitFailed
from streams.workbench.demo.run import ProcessorsNotReady, Wanted, run_demo
from streams.workbench.demo.scenario_report import overview, report
from streams.workbench.demo.scenario_report import rendered as scenario_rendered
from streams.workbench.demo.scenario_run import Asked, run_scenarios
from streams.workbench.demo.scenario_station import Late
from streams.workbench.demo.summary import rendered
from streams.workbench.plant import PRODUCTS, Knobs
from streams.workbench.processes import ServerStartError
from streams.workbench.scenarios import SCENARIOS

_PLAIN_WIDTH = 110
_SIMULATED = "A simulated plant: its figures prove the plumbing, not the quality of any model."
_FOLDER = "Parts of groups that no model was fitted on; pictures repeat where there are fewer than parts."


def demo(
    parts: Annotated[int, typer.Option(min=1, help="How many parts all lines make together.")] = 300,
    seed: Annotated[int, typer.Option(help="Another seed is another plant.")] = 7,
    rate: Annotated[float, typer.Option(min=0.1, help="Parts a second, all lines together.")] = 12.0,
    lines: Annotated[int, typer.Option(min=1, max=50, help="How many lines; products take turns.")] = 3,
    product: Annotated[str | None, typer.Option(help=f"Only lines that make this one: {', '.join(PRODUCTS)}.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Parts from this folder (good/, defect/CLASS/, masks/CLASS/, groups.csv) instead of simulated ones."),
    ] = None,
    defect_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of defective parts, simulated plant.")] = 0.2,
    servers: Annotated[Literal["embedded", "docker"], typer.Option(help="How Kafka and Triton are started.")] = "embedded",
    state: Annotated[Path | None, typer.Option(help="Where servers, models and outboxes keep their data.")] = None,
    scenario: Annotated[
        str | None,
        typer.Option(help=f"Let something happen to one station and see that it is reported: all, {', '.join(SCENARIOS)}."),
    ] = None,
    false_alarm_every: Annotated[float, typer.Option(min=1e3, max=1e11, help="Parts between false alarms, scenarios.")] = 1e6,
    kill: Annotated[bool, typer.Option("--kill", help="Kill the drift processor in the middle of a scenario.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Servers and processes stay after the last part, until Ctrl-C.")] = False,
    observability: Annotated[
        bool, typer.Option("--observability", help="Start a Prometheus that looks at every process (VERDICTLINE_PROMETHEUS).")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary there.")] = None,
) -> None:
    """Start Kafka and Triton, fit the models, run a plant of three lines through every processor, and count what came out.

    With --scenario: one station instead, a baseline commissioned by the act that people use, then the change. Exit code 1
    where something that must be reported was not, or something was that must not.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)

    def tell(found: dict[str, Any]) -> None:
        console.print(rendered(found, _SIMULATED if data is None else _FOLDER))
        if json_file is not None:
            json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = Settings()
        if state is not None:
            settings = settings.model_copy(update={"state": state})
        if product is not None and (data or scenario) is not None:
            raise ValueError("--product is for the simulated plant as it is: leave it out with --data and --scenario")
        if scenario is not None:
            asked = Asked(name=scenario, seed=seed, arl0=false_alarm_every, kill=kill, servers=servers)
            raise typer.Exit(_scenarios(asked, settings, console, json_file))
        wanted = Wanted(
            parts=parts,
            seed=seed,
            rate_per_s=rate,
            lines=lines,
            product=product,
            folder=data,
            knobs=Knobs(defect_rate=defect_rate),
            servers=servers,
            keep=keep,
            observability=observability,
        )
        found = run_demo(wanted, settings, console, tell)
    except KeyboardInterrupt:
        console.print("stopped: every process has ended; started again, it goes on with the next part")
        raise typer.Exit(130) from None
    except (ServerStartError, FitFailed, ProcessorsNotReady, Late, KafkaUnreachable, KafkaRefused, ValueError) as error:
        typer.echo(f"verdictline demo: {error}", err=True)
        raise typer.Exit(1) from error
    exact = found["announced"] == found["judged"] == parts and not found["missing"] and not found["conflicts"]
    raise typer.Exit(0 if exact else 1)


def _scenarios(asked: Asked, settings: Settings, console: Console, json_file: Path | None) -> int:
    """The exit code."""
    outcomes = []
    for outcome in run_scenarios(asked, settings, console):
        console.print(scenario_rendered(outcome))
        outcomes.append(outcome)
    if len(outcomes) > 1:
        console.print(overview(outcomes))
    if json_file is not None:
        json_file.write_text(json.dumps([report(one) for one in outcomes], indent=2) + "\n", encoding="utf-8")
    return 0 if all(outcome.met for outcome in outcomes) else 1
