"""Where images lie: whatever an address says ends in a reason, and a file appears whole from however many processes."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from schemas.common import ImageRef
from streams.fates import Unprocessable
from streams.wiring.adapters.images import FileImages, Images


def reason_of(root: Path, uri: str) -> str:
    images = Images(None, roots=[root])
    with pytest.raises(Unprocessable) as caught:
        images.read_now(ImageRef(uri=uri, sha256="0" * 64, bytes=7, content_type="image/png"))
    images.close()
    return caught.value.reason


def test_whatever_an_address_says_it_is_never_asked_for_ever(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"picture")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    base = f"file://{tmp_path}"
    wanted = {
        f"{base}/x%00y": "unsupported_uri",
        "file://[/x": "unsupported_uri",
        "kafka://[x/0/1": "unsupported_uri",
        f"{base}/{'a' * 300}": "image_gone",
        f"{base}/file/x": "image_gone",
        f"{base}/circle": "image_gone",
        f"{base}/nothing": "image_gone",
        base: "image_gone",
        f"{base}/file": "sha256_mismatch",
    }
    assert {uri: reason_of(tmp_path, uri) for uri in wanted} == wanted


def test_another_process_of_the_same_number_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It renames its file into place while this one still writes: as in two containers, where both are number 1."""
    data = b"picture" * 1000
    sha256, images, fsync = hashlib.sha256(data).hexdigest(), FileImages(tmp_path), os.fsync
    entered: list[int] = []

    def meanwhile(fd: int) -> None:
        entered.append(fd)
        if len(entered) == 1:
            FileImages(tmp_path).put(data, sha256)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", meanwhile)
    images.put(data, sha256)
    path = tmp_path / sha256[:2] / sha256
    assert path.read_bytes() == data
    assert [one.name for one in path.parent.iterdir()] == [sha256]
    assert stat.S_IMODE(path.stat().st_mode) & 0o044, "readers may run under another account"
