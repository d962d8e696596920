"""A folder as parts: consecutive names, and files that arrive while one looks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.wiring.commands.folder import arriving, groups, strangers

PNG = frozenset({".png"})


def names(group: list[tuple[str, Path]]) -> list[str]:
    return [f"{view}={path.name}" for view, path in group]


def test_consecutive_names_make_a_part_and_the_last_may_be_incomplete(tmp_path: Path) -> None:
    for name in ("b.png", "a.PNG", "c.png", ".hidden.png", "note.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [names(g) for g in groups(tmp_path, ("v1", "v2"), PNG)] == [["v1=a.PNG", "v2=b.png"], ["v1=c.png"]]
    assert [path.name for path in strangers(tmp_path, PNG)] == ["note.txt"]
    with pytest.raises(ValueError, match="is no folder"):
        groups(tmp_path / "b.png", ("v1",), PNG)


class Script(threading.Event):
    """Does the next thing whenever the folder's watcher waits for a moment; then stops it."""

    def __init__(self, *things: Callable[[], object]) -> None:
        super().__init__()
        self.things = list(things)

    def wait(self, timeout: float | None = None) -> bool:
        if self.things:
            self.things.pop(0)()
        else:
            self.set()
        return self.is_set()


def test_a_file_is_taken_when_it_has_stopped_growing_and_only_once(tmp_path: Path) -> None:
    grows, whole = tmp_path / "1-grows.png", tmp_path / "2-whole.png"
    taken: list[str] = []
    at_growth: list[list[str]] = []

    def grow() -> None:
        at_growth.append(list(taken))
        with grows.open("ab") as file:
            file.write(b"more")

    grows.touch()
    late = tmp_path / "3-late.png.tmp"
    late.write_bytes(b"x")

    def grow_beside_another() -> None:
        whole.write_bytes(b"x")
        grow()

    script = Script(grow, grow_beside_another, grow, grow, lambda: late.rename(tmp_path / "3-late.png"), lambda: None)
    for group in arriving(tmp_path, ("v1",), PNG, script, 0.01):
        taken += names(group)
    assert taken == ["v1=2-whole.png", "v1=1-grows.png", "v1=3-late.png"]
    assert at_growth == [[], [], [], ["v1=2-whole.png"]]


def test_when_it_is_stopped_an_incomplete_part_comes_too(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(b"x")
    parts = [names(group) for group in arriving(tmp_path, ("top", "side"), PNG, Script(lambda: None), 0.01)]
    assert parts == [["top=a.png", "side=b.png"], ["top=c.png"]]
