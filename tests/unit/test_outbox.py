"""The outbox: nothing acknowledged is lost, no number is used twice, whatever is cut, killed or full."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.wiring.adapters.outbox import Entry, Outbox, OutboxDamaged, OutboxError, OutboxFull, OutboxInUse, Place

MIB = 1 << 20
Sizes = list[list[int]]  # of each group, the bytes of each entry


class Heads:
    """Remembers every head: what a station's memory would have seen."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def load(self, snapshot: dict[str, Any]) -> None:
        self.seen = list(snapshot["seen"])

    def dump(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def replay(self, head: bytes) -> None:
        self.seen.append(head.decode())


def opened(folder: Path, *, limit: int = 64 * MIB, now_ms: int = 1000) -> Outbox:
    return Outbox(folder, memory=Heads(), limit_bytes=limit, now_ms=now_ms)


def entry(n: int, size: int = 10) -> Entry:
    return Entry(n=n, head=f"head {n}".encode(), parts=[bytes([n % 256]) * size, b"", f"end {n}".encode()])


def commit(outbox: Outbox, sizes: list[int]) -> list[Place]:
    return outbox.commit([entry(outbox.next_n + i, size) for i, size in enumerate(sizes)])


def left(outbox: Outbox) -> dict[int, tuple[bytes, list[bytes]]]:
    return {place.n: outbox.read(place) for place in outbox.waiting}


@contextmanager
def scratch() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


@settings(max_examples=40, deadline=None)
@given(
    groups=st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=4), min_size=1, max_size=5),
    cut=st.integers(0, 3000),
    noise=st.binary(max_size=40),
)
def test_a_cut_anywhere_in_the_last_group_loses_nothing_acknowledged(groups: Sizes, cut: int, noise: bytes) -> None:
    with scratch() as folder:
        outbox = opened(folder / "o")
        for sizes in groups[:-1]:
            commit(outbox, sizes)
        acknowledged, safe = outbox.next_n, outbox.size
        commit(outbox, groups[-1])  # its fsync never returned: nobody was told
        shutil.copytree(folder / "o", folder / "crashed")
        outbox.close()
        log = next((folder / "crashed").glob("*.log"))
        whole = log.read_bytes()
        end = min(len(whole), safe + cut)
        log.write_bytes(whole[:end] + (noise if end < len(whole) else b""))

        again = opened(folder / "crashed", now_ms=2000)
        assert again.epoch == 1000
        assert acknowledged <= again.next_n <= acknowledged + len(groups[-1])
        sizes = [size for group in groups for size in group]
        expected = {n: (entry(n, sizes[n]).head, list(entry(n, sizes[n]).parts)) for n in range(again.next_n)}
        assert left(again) == expected
        commit(again, [5])
        again.close()
        assert opened(folder / "crashed").next_n == len(expected) + 1


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 400), flip=st.integers(1, 255))
def test_damage_of_kept_data_is_never_taken_for_a_torn_tail(at: int, flip: int) -> None:
    with scratch() as folder:
        outbox = opened(folder)
        start = outbox.size
        commit(outbox, [100, 100])
        end = outbox.size
        commit(outbox, [50])
        commit(outbox, [60])
        outbox.close()
        log = next(folder.glob("*.log"))
        data = bytearray(log.read_bytes())
        data[start + at % (end - start)] ^= flip
        log.write_bytes(data)
        with pytest.raises(OutboxDamaged, match=r"damaged"):
            opened(folder)


