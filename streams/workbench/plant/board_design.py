"""The circuit board's design: where copper, pads, holes and print are on both sides. The same for every board.

A drawing, not a picture: no damage, no light, no chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import cv2
import numpy as np

from streams.workbench.plant.canvas import SIDE, polyline
from streams.workbench.plant.parts import Image, Mask

LEFT, RIGHT = 34, SIDE - 34  # the board's edges, in px
_MASK, _COPPER, _TIN, _INK = (46, 88, 22), (62, 122, 46), (176, 192, 198), (222, 228, 226)  # blue, green, red
_DRILL, _BENCH = (20, 24, 22), (34, 33, 36)


@dataclass(frozen=True, kw_only=True)
class Pad:
    """Middle, full width and height in px; round ones have equal sides; drilled ones a hole."""

    x: float
    y: float
    w: float
    h: float
    round: bool = False
    drilled: bool = False


@dataclass(frozen=True, kw_only=True)
class Design:
    """bare: board without pads and print; plate: everything; tin, ink: where pads and print are (0..255)."""

    pads: tuple[Pad, ...]
    neighbours: tuple[tuple[Pad, Pad], ...]  # pads that solder could join
    labels: tuple[tuple[int, int, int, int], ...]  # x0, y0, x1, y1 of each print
    bare: Image
    plate: Image
    tin: Mask
    ink: Mask


def _rows(x: float, y: float, count: int, pitch: float, w: float, h: float, upright: bool = False) -> list[Pad]:
    places = [(x, y + k * pitch) if upright else (x + k * pitch, y) for k in range(count)]
    return [Pad(x=px, y=py, w=w, h=h) for px, py in places]


def _top_rows() -> list[list[Pad]]:
    chip = [_rows(150, y, 5, 52, 32, 60) for y in (176, 330)]
    plug = [[Pad(x=236 + 62 * k, y=86, w=46, h=46, round=True, drilled=True) for k in range(4)]]
    small = [[Pad(x=94 + 196 * k, y=430, w=52, h=50), Pad(x=160 + 196 * k, y=430, w=52, h=50)] for k in range(2)]
    return [*chip, *plug, *small]


def _bottom_rows() -> list[list[Pad]]:
    plug = [[Pad(x=276 - 62 * k, y=86, w=46, h=46, round=True, drilled=True) for k in range(4)]]
    power = [[Pad(x=110 + 96 * k, y=412, w=70, h=70, round=True, drilled=True) for k in range(4)]]
    supply = [_rows(244, 210, 4, 62, 38, 80)]
    small = [[Pad(x=84, y=y, w=48, h=52), Pad(x=150, y=y, w=48, h=52)] for y in (190, 270)]
    return [*plug, *power, *supply, *small]


_TOP_PRINT = (("VL-2", 62, 100, 1.5), ("U1", 218, 276, 1.9))
_BOTTOM_PRINT = (("PSU", 316, 98, 1.7), ("24V", 258, 330, 1.6))


def _blank() -> Mask:
    return np.zeros((SIDE, SIDE), np.uint8)


def _draw_pad(alpha: Mask, pad: Pad, grow: float = 0.0) -> None:
    if pad.round:
        cv2.circle(alpha, (round(pad.x * 16), round(pad.y * 16)), round((pad.w / 2 + grow) * 16), (255,), -1, cv2.LINE_AA, 4)
        return
    w, h = pad.w / 2 + grow, pad.h / 2 + grow
    cv2.rectangle(alpha, (round(pad.x - w), round(pad.y - h)), (round(pad.x + w) - 1, round(pad.y + h) - 1), (255,), -1)


def pad_mask(pad: Pad, grow: float = 0.0) -> Mask:
    """Where one pad is, 0..255."""
    alpha = _blank()
    _draw_pad(alpha, pad, grow)
    return alpha


def _traces(rows: list[list[Pad]], seed: int) -> Mask:
    """Tracks that leave most pads, turn by 45 degrees and end in a via; a copper plane along one edge."""
    rng, alpha = np.random.default_rng(seed), _blank()
    pads = [pad for row in rows for pad in row]
    for pad in pads:
        if rng.random() < 0.5:
            out = np.array([np.sign(pad.x - SIDE / 2), 0.0]) if pad.w >= pad.h else np.array([0.0, np.sign(pad.y - SIDE / 2)])
            turned = out + rng.choice([-1.0, 1.0]) * out[::-1]
            first = np.array([pad.x, pad.y]) + out * rng.uniform(44, 66)
            last = first + turned * rng.uniform(10, 36)
            path = np.clip(np.stack([np.array([pad.x, pad.y]), first, last]), LEFT + 12, RIGHT - 12)
            polyline(alpha, path, 8)
            cv2.circle(alpha, (round(path[2, 0]), round(path[2, 1])), 12, (255,), -1, cv2.LINE_AA)
    for y in range(LEFT + 12, RIGHT, 120):
        polyline(alpha, np.array([[LEFT + 10.0, y], [LEFT + 10, y + 70], [LEFT + 26, y + 86]]), 6)
    cv2.rectangle(alpha, (RIGHT - 22, LEFT + 60), (RIGHT - 8, RIGHT - 60), (255,), -1)
    return alpha


def _print(texts: tuple[tuple[str, int, int, float], ...], rows: list[list[Pad]]) -> tuple[Mask, list[tuple[int, int, int, int]]]:
    alpha, labels = _blank(), []
    for text, x, y, scale in texts:
        (width, height), low = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 3)
        cv2.putText(alpha, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (255,), 3, cv2.LINE_AA)
        labels.append((x - 2, y - height - 2, x + width + 2, y + low + 2))
    for row in rows:
        if len(row) > 1:
            x0, x1 = min(p.x - p.w / 2 for p in row) - 8, max(p.x + p.w / 2 for p in row) + 8
            y0, y1 = min(p.y - p.h / 2 for p in row) - 8, max(p.y + p.h / 2 for p in row) + 8
            cv2.rectangle(alpha, (round(x0), round(y0)), (round(x1), round(y1)), (220,), 3)
    return alpha, labels


def _fill(image: Image, alpha: Mask, colour: tuple[int, int, int]) -> Image:
    share = alpha[..., None].astype(np.float32) / 255
    return (image + share * (np.asarray(colour, np.float32) - image) + 0.5).astype(np.uint8)


def _bare(copper: Mask) -> Image:
    image = np.full((SIDE, SIDE, 3), _BENCH, np.uint8)
    outline = _blank()
    cv2.rectangle(outline, (LEFT, LEFT), (RIGHT, RIGHT), (255,), -1)
    for x, y in ((LEFT + 18, LEFT + 18), (RIGHT - 18, LEFT + 18), (LEFT + 18, RIGHT - 18), (RIGHT - 18, RIGHT - 18)):
        cv2.circle(outline, (x, y), 9, (0,), -1, cv2.LINE_AA)
    shadow = cv2.GaussianBlur(np.roll(outline, (4, 4), (0, 1)), (0, 0), 4)
    image = _fill(image, np.asarray(shadow, np.uint8), (14, 14, 15))
    image = _fill(image, outline, _MASK)
    image = _fill(image, np.minimum(copper, outline), _COPPER)
    rim = cv2.absdiff(outline, np.asarray(cv2.erode(outline, np.ones((3, 3), np.uint8)), np.uint8))
    return _fill(image, np.asarray(rim, np.uint8), (84, 136, 92))


def _tinned(image: Image, pads: list[Pad], tin: Mask) -> Image:
    """Pads with a soft gleam towards the upper left, and their holes."""
    soft = np.asarray(cv2.GaussianBlur(tin, (0, 0), 2.2), np.float32)
    gleam = np.clip((np.roll(soft, (2, 2), (0, 1)) - np.roll(soft, (-2, -2), (0, 1))) * 0.35, -46, 46)
    done = _fill(image, tin, _TIN).astype(np.float32) + (gleam * (tin / np.float32(255)))[..., None]
    holes = _blank()
    for pad in pads:
        if pad.drilled:
            cv2.circle(holes, (round(pad.x), round(pad.y)), round(pad.w * 0.27), (255,), -1, cv2.LINE_AA)
    return _fill(np.clip(done, 0, 255).astype(np.uint8), holes, _DRILL)


@cache
def design(view: str) -> Design:
    """The drawing of `top` or `bottom`. Do not write into its arrays."""
    rows, texts, seed = (_top_rows(), _TOP_PRINT, 3) if view == "top" else (_bottom_rows(), _BOTTOM_PRINT, 4)
    pads = [pad for row in rows for pad in row]
    tin = _blank()
    for pad in pads:
        _draw_pad(tin, pad)
    ink, labels = _print(texts, rows)
    ink = np.minimum(ink, np.uint8(255) - tin)
    bare = _bare(np.maximum(_traces(rows, seed), np.asarray(cv2.dilate(tin, np.ones((9, 9), np.uint8)), np.uint8) // 2))
    plate = _fill(_tinned(bare, pads, tin), ink, _INK)
    near = tuple(pair for row in rows for pair in pairwise(row))
    return Design(
        pads=tuple(pads), neighbours=near, labels=tuple(labels), bare=_fill(bare, ink, _INK), plate=plate, tin=tin, ink=ink
    )
