"""Prometheus and promtool where a machine has them. No wheel brings them: elsewhere their tests are skipped, and say why.

`.ci/run` installs them, and fails where it cannot.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

HOW = "needs Prometheus: apt install prometheus (it brings promtool)"
INSTALLED = bool(shutil.which("prometheus") and shutil.which("promtool"))
needs_prometheus = pytest.mark.skipif(not INSTALLED, reason=HOW)


def promtool(*words: str) -> str:
    """What it printed. Fails with that where it says no."""
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
