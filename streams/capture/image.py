"""Bytes to pixels: the one preparation that fitting and serving share. Knows no model and no file.

OpenCV lives here. Alpha channels and EXIF orientation are ignored: the camera's pixels count as they are stored.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from schemas.common import Region, digest
from schemas.model_set import PreparationV1
from streams.capture.image_header import ImageInfo, sniff
from streams.fates import Unprocessable

__all__ = [
    "ImageInfo",
    "Pixels",
    "RgbImage",
    "as_png",
    "decode",
    "decode_rgb",
    "encode_png",
    "prepare",
    "recipe_digest",
    "small_jpeg",
    "sniff",
    "thumbnail",
    "use_one_thread",
]

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
RgbImage = npt.NDArray[np.uint8]

_GREY = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))
_COLOUR = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION


def decode(data: bytes) -> Pixels:
    """Encoded image -> uint8 or uint16, (h, w) where it is stored grey, else (h, w, 3) RGB.

    Raises Unprocessable as `sniff` does, and `not_an_image` where the pixels cannot be decoded.
    """
    return _rgb(_stored(data, sniff(data)))


def decode_rgb(data: bytes, recipe: PreparationV1) -> RgbImage:
    """Encoded image -> uint8 (h, w, 3) RGB at its native resolution, whole: what segmentation cuts its windows from.

    Raises Unprocessable as `decode` does.
    """
    return _three_channels(_in_8_bits(_stored(data, sniff(data)), recipe))


def prepare(data: bytes, recipe: PreparationV1) -> RgbImage:
    """Encoded image -> uint8 (size, size, 3) RGB: decode, region of interest, resize by area, fixed 16 -> 8 bit limits.

    Raises Unprocessable as `decode` does, and `roi_outside_image`.
    """
    pixels = _stored(data, sniff(data))
    if recipe.roi is not None:
        pixels = _cut(pixels, recipe.roi)
    side = (recipe.size_px, recipe.size_px)
    return _three_channels(_in_8_bits(cv2.resize(pixels, side, interpolation=cv2.INTER_AREA), recipe))


def encode_png(pixels: Pixels) -> bytes:
    """As `decode` gives them: uint8 or uint16, (h, w) or (h, w, 3) RGB. Nothing is lost."""
    stored: Any = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def as_png(data: bytes) -> bytes:
    """Encoded image -> the same pixels as PNG. Raises Unprocessable as `decode` does."""
    return encode_png(decode(data))


def thumbnail(data: bytes, side_px: int) -> bytes:
    """Encoded image -> JPEG of 8 bits, its longer side side_px at most. Of a large JPEG only every 2nd, 4th or 8th pixel is
    decoded. Raises Unprocessable as `decode` does.
    """
    info = sniff(data)
    pixels = _reduced(data, info, side_px)
    height, width = pixels.shape[:2]
    scale = min(1.0, side_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])[1])


def small_jpeg(prepared: RgbImage, side: int = 96) -> bytes:
    """A prepared image as a small square JPEG, to recognise it by (2 to 4 kB at 96 px)."""
    small: Any = cv2.resize(prepared, (side, side), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def recipe_digest(recipe: PreparationV1) -> str:
    return digest(recipe)


def use_one_thread() -> None:
    """For processes that share cores with others: OpenCV's own threads gain nothing at these sizes."""
    cv2.setNumThreads(1)


def _stored(data: bytes, info: ImageInfo) -> Pixels:
    """As OpenCV decodes it: grey, or BGR."""
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), _GREY if info.is_grey else _COLOUR)
    except cv2.error as error:
        raise Unprocessable("not_an_image", f"{info.format}: {error.err}") from error
    if pixels is None or pixels.shape[:2] != (info.height_px, info.width_px):
        raise Unprocessable("not_an_image", f"{info.format} of {len(data)} bytes: the pixels are damaged")
    return pixels  # type: ignore[no-any-return]


def _reduced(data: bytes, info: ImageInfo, side_px: int) -> RgbImage:
    """BGR, at least side_px at its longer side where the image has that."""
    spare = max(info.height_px, info.width_px) // side_px
    flag = next((flag for step, flag in _REDUCED if spare >= step), cv2.IMREAD_COLOR)
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise Unprocessable("not_an_image", f"{info.format}: {error.err}") from error
    if pixels is None:
        raise Unprocessable("not_an_image", f"{info.format} of {len(data)} bytes: the pixels are damaged")
    return np.asarray(pixels, np.uint8)


def _cut(pixels: Pixels, region: Region) -> Pixels:
    height, width = pixels.shape[:2]
    if region.x1 > width or region.y1 > height or region.x0 >= region.x1 or region.y0 >= region.y1:
        raise Unprocessable("roi_outside_image", f"{region!r} does not lie in {width} x {height} pixels")
    return pixels[region.y0 : region.y1, region.x0 : region.x1]


def _rgb(pixels: Pixels) -> Pixels:
    rgb: Any = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return rgb  # type: ignore[no-any-return]


def _three_channels(pixels: RgbImage) -> RgbImage:
    code = cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _in_8_bits(pixels: Any, recipe: PreparationV1) -> RgbImage:
    """The same limits for every image: stretching each to its own would hide the light's drift."""
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    share = (np.clip(pixels, recipe.low, recipe.high).astype(np.float32) - recipe.low) / max(1, recipe.high - recipe.low)
    return np.asarray(share * 255 + 0.5, np.uint8)
