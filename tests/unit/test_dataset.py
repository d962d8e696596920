from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from streams.training.dataset import DataError, read_dataset
from tests.helpers.fits import plate, png

PICTURE = png(plate(0, "good")[0])


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PICTURE)


def test_the_layout_is_read_with_its_groups_views_and_masks(tmp_path: Path) -> None:
    put(tmp_path, "good/a.png", "good/b.JPG", "defect/crack/a.png", "defect/crack/c.tif", "masks/crack/c.png")
    (tmp_path / "good/readme.txt").write_text("no image")
    (tmp_path / "groups.csv").write_text("split,stem,group,class,view\ndev,a,7,good,top\ndev,a,8,crack,\ndev,c,9,,side\n")
    items = {(i.kind, Path(i.name).stem): i for i in read_dataset(tmp_path).items}
    assert set(items) == {("good", "a"), ("good", "b"), ("crack", "a"), ("crack", "c")}
    assert [(items[key].group, items[key].view) for key in sorted(items)] == [
        ("8", "v1"), ("9", "side"), ("7", "top"), ("good/b", "v1")
    ]  # fmt: skip
    assert items["crack", "c"].read_mask() == PICTURE
    assert items["crack", "a"].read_mask() is None


def test_oddities_are_told(tmp_path: Path) -> None:
    put(tmp_path, "good/a.png", "masks/crack/x.png")
    notes = " ".join(read_dataset(tmp_path).notes)
    assert "1 masks belong to no image" in notes
    assert "no groups.csv" in notes


def _csv(text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        put(folder, "good/a.png")
        (folder / "groups.csv").write_text(text)

    return make


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder.rmdir(), "no such folder"),
        (lambda folder: None, "no image in good/ or defect/"),
        (lambda folder: put(folder, "defect/Big Crack/a.png"), "rename it"),
        (lambda folder: put(folder, "defect/good/a.png"), "rename it"),
        (_csv("name,part\na,1\n"), "needs the columns stem and group"),
        (_csv("stem,group\na,\n"), "line 2 lacks"),
        (_csv("stem,group,view\na,1,Top View\n"), "line 2: view 'Top View'"),
    ],
)
def test_bad_folders_end_with_one_clear_line(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    make(folder)
    with pytest.raises(DataError, match=said) as error:
        read_dataset(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)
