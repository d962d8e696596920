"""Masks in a process of their own: it comes when asked, goes when nobody asks, and what kills it harms nobody else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from schemas.common import Region
from streams.capture.image import decode, encode_png
from streams.evidence.measures import Scale
from streams.fates import Unavailable, Unprocessable
from streams.review.masks import measured, write_mask
from streams.review.proposal import Hint, proposed
from streams.wiring.masking import Masking
from tests.helpers.masks import BOX, HEIGHT, WIDTH, heat, plate, png, truth
from tests.helpers.wait import wait_until

SCALE = Scale(cell_px=1, mm_per_px=0.1, critical=(5.0, 6.0))
WHOLE = Region(x0=0, y0=0, x1=WIDTH, y1=HEIGHT)


@pytest.fixture
def painter() -> Iterator[Masking]:
    found = Masking()
    yield found
    found.close()


def test_its_answers_are_those_of_the_functions(painter: Masking) -> None:
    picture = plate()
    steps = np.rint(heat() / 4 * 255).astype(np.uint8).tobytes()
    for hint in (
        Hint(boxes=(Region(**BOX),), heat=None, covered=WHOLE),
        Hint(boxes=(), heat=(4.0, steps, 0.9), covered=WHOLE),
        Hint(boxes=(), heat=None, covered=WHOLE),
    ):
        found = painter.propose(encode_png(picture), hint)
        assert (decode(found) > 0).tolist() == proposed(np.dstack([picture] * 3), hint).tolist()
    sizes, kept = painter.measure(png(truth()), WIDTH, HEIGHT, "scratch", SCALE)
    assert sizes == measured(truth(), "scratch", SCALE)
    assert kept == write_mask(truth())


def test_bytes_that_are_at_fault_are_refused_and_the_next_question_is_answered(painter: Masking) -> None:
    for data in (b"", b"no image", png(truth().T), b"\n" * 1000, b'{"do": "measure"}\n'):
        with pytest.raises(Unprocessable, match="bad_mask"):
            painter.measure(data, WIDTH, HEIGHT, "scratch", SCALE)
    with pytest.raises(Unprocessable, match="not_an_image"):
        painter.propose(b"no image", Hint(boxes=(), heat=None, covered=WHOLE))
    assert painter.measure(png(truth()), WIDTH, HEIGHT, "scratch", SCALE)[0]


def test_a_process_that_was_killed_is_started_again(painter: Masking) -> None:
    painter.measure(png(truth()), WIDTH, HEIGHT, "scratch", SCALE)
    process = painter._process
    assert process is not None
    process.kill()
    process.wait()
    assert painter.measure(png(truth()), WIDTH, HEIGHT, "scratch", SCALE)[0]


def test_one_that_does_not_answer_in_time_is_ended_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen
    asleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr("streams.wiring.masking.subprocess.Popen", lambda _, **more: real(asleep, **more))
    slow = Masking(within_s=0.2)
    with pytest.raises(Unavailable, match="cannot be worked on now"):
        slow.measure(png(truth()), WIDTH, HEIGHT, "scratch", SCALE)
    assert slow._process is None


def test_it_goes_when_nobody_asks_and_ends_with_whoever_asked() -> None:
    brief = Masking(idle_s=0.1)
    brief.measure(png(truth()), WIDTH, HEIGHT, "scratch", SCALE)
    wait_until(lambda: brief._process is None, 10, "its end")
    lines = [
        "import os, sys, numpy as np",
        "from streams.wiring.masking import Masking",
        "from streams.evidence.measures import Scale",
        "from streams.review.masks import write_mask",
        "one = Masking()",
        "one.measure(write_mask(np.ones((4, 5), bool)), 5, 4, 'x', Scale(cell_px=1))",
        "print(one._process.pid, flush=True)",
        "os._exit(9)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 9, done.stderr
    pid = int(done.stdout)
    wait_until(lambda: not _runs(pid), 10, "its end")


def _runs(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(listed) and not listed.startswith("Z")
