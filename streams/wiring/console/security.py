"""Cookies, tokens of forms, and the headers of every answer. Knows no page.

Every form carries a token: of the session, or before there is one of a cookie that only this browser has (double submit).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import Response

MOST_FORM_BYTES, MOST_FIELDS, MOST_WHY = 64 << 10, 200, 200
MOST_PNG_BYTES, PNG = 4 << 20, "image/png"
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
_SESSION, _VISITOR = "verdictline-session", "verdictline-visitor"
_SESSION_S = 12 * 3600
_AS_TYPED = ("password", "again")  # a space belongs to a password
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}


class Rejected(Exception):
    """status: of the answer; the text is for the person."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def why_of(form: Mapping[str, str]) -> str:
    """Raises Rejected 400: an act without a reason is none."""
    why = "".join(letter if letter.isprintable() else " " for letter in form.get("why", ""))[:MOST_WHY].strip()
    if not why:
        raise Rejected(400, "Say why: it is recorded with the act. Nothing was changed.")
    return why


def harden(response: Response, secure: bool) -> Response:
    """What a handler has set itself stays."""
    for name, value in {**HEADERS, **(_HTTPS_ONLY if secure else {})}.items():
        response.headers.setdefault(name, value)
    return response


def session_token(request: Request, secure: bool) -> str | None:
    return request.cookies.get(_named(_SESSION, secure))


def keep_session(response: Response, token: str, secure: bool) -> None:
    _keep(response, _SESSION, token, secure, _SESSION_S)


def drop_session(response: Response, secure: bool) -> None:
    response.delete_cookie(_named(_SESSION, secure), path="/", secure=secure, httponly=True, samesite="lax")


def visitor_token(request: Request, secure: bool) -> str:
    """That of the browser's cookie, or a new one for `keep_visitor`."""
    return request.cookies.get(_named(_VISITOR, secure)) or secrets.token_urlsafe(32)


def keep_visitor(response: Response, token: str, secure: bool) -> None:
    _keep(response, _VISITOR, token, secure, None)


def check_form(request: Request, given: str | None, expected: str | None, url: str) -> None:
    """Raises Rejected 403 unless the form has its token, and the request comes from a page of ours.

    url: the console's address as people write it: a proxy before it need not pass their Host on.
    """
    origin = request.headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc not in (request.headers.get("host"), urlsplit(url).netloc)
    known = given is not None and expected is not None and hmac.compare_digest(given.encode(), expected.encode())
    if foreign or not known:
        raise Rejected(403, "This form is too old, or does not come from this page. Nothing was changed: load the page again.")


async def png_of(request: Request) -> bytes:
    """The body of an act that takes an image. Raises Rejected 413, 415."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != PNG:
        raise Rejected(415, "A PNG is needed (image/png).")
    return await _body(request, MOST_PNG_BYTES, "An image that is sent here")


async def _body(request: Request, most: int, what: str) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Rejected(413, f"{what} has at most {most} bytes.")
    return bytes(body)


async def form_of(request: Request) -> dict[str, str]:
    """Fields of a urlencoded form, the first of each name. Raises Rejected 413, 415, 400."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Rejected(415, "A form is needed (application/x-www-form-urlencoded).")
    body = await _body(request, MOST_FORM_BYTES, "A form")
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise Rejected(400, "The form cannot be read.") from error
    return {name: values[0] if name in _AS_TYPED else values[0].strip() for name, values in found.items()}


def _named(name: str, secure: bool) -> str:
    """`__Host-`: the browser takes it only over HTTPS, from this host alone."""
    return f"__Host-{name}" if secure else name


def _keep(response: Response, name: str, token: str, secure: bool, max_age_s: int | None) -> None:
    response.set_cookie(_named(name, secure), token, max_age=max_age_s, path="/", secure=secure, httponly=True, samesite="lax")
