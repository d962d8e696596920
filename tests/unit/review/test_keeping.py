"""What was said of a challenge makes its part nobody's example, and no unknown kind."""

from __future__ import annotations

import pytest

from streams.review.keeping import Judged, kept
from tests.helpers.labels import label


@pytest.mark.parametrize("answer", ["good", "defect", "unsure"])
def test_a_challenge_is_kept_as_if_nobody_had_said_anything(answer: str) -> None:
    said = (label(answer=answer, shown="challenge", purpose="challenge"),)
    for disposition in ("pass", "scrap", "review"):
        part = Judged(disposition=disposition, purpose="challenge")
        assert kept(Judged(disposition=disposition, purpose="challenge", labels=said)) == kept(part)


def test_a_part_that_was_labelled_otherwise_is() -> None:
    found = kept(Judged(disposition="pass", labels=(label(),)))
    assert found is not None
    assert found.state == "labelled"
