"""Commands that a document names, held against the command line that there is."""

from __future__ import annotations

from typer.testing import CliRunner

from streams.__main__ import COMMANDS, application


def insist_on_command(line: str) -> None:
    """line: what follows `verdictline`. Fails where the command or one of its options does not exist."""
    words = line.split()
    name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
    assert name in COMMANDS
    shown = CliRunner().invoke(application(words), [*name.split(), "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.output, f"{name} has no {option}"
