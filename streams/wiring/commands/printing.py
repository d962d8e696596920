"""Standard output of the commands: a terminal gets lines of its width, a file or a pipe gets all of them whole."""

from __future__ import annotations

from rich.console import Console

_WHOLE = 10_000  # characters: no line of ours is longer


def printer() -> Console:
    """rich takes what is no terminal to be 80 characters wide, and cuts the cells of tables."""
    console = Console()
    return console if console.is_terminal else Console(width=_WHOLE)
