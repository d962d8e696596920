from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from schemas.common import Region
from schemas.model_set import PreparationV1
from streams.capture.image import decode, decode_rgb, prepare, sniff
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


def test_a_region_of_interest_is_cut_before_resizing() -> None:
    data = encode(picture(300, 400), ".png")
    region = Region(x0=20, y0=10, x1=276, y1=266)
    by_recipe = prepare(data, PreparationV1(roi=region))
    np.testing.assert_array_equal(by_recipe, decode_rgb(data, RECIPE)[10:266, 20:276])
    with pytest.raises(Unprocessable, match="roi_outside_image"):
        prepare(data, PreparationV1(roi=Region(x0=300, y0=0, x1=500, y1=50)))


def test_native_resolution_has_three_channels_of_8_bits() -> None:
    native = decode_rgb(encode(picture(dtype=np.uint16, channels=1), ".tiff"), RECIPE)
    assert native.shape == (90, 120, 3)
    assert native.dtype == np.uint8
    np.testing.assert_allclose(native[..., 0], picture(channels=1), atol=1.5)


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
