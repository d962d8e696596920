"""The last label with a mask that each person sent of a part stays here until the topics have long had it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from schemas.label import LabelledViewV1, LabelV1, MaskV1
from streams.wiring.adapters.desk.dockets import Dockets
from streams.wiring.adapters.desk.opening import open_desk
from tests.helpers.labels import IMAGE, SHA, label, part

MASK = MaskV1(uri="file:///masks/1", sha256=SHA, bytes=99, width_px=640, height_px=480)


def painted(who: str, **changes: Any) -> LabelV1:
    views = (LabelledViewV1(view="v1", image=IMAGE, mask=MASK),)
    return label(answer="defect", label="scratch", taxonomy=SHA, views=views, who=who, **changes)


def test_each_persons_last_one_is_kept_and_forgotten_with_the_rest(tmp_path: Path) -> None:
    engine = open_desk(tmp_path)
    dockets = Dockets(engine)
    first, other = painted("ada"), painted("bob")
    second = painted("ada", withdraws=first.id)
    for at_us, one in ((1, first), (2, other), (3, second)):
        with dockets.change(at_us) as desk:
            desk.keep_masked(one)
    with dockets.look() as desk:
        assert desk.masked(part(7)) == (other, second)
        assert desk.masked(part(8)) == ()
    assert dockets.forget(3) == 1
    with dockets.look() as desk:
        assert desk.masked(part(7)) == (second,)
    engine.dispose()
