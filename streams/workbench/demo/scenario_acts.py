"""The acts of people in a scenario, by the same commands that people type."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from streams.settings import Settings
from streams.workbench.demo.models import child_env

_SIGNED = ("--who", "demo", "--why", "scenario of the simulated plant")
_DONE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """done: exit code 0. said: what it printed, of what went wrong where something did."""

    done: bool
    said: str


def commission(settings: Settings, stream: str, parts: int, lots: int) -> Answer:
    """Raises ValueError where it is refused: without a baseline there is no scenario."""
    accepted = ("--accept-shift", "first commissioning of the demonstration")
    answer = verdictline(settings, "baseline", "commission", stream, *_sizes(parts, lots), *accepted)
    if not answer.done:
        raise ValueError(f"the baseline was not commissioned: {answer.said}")
    return answer


def refresh(settings: Settings, stream: str, parts: int, since: str) -> Answer:
    """Without a word for what moved: silent, if it is accepted."""
    return verdictline(settings, "baseline", "refresh", stream, *_sizes(parts, 0), "--since", since)


def verdictline(settings: Settings, *words: str) -> Answer:
    """One command, signed."""
    command = [sys.executable, "-m", "streams", *words, *_SIGNED]
    done = subprocess.run(command, env=child_env(settings), capture_output=True, text=True, check=False, timeout=_DONE_S)
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    name = f"verdictline {' '.join(words[:2])}: "
    return Answer(done=done.returncode == 0, said="; ".join(line.removeprefix(name).strip() for line in lines))


def _sizes(parts: int, lots: int) -> list[str]:
    return ["--reviewed-by", "demo", "--min-parts", str(parts), "--min-lots", str(lots)]
