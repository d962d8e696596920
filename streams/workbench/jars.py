"""Kafka's jars: 46 exact versions with their SHA-256, in a cache. Knows no Java and starts nothing.

The table beside this file lists them as resolved from org.apache.kafka:kafka_2.13 with log4j's binding for slf4j 1.7.
Each is asked for by its coordinates, so that no resolver decides anything.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from streams.workbench.cache import default_cache, work_folder
from streams.workbench.processes import ServerStartError

VERSION = "4.3.1"
TABLE = Path(__file__).with_name("kafka-jars.sha256")
_AT_ONCE = 6


@dataclass(frozen=True, kw_only=True)
class Jar:
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def table() -> tuple[Jar, ...]:
    """Every jar of the class path."""
    rows = (line.split() for line in TABLE.read_text().splitlines())
    return tuple(
        Jar(group=group, artifact=artifact, version=version, sha256=digest)
        for digest, coordinates in rows
        for group, artifact, version in [coordinates.split(":")]
    )


def class_path(cache: Path | None = None) -> str:
    """The verified jars: of the folder $KAFKA_JARS, else of the cache, filled once.

    Raises ServerStartError where a jar is missing or is another than the table says.
    """
    if given := os.environ.get("KAFKA_JARS"):
        folder = Path(given)
        _check_given(folder)
    else:
        folder = (cache or default_cache()) / f"kafka-{VERSION}"
        if wrong := _not_right(folder):
            _download(wrong, folder)
    return os.pathsep.join(str(folder / jar.name) for jar in table())


def is_right(path: Path, jar: Jar) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _not_right(folder: Path) -> list[Jar]:
    return [jar for jar in table() if not is_right(folder / jar.name, jar)]


def _check_given(folder: Path) -> None:
    if wrong := _not_right(folder):
        what = "missing" if not (folder / wrong[0].name).exists() else "not the file that the SHA-256 table lists"
        raise ServerStartError(f"KAFKA_JARS={folder}: {wrong[0].name} is {what} ({len(wrong)} of {len(table())} jars are wrong)")


def _download(jars: Sequence[Jar], folder: Path) -> None:
    with work_folder(folder.parent, folder.name) as work, _progress(len(jars), folder) as one_more:
        folder.mkdir(exist_ok=True)
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            for _ in pool.map(lambda jar: _fetch(jar, work / jar.name, folder), jars):
                one_more()
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C waits for the jars in hand only


def _fetch(jar: Jar, work: Path, folder: Path) -> None:
    """One jar into its place, if no other process put it there meanwhile."""
    import requests
    from jgo.maven import MavenContext

    if is_right(folder / jar.name, jar):
        return
    try:
        context = MavenContext(repo_cache=work, timeout=30)
        path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except (requests.RequestException, RuntimeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ServerStartError(
            f"Kafka's jar {jar.name} cannot be downloaded ({reason}); connect this machine once, "
            f"or set KAFKA_JARS to a folder with the {len(table())} jars of {TABLE.name}"
        ) from error
    if not is_right(path, jar):
        raise ServerStartError(f"{jar.name} was downloaded, but its SHA-256 is not {jar.sha256}: not used")
    path.replace(folder / jar.name)


@contextmanager
def _progress(count: int, folder: Path) -> Iterator[Callable[[], None]]:
    console = Console(stderr=True)
    console.print(f"Apache Kafka {VERSION}: getting {count} jars (46 MB in all) into {folder}, once", soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("jars", total=count)
        yield lambda: progress.advance(task)
