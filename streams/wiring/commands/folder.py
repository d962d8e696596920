"""A folder of image files as parts: N consecutive names make one. Knows no image and no gateway."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

Group = list[tuple[str, Path]]  # (view, file)
_Look = tuple[int, int]  # bytes, time of the last change


def groups(folder: Path, views: Sequence[str], extensions: Collection[str]) -> list[Group]:
    """What is there now; an incomplete last group comes too. views: their names, in the order of the files.

    Raises ValueError where there is no folder or no image in it.
    """
    files = _files(folder, extensions)
    if not files:
        raise ValueError(f"no image in {folder}: {', '.join(sorted(extensions))} are looked for")
    return [_named(files[first : first + len(views)], views) for first in range(0, len(files), len(views))]


def strangers(folder: Path, extensions: Collection[str]) -> list[Path]:
    """Files whose names say that they are no images; hidden ones are left alone."""
    known = set(_files(folder, extensions))
    return sorted(p for p in folder.iterdir() if p not in known and not p.name.startswith(".") and p.is_file())


def arriving(
    folder: Path, views: Sequence[str], extensions: Collection[str], stop: threading.Event, look_s: float
) -> Iterator[Group]:
    """What is there, then what arrives, until `stop`; then an incomplete last group.

    A file is taken when two looks, `look_s` apart, find it unchanged and not empty, or when `stop` is set. Raises ValueError.
    """
    seen: set[Path] = set()
    before: dict[Path, _Look] = {}
    waiting: list[Path] = []
    while True:
        last = stop.is_set()
        now = {path: look for path in _files(folder, extensions) if path not in seen and (look := _look(path))}
        settled = [path for path, look in now.items() if before.get(path) == look]
        seen.update(settled)
        waiting += settled
        before = now
        while len(waiting) >= len(views) or (last and waiting):
            yield _named(waiting[: len(views)], views)
            del waiting[: len(views)]
        if last:
            return
        stop.wait(look_s)


def _files(folder: Path, extensions: Collection[str]) -> list[Path]:
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in extensions and not p.name.startswith(".") and p.is_file())


def _look(path: Path) -> _Look | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_size, found.st_mtime_ns) if found.st_size else None


def _named(files: Sequence[Path], views: Sequence[str]) -> Group:
    return list(zip(views, files, strict=False))