def test_power_loss_may_leave_the_end_of_a_group_without_its_beginning(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    commit(outbox, [10])
    start = outbox.size
    commit(outbox, [5000, 5000])
    outbox.close()
    log = next(tmp_path.glob("*.log"))
    data = bytearray(log.read_bytes())
    data[start : start + 4096] = bytes(4096)
    log.write_bytes(data)
    again = opened(tmp_path)
    assert (again.next_n, again.torn_bytes > 0) == (1, True)


def test_an_emptied_outbox_goes_on_with_epoch_number_and_memory(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    for _ in range(40):
        for place in commit(outbox, [4000]):
            outbox.done(place)
    outbox.tidy()
    assert outbox.size < 10_000
    outbox.close()
    again = opened(tmp_path, now_ms=9999)
    assert (again.epoch, again.next_n, again.waiting) == (1000, 40, [])


def test_what_is_done_is_not_sent_again_and_the_rest_is(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    places = commit(outbox, [10, 20, 30, 40])
    outbox.done(places[0])
    outbox.done(places[2])
    outbox.close()
    assert [place.n for place in opened(tmp_path).waiting] == [1, 3]


def test_full_says_so_and_gives_room_again_when_segments_are_done(tmp_path: Path) -> None:
    outbox = opened(tmp_path, limit=MIB)
    places = []
    while outbox.has_room(entry(0, 60_000).size):
        places += commit(outbox, [60_000])
    assert 0.8 * MIB < outbox.size <= MIB
    with pytest.raises(OutboxFull, match="too large for an outbox"):
        outbox.has_room(MIB)
    outbox.close()
    (tmp_path / f"{99:012d}.new").write_bytes(b"half a segment, never renamed")
    outbox = opened(tmp_path, limit=MIB)
    assert outbox.waiting == places
    for place in places:
        assert outbox.read(place)[0] == f"head {place.n}".encode()
        outbox.done(place)
    assert outbox.has_room(entry(0, 60_000).size)
    assert sum(path.stat().st_size for path in tmp_path.glob("*.log")) == outbox.size < MIB / 2


def test_no_space_writes_nothing_and_uses_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = opened(tmp_path)
    commit(outbox, [10])
    size, real = outbox.size, os.pwritev

    def half(fd: int, buffers: Any, at: int) -> int:
        if at > size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, [memoryview(b"".join(buffers))[:100]], at)

    with monkeypatch.context() as patch:
        patch.setattr("streams.wiring.adapters.frames.os.pwritev", half)
        with pytest.raises(OutboxFull, match="no space left"):
            commit(outbox, [500])
    assert next(tmp_path.glob("*.log")).stat().st_size == size
    assert commit(outbox, [500])[0].n == 1
    outbox.close()
    assert [place.n for place in opened(tmp_path).waiting] == [0, 1]


def test_two_gateways_cannot_use_one_outbox(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(OutboxInUse, match="another gateway"):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_numbers_without_a_gap_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without a gap"):
        opened(tmp_path).commit([entry(1)])


def test_one_fsync_for_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = opened(tmp_path)
    calls: list[int] = []
    real = os.fdatasync

    def counted(fd: int) -> None:
        calls.append(fd)
        real(fd)

    monkeypatch.setattr("streams.wiring.adapters.frames.os.fdatasync", counted)
    commit(outbox, [100] * 50)
    assert len(calls) == 1


class CrashPoints:
    """Copies the folder before and after every change of the disk: what a kill at that moment would leave."""

    CALLS = ("pwritev", "fdatasync", "ftruncate", "rename", "open")

    def __init__(self, folder: Path, images: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.images = folder, images
        self.acknowledged, self.asked, self.done = 0, 0, set[int]()
        self.points: list[tuple[Path, int, int, set[int]]] = []
        for name in self.CALLS:
            patch.setattr(f"streams.wiring.adapters.outbox.os.{name}", self._around(getattr(os, name)))

    def _around(self, call: Any) -> Any:
        def changed(*args: Any) -> Any:
            self._copy()
            result = call(*args)
            self._copy()
            return result

        return changed

    def _copy(self) -> None:
        image = self.images / str(len(self.points))
        self.points.append((image, self.acknowledged, self.asked, set(self.done)))
        image.mkdir()
        for path in self.folder.glob("*.*"):
            (image / path.name).write_bytes(path.read_bytes())


def test_a_kill_at_any_moment_loses_nothing_and_uses_no_number_twice(tmp_path: Path) -> None:
    folder, images = tmp_path / "o", tmp_path / "images"
    images.mkdir()
    outbox = opened(folder, limit=MIB)
    with pytest.MonkeyPatch.context() as patch:
        crash = CrashPoints(folder, images, patch)
        for turn in range(12):
            crash.asked = outbox.next_n + 2
            places = commit(outbox, [40_000, 10])
            crash.acknowledged = outbox.next_n
            if turn % 4 != 3:  # some stay
                for place in places:
                    crash.done.add(place.n)
                    outbox.done(place)
        outbox.close()
    assert len(crash.points) > 50
    for image, acknowledged, asked, done in crash.points:
        again = opened(image, limit=MIB, now_ms=2000)
        assert again.epoch == 1000
        assert acknowledged <= again.next_n <= asked
        found = left(again)
        assert set(range(acknowledged)) - done <= found.keys()
        for n, (head, parts) in found.items():
            assert (head, parts) == (f"head {n}".encode(), [*entry(n, [40_000, 10][n % 2]).parts])
        again.close()


def test_the_half_of_the_limit_is_for_one_entry_not_for_its_group(tmp_path: Path) -> None:
    outbox = opened(tmp_path, limit=MIB)
    third = MIB // 3
    assert outbox.has_room(third, beside=third)
    assert not outbox.has_room(third, beside=2 * third)
    with pytest.raises(OutboxFull, match="too large"):
        outbox.has_room(MIB // 2 + 1)
    outbox.close()


def test_a_segment_that_cannot_be_removed_stays_and_goes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = opened(tmp_path, limit=MIB)
    places = [place for _ in range(4) for place in commit(outbox, [100_000, 100_000])]
    removed, unlink = [], Path.unlink

    def refusing(path: Path, missing_ok: bool = False) -> None:
        removed.append(path)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "unlink", refusing)
    for place in places[:-1]:
        outbox.done(place)
    assert set(removed) == {min(tmp_path.glob("*.log"))}
    with pytest.raises(OutboxError, match="Input/output"):
        outbox.tidy()
    monkeypatch.setattr(Path, "unlink", unlink)
    outbox.tidy()
    assert removed[0] not in tmp_path.glob("*.log")
    outbox.close()
    again = opened(tmp_path, limit=MIB)
    assert [place.n for place in again.waiting] == [places[-1].n]
    again.close()
