"""Size and shape of what is strange in a heat map."""

from __future__ import annotations

import numpy as np
import pytest

from streams.review.regions import region


def cells(*box: int, value: int = 200) -> bytes:
    """A box of y0, y1, x0, x1."""
    y0, y1, x0, x1 = box
    found = np.zeros((32, 32), np.uint8)
    found[y0:y1, x0:x1] = value
    return found.tobytes()


@pytest.mark.parametrize(
    ("box", "area", "elongation"),
    [((4, 12, 8, 16), 64, 1), ((10, 11, 2, 26), 24, 24), ((2, 26, 10, 11), 24, 24), ((3, 4, 3, 4), 1, 1)],
    ids=["a square is round", "a scratch is long", "upright too", "a single cell is round"],
)
def test_size_and_shape(box: tuple[int, ...], area: int, elongation: float) -> None:
    found = region(cells(*box), 100)
    assert found is not None
    assert found[0] == area / 1024
    assert found[1] == pytest.approx(elongation)


def test_where_nothing_is_strange_there_is_no_region() -> None:
    assert region(cells(3, 4, 3, 4, value=99), 100) is None
    assert region(bytes(1024), 1) is None
