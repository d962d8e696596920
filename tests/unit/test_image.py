from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from schemas.common import Region
from schemas.model_set import PreparationV1
from streams.capture.image import crop, decode, prepare, sniff
from streams.capture.windows import windows
from streams.fates import Unprocessable

RECIPE = PreparationV1()


def picture(height: int = 90, width: int = 120, *, dtype: type = np.uint8, channels: int = 3) -> npt.NDArray[np.uint16]:
    """Smooth and different in each channel and direction, so that swapped axes or channels show."""
    top = 255 if dtype is np.uint8 else 65535
    y, x = np.mgrid[:height, :width]
    planes = [x / width, y / height, (x + y) / (height + width), np.ones_like(x)][:channels]
    image: npt.NDArray[np.uint16] = np.stack([p * top * (1 - 0.2 * i) for i, p in enumerate(planes)], -1).astype(dtype)
    return image[..., 0] if channels == 1 else image


def encode(image: npt.NDArray[np.uint16], extension: str) -> bytes:
    """image: RGB(A) or grey."""
    if image.ndim == 3:
        image = np.ascontiguousarray(image[..., [2, 1, 0, 3][: image.shape[2]]])
    return bytes(cv2.imencode(extension, image)[1])


LOSSLESS = [
    (extension, dtype, channels)
    for extension in (".png", ".bmp", ".tiff")
    for dtype in (np.uint8, np.uint16)
    for channels in (1, 3)
    if not (extension == ".bmp" and dtype is np.uint16)
]


@pytest.mark.parametrize(("extension", "dtype", "channels"), LOSSLESS)
def test_lossless_formats_give_back_their_pixels(extension: str, dtype: type, channels: int) -> None:
    image = picture(dtype=dtype, channels=channels)
    data = encode(image, extension)
    info = sniff(data)
    assert (info.width_px, info.height_px, info.bits) == (120, 90, 8 if dtype is np.uint8 else 16)
    pixels = decode(data)
    if pixels.ndim > image.ndim:  # BMP has no grey of its own
        pixels = pixels[..., 0]
    assert pixels.dtype == dtype
    np.testing.assert_array_equal(pixels, image)


def test_alpha_is_ignored() -> None:
    np.testing.assert_array_equal(decode(encode(picture(channels=4), ".png")), picture())


@pytest.mark.parametrize("extension", [".png", ".jpg", ".bmp", ".tiff"])
def test_prepare_gives_square_rgb(extension: str) -> None:
    image = prepare(encode(picture(), extension), RECIPE)
    assert image.shape == (256, 256, 3)
    assert image.dtype == np.uint8
    assert image[128, 250, 0] > image[128, 5, 0] + 200, "red rises to the right"
    assert image[250, 128, 1] > image[5, 128, 1] + 150, "green rises downwards"


def test_16_bits_use_the_recipes_limits_not_the_images_own() -> None:
    dark = encode(np.full((40, 40), 1000, np.uint16), ".png")
    recipe = PreparationV1(low=0, high=4095)
    assert np.unique(prepare(dark, recipe)).tolist() == [round(1000 / 4095 * 255)]
    assert np.unique(prepare(dark, PreparationV1(low=2000, high=4095))).tolist() == [0]


def test_region_of_interest_and_crop_see_the_same_pixels() -> None:
    data = encode(picture(), ".png")
    region = Region(x0=20, y0=10, x1=84, y1=74)
    by_recipe = prepare(data, PreparationV1(roi=region))
    np.testing.assert_array_equal(by_recipe, crop(decode(data), region, RECIPE))
    with pytest.raises(Unprocessable, match="roi_outside_image"):
        prepare(data, PreparationV1(roi=Region(x0=100, y0=0, x1=200, y1=50)))


def bomb() -> bytes:
    """A PNG of a few bytes that claims 30000 x 30000 pixels."""
    head = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IEND\xaeB`\x82"


PNG, JPEG = encode(picture(), ".png"), encode(picture(), ".jpg")
HOSTILE = [
    (b"", "empty"),
    (b"Hello, I am no image", "not_an_image"),
    (b'{"json": true}', "not_an_image"),
    (b"GIF89a" + bytes(100), "unsupported_format"),
    (b"II+\0" + bytes(100), "unsupported_format"),
    (PNG[:20], "truncated"),
    (PNG[: len(PNG) // 2], "truncated"),
    (PNG[:-12], "truncated"),
    (JPEG[:50], "truncated"),
    (JPEG[: len(JPEG) // 2], "truncated"),
    (JPEG[:-2], "truncated"),
    (encode(picture(), ".bmp")[:-1], "truncated"),
    (encode(picture(), ".tiff")[:2000], "truncated"),
    (b"BM" + bytes(30), "unsupported_format"),
    (bomb(), "too_large"),
    (PNG[:200] + bytes([PNG[200] ^ 0xFF]) + PNG[201:], "not_an_image"),
    (b"\x89PNG\r\n\x1a\n" + bytes(40), "not_an_image"),
    (b"\xff\xd8\xff\xd9", "not_an_image"),
]


@pytest.mark.parametrize(("data", "reason"), HOSTILE)
def test_hostile_bytes_are_refused_with_their_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Unprocessable) as refusal:
        prepare(data, RECIPE)
    assert refusal.value.reason == reason


@pytest.mark.parametrize("data", [PNG, JPEG, encode(picture(), ".bmp"), encode(picture(), ".tiff")])
def test_no_cut_is_ever_half_decoded(data: bytes) -> None:
    for size in range(1, len(data) - 12, max(1, len(data) // 60)):
        with pytest.raises(Unprocessable):
            decode(data[:size])


def test_more_bytes_than_the_limit() -> None:
    with pytest.raises(Unprocessable, match="too_many_bytes"):
        sniff(PNG, byte_limit=len(PNG) - 1)


def test_a_float_tiff_is_refused_by_name() -> None:
    data = bytes(cv2.imencode(".tiff", np.zeros((20, 30), np.float32))[1])
    with pytest.raises(Unprocessable, match="unsupported_format"):
        sniff(data)


def test_windows_cover_the_region_and_stay_inside() -> None:
    cases = [
        (Region(x0=0, y0=0, x1=10, y1=10), 512, 512),
        (Region(x0=500, y0=500, x1=512, y1=512), 512, 512),
        (Region(x0=30, y0=0, x1=470, y1=1260), 500, 1260),
        (Region(x0=0, y0=0, x1=200, y1=120), 200, 120),
    ]
    for region, width, height in cases:
        cut = windows(region, width, height)
        side = min(256, width, height)
        seen = np.zeros((height, width), bool)
        for w in cut:
            assert (w.x1 - w.x0, w.y1 - w.y0) == (side, side)
            assert w.x0 >= 0 <= w.y0
            assert w.x1 <= width
            assert w.y1 <= height
            seen[w.y0 : w.y1, w.x0 : w.x1] = True
        assert seen[region.y0 : region.y1, region.x0 : region.x1].all()
