"""The command line: a table of commands, of which only the one that is asked for is imported."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from streams.wiring.commands.clear import warnings_to_stderr

_HOME = "streams.wiring.commands."
COMMANDS: dict[str, str] = {
    "demo": "demo:demo",
    "up": "up:up",
    "run": "run:run",
    "capture": "capture:capture",
    "fit": "fit:fit",
    "learn": "learn:learn",
    "verdicts": "verdicts:verdicts",
    "report": "report:report",
    "topics apply": "topics:apply",
    "topics check": "topics:check",
    "models list": "models:list_models",
    "models show": "models:show",
    "models candidates": "promotion:candidates",
    "models promote": "promotion:promote",
    "models roll-back": "promotion:roll_back",
    "policy check": "policy:check",
    "policy publish": "policy:publish",
    "policy show": "policy:show",
    "policy try": "policy_try:try_",
    "baseline list": "baseline_report:list_streams",
    "baseline show": "baseline_report:show",
    "baseline top": "baseline_report:top_parts",
    "baseline plot": "baseline_plot:plot",
    "baseline commission": "baseline:commission",
    "baseline refresh": "baseline:refresh",
    "baseline retire": "baseline:retire",
    "challenge add": "challenge:add",
    "challenge list": "challenge_report:list_parts",
    "challenge retire": "challenge:retire",
    "challenge schedule": "challenge:schedule",
    "challenge run": "challenge:run",
    "challenge report": "challenge_report:report",
    "challenge limit": "limit:limit",
    "db migrate": "database:bring_up",
    "db status": "database:status",
    "db rebuild": "database:rebuild",
    "spc list": "spc_report:list_charts",
    "spc show": "spc_report:show",
    "spc plan": "spc:plan",
    "spc freeze": "spc:freeze",
    "spc remove": "spc:remove",
    "spc recompute": "spc:recompute",
    "spc plot": "spc_plot:plot",
    "user add": "user:add",
    "user list": "user:list_users",
    "user role": "user:role",
    "user reset": "user:reset",
    "user provider": "user:provider",
    "user disable": "user:disable",
    "user enable": "user:enable",
    "bench pipeline": "bench:pipeline",
    "bench drift": "bench_drift:drift",
    "bench spc": "bench_spc:spc",
    "bench sink": "bench_sink:sink",
    "bench report": "bench_report:report",
    "bench escapes": "bench_escapes:escapes",
    "bench review": "bench_review:review",
    "bench labels": "bench_labels:labels",
    "bench queue": "bench_queue:queue",
}
HIDDEN = {"plant": "plant:plant", "feed": "bench:feed"}
_GROUPS = {
    "topics": "Create and verify the topics.",
    "models": "The model sets in force, the candidates, and the acts that change them.",
    "policy": "Check, try, publish and show policies.",
    "baseline": "What score streams are judged against, and the acts that change it.",
    "challenge": "Parts with a known answer: prove that a station still finds defects.",
    "db": "The sink's database: schema, state, rebuilding.",
    "spc": "Control charts: what is charted, their limits, and the acts that change them.",
    "user": "Who may log in at the console, and what they may.",
    "bench": "Measure.",
}


def application(argv: Sequence[str]) -> typer.Typer:
    """The parser with the commands that argv can mean: all of them where it names none."""
    table = {**COMMANDS, **HIDDEN}
    first = argv[0] if argv else ""
    wanted = [name for name in table if name.split()[0] == first] or list(COMMANDS)
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_verdictline)
    groups: dict[str, typer.Typer] = {}
    for name in wanted:
        module, function = table[name].split(":")
        call = getattr(import_module(_HOME + module), function)
        *group, last = name.split()
        if not group:
            app.command(last, hidden=name in HIDDEN)(call)
            continue
        if group[0] not in groups:
            groups[group[0]] = typer.Typer(no_args_is_help=True, help=_GROUPS[group[0]])
            groups[group[0]].callback(help=_GROUPS[group[0]])(_nothing)
            app.add_typer(groups[group[0]], name=group[0])
        groups[group[0]].command(last)(call)
    return app


def _verdictline() -> None:
    """Streaming visual inspection: every part gets exactly one verdict, and every verdict can be proven."""


def _nothing() -> None:
    """A group has no work of its own."""


def main() -> None:
    """Run the command that `sys.argv` names."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started us in the background, deaf to it
    warnings_to_stderr()
    application(sys.argv[1:])()


if __name__ == "__main__":
    main()
