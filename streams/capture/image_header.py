"""What a file's first bytes say of an image: format, size, depth; and whether its end is there. Decodes no pixel.

Knows PNG, JPEG, BMP and TIFF. The name of a file is never looked at.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from streams.fates import Unprocessable

Format = Literal["png", "jpeg", "bmp", "tiff"]
PIXEL_LIMIT = 64_000_000
BYTE_LIMIT = 256 << 20

_FOREIGN = {
    b"GIF8": "GIF",
    b"RIFF": "WebP",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xffO\xffQ": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"%PDF": "PDF",
    b"II+\x00": "BigTIFF",
    b"MM\x00+": "BigTIFF",
}


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """bits: of one channel, 8 or 16 (fewer are expanded to 8). channels: as stored; 2 and 4 hold an alpha channel."""

    format: Format
    width_px: int
    height_px: int
    channels: int
    bits: int

    @property
    def content_type(self) -> str:
        return f"image/{self.format}"

    @property
    def is_grey(self) -> bool:
        return self.channels <= 2


def sniff(data: bytes, *, pixel_limit: int = PIXEL_LIMIT, byte_limit: int = BYTE_LIMIT) -> ImageInfo:
    """Read the header, check size and completeness.

    Raises Unprocessable: empty, too_many_bytes, not_an_image, unsupported_format, truncated, too_large.
    """
    if not data:
        raise Unprocessable("empty", "0 bytes")
    if len(data) > byte_limit:
        raise Unprocessable("too_many_bytes", f"{len(data)} bytes, the limit is {byte_limit}")
    try:
        info = _info(data)
    except (struct.error, IndexError) as error:
        raise Unprocessable("truncated", f"the header ends after {len(data)} bytes") from error
    if info.width_px < 1 or info.height_px < 1:
        raise Unprocessable("not_an_image", f"{info.format} of {info.width_px} x {info.height_px} pixels")
    if info.width_px * info.height_px > pixel_limit:
        raise Unprocessable("too_large", f"{info.width_px} x {info.height_px} pixels, the limit is {pixel_limit}")
    _END[info.format](data)
    return info


def _info(data: bytes) -> ImageInfo:
    for magic, name in _FOREIGN.items():
        if data.startswith(magic):
            raise Unprocessable("unsupported_format", f"{name}; PNG, JPEG, BMP and TIFF are read")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"BM"):
        return _bmp(data)
    if data.startswith((b"II*\x00", b"MM\x00*")):
        return _tiff(data)
    raise Unprocessable("not_an_image", f"{len(data)} bytes that begin with {data[:8].hex(' ')}")


# --- PNG ---------------------------------------------------------------------------------------------------------------
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


def _png(data: bytes) -> ImageInfo:
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    if data[12:16] != b"IHDR" or colour not in _PNG_CHANNELS:
        raise Unprocessable("not_an_image", "PNG without a proper IHDR")
    return ImageInfo(format="png", width_px=width, height_px=height, channels=_PNG_CHANNELS[colour], bits=16 if bits == 16 else 8)


def _png_end(data: bytes) -> None:
    """Walk the chunks to IEND: a few steps, whatever the size."""
    at = 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IEND":
            return
        at += 12 + size
    raise Unprocessable("truncated", f"PNG without its end (IEND) in {len(data)} bytes")


# --- JPEG --------------------------------------------------------------------------------------------------------------
_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_UNREADABLE = {0xC3, *range(0xC5, 0xC8), *range(0xCB, 0xD0)}  # lossless, hierarchical, arithmetic


def _jpeg_segments(data: bytes) -> tuple[int, int]:
    """Positions of the frame header's and the first scan's marker. Raises IndexError at the data's end."""
    at, frame = 2, -1
    while True:
        if data[at] != 0xFF:
            raise Unprocessable("not_an_image", f"JPEG: no marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:  # fill bytes, markers without a length
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xDA:
            return frame, at
        if marker == 0xD9:
            raise Unprocessable("not_an_image", "JPEG without a scan")
        if marker in _SOF:
            frame = at
        at += 2 + int.from_bytes((data[at + 2], data[at + 3]), "big")


def _jpeg(data: bytes) -> ImageInfo:
    frame, _ = _jpeg_segments(data)
    if frame < 0:
        raise Unprocessable("not_an_image", "JPEG without a frame header")
    bits, height, width, channels = struct.unpack_from(">BHHB", data, frame + 4)
    if data[frame + 1] in _UNREADABLE or bits != 8 or channels not in (1, 3):
        raise Unprocessable("unsupported_format", f"JPEG of type {data[frame + 1]:02x}, {channels} channels of {bits} bits")
    return ImageInfo(format="jpeg", width_px=width, height_px=height, channels=channels, bits=8)


def _jpeg_end(data: bytes) -> None:
    _, scan = _jpeg_segments(data)
    if data.rfind(b"\xff\xd9", scan) < 0:  # inside a scan ff is always followed by 00 or a restart marker
        raise Unprocessable("truncated", f"JPEG without its end (EOI) in {len(data)} bytes")


# --- BMP ---------------------------------------------------------------------------------------------------------------
def _bmp(data: bytes) -> ImageInfo:
    header, width, height = struct.unpack_from("<Iii", data, 14)
    planes, bits = struct.unpack_from("<HH", data, 26)
    if header < 40 or planes != 1:
        raise Unprocessable("unsupported_format", f"BMP with a header of {header} bytes")
    if bits not in (1, 4, 8, 16, 24, 32):
        raise Unprocessable("not_an_image", f"BMP with {bits} bits a pixel")
    return ImageInfo(format="bmp", width_px=width, height_px=abs(height), channels=3, bits=8)


def _bmp_end(data: bytes) -> None:
    (start,) = struct.unpack_from("<I", data, 10)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    rows = (width * bits + 31) // 32 * 4 * abs(height)
    expected = start + rows if compression in (0, 3) else struct.unpack_from("<I", data, 2)[0]
    if len(data) < expected:
        raise Unprocessable("truncated", f"BMP of {expected} bytes ends after {len(data)}")


# --- TIFF --------------------------------------------------------------------------------------------------------------
_SIZES = {1: 1, 3: 2, 4: 4}  # BYTE, SHORT, LONG
_CODES = {1: "B", 3: "H", 4: "I"}
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _SAMPLE_FORMAT = 256, 257, 258, 277, 339
_PIECES = ((273, 279), (324, 325))  # offsets and byte counts of strips, of tiles


def _tiff_tags(data: bytes) -> dict[int, tuple[int, ...]]:
    """The first page's whole-number tags."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, n = struct.unpack_from(f"{order}HHI", data, entry)
        if kind not in _SIZES:
            continue
        inline = n * _SIZES[kind] <= 4
        (where,) = (entry + 8,) if inline else struct.unpack_from(f"{order}I", data, entry + 8)
        if where + n * _SIZES[kind] > len(data):
            raise Unprocessable("truncated", f"TIFF: tag {tag} lies outside its {len(data)} bytes")
        tags[tag] = struct.unpack_from(f"{order}{n}{_CODES[kind]}", data, where)
    return tags


def _tiff(data: bytes) -> ImageInfo:
    tags = _tiff_tags(data)
    if _WIDTH not in tags or _HEIGHT not in tags:
        raise Unprocessable("not_an_image", "TIFF without width and height")
    channels = (tags.get(_SAMPLES) or (1,))[0]
    bits = (tags.get(_BITS) or (1,))[0]
    if bits not in (1, 2, 4, 8, 16) or not 1 <= channels <= 4 or any(f != 1 for f in tags.get(_SAMPLE_FORMAT, ())):
        raise Unprocessable("unsupported_format", f"TIFF of {channels} channels of {bits} bits; 8 and 16 bit integers are read")
    return ImageInfo(
        format="tiff", width_px=tags[_WIDTH][0], height_px=tags[_HEIGHT][0], channels=channels, bits=16 if bits == 16 else 8
    )


def _tiff_end(data: bytes) -> None:
    tags = _tiff_tags(data)
    for offsets, counts in _PIECES:
        for start, size in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False):
            if start + size > len(data):
                raise Unprocessable("truncated", f"TIFF: pixels up to byte {start + size}, the file has {len(data)}")


_END = {"png": _png_end, "jpeg": _jpeg_end, "bmp": _bmp_end, "tiff": _tiff_end}
