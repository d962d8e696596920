"""The acts of people in a scenario, by the same commands that people type. Returns what they said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from streams.settings import Settings
from streams.workbench.demo.models import child_env

_WHO = "demo"
_DONE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """done: exit code 0. said: last line, of what went wrong where something did."""

    done: bool
    said: str


def commission(settings: Settings, stream: str, parts: int, lots: int) -> Answer:
    """Raises ValueError where it is refused: without a baseline there is no scenario."""
    answer = _act(settings, "commission", stream, parts, lots, ["--accept-shift", "first commissioning of the demonstration"])
    if not answer.done:
        raise ValueError(f"the baseline was not commissioned: {answer.said}")
    return answer


def refresh(settings: Settings, stream: str, parts: int, lots: int, since: str) -> Answer:
    """Without a word for what moved: silent, if it is accepted."""
    return _act(settings, "refresh", stream, parts, lots, ["--since", since])


def _act(settings: Settings, verb: str, stream: str, parts: int, lots: int, more: Sequence[str]) -> Answer:
    signed = ["--who", _WHO, "--why", "scenario of the simulated plant", "--reviewed-by", _WHO]
    sizes = ["--min-parts", str(parts), "--min-lots", str(lots)]
    command = [sys.executable, "-m", "streams", "baseline", verb, stream, *signed, *sizes, *more]
    done = subprocess.run(command, env=child_env(settings), capture_output=True, text=True, check=False, timeout=_DONE_S)
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return Answer(done=done.returncode == 0, said="; ".join(line.strip() for line in lines))
