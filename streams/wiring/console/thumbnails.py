"""Small images for lists of parts; where there is none, a picture that says so. Opens no reference but the database's."""

from __future__ import annotations

from starlette.responses import Response

from schemas.common import ImageRef
from streams.fates import Unavailable, Unprocessable
from streams.wiring.console.ports import Ask

_SEALED = {"Content-Security-Policy": "default-src 'none'; sandbox"}
_KEPT = {"Cache-Control": "private, max-age=86400", **_SEALED}
_GONE = {"image_gone": ("no longer", "retained"), "sha256_mismatch": ("another image", "lies there"), "": ("cannot", "be shown")}


def show(ask: Ask) -> Response:
    """The image of a view never changes: a browser that has it need not read it again."""
    ref = ask.ports.questions.image(ask.asked("id"), ask.asked("view"))
    if ref is None:
        return _nothing("no image", "is known")
    tag = f'"{ref.sha256[:32]}-{ask.ports.thumbnails.side_px}"'
    if tag in ask.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={**_KEPT, "ETag": tag})
    return _small(ask, ref, tag)


def _small(ask: Ask, ref: ImageRef, tag: str) -> Response:
    try:
        data = ask.ports.thumbnails.of(ref)
    except Unprocessable as error:
        return _nothing(*_GONE.get(error.reason, _GONE[""]))
    except Unavailable:
        return _nothing("cannot be", "read now")
    return Response(data, media_type="image/jpeg", headers={**_KEPT, "ETag": tag})


def _nothing(*lines: str) -> Response:
    """Asked again the next time: it may come back."""
    rows = "".join(f'<text x="112" y="{107 + 24 * n}">{line}</text>' for n, line in enumerate(lines))
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 224 224" width="224" height="224">'
        '<rect width="224" height="224" fill="#56616e"/><g fill="#fff" font-family="system-ui,sans-serif" font-size="20" '
        f'text-anchor="middle">{rows}</g></svg>'
    )
    return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": "no-store", **_SEALED})
