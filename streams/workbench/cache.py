"""The cache of downloads and built files: every entry appears whole or not at all. Knows no entry."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.settings import Settings, cache_folder
from streams.workbench.processes import clear_errors


def default_cache() -> Path:
    """VERDICTLINE_CACHE, else XDG_CACHE_HOME/verdictline, else ~/.cache/verdictline."""
    return cache_folder(Settings())


@contextmanager
def work_folder(cache: Path, name: str) -> Iterator[Path]:
    """A temporary folder beside the entries called `name`, held by one process at a time; move finished files out of it.

    What a killed process left in its own is removed first. Raises ServerStartError where the disk is full or forbidden.
    """
    prefix = f".{name}-"
    with clear_errors("cannot fill the cache", cache):
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f".{name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in cache.glob(f"{prefix}*"):
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=prefix, dir=cache, ignore_cleanup_errors=True) as folder:
                yield Path(folder)
