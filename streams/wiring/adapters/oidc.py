"""Logging in at an OpenID Connect provider: authorization code with PKCE, state, nonce; the ID token is checked by Authlib.

Knows no user of ours. What a flow needs between its two halves stays here, in memory, under the cookie of the browser that
began it: another browser cannot end it, and a restart makes people click once more.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from httpx2 import HTTPError
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from streams.fates import Unavailable

_NAME = "provider"
_LASTS_S, _MOST, _ASK_S = 600.0, 1000, 10.0


class NotLoggedIn(ValueError):
    """The provider, or what came back, does not say who that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """subject: issuer and `sub`, for ever the same person; name: what people call them."""

    subject: str
    name: str


class Provider:
    """issuer: its address, under which /.well-known/openid-configuration lies. claim: of the ID token, that names people."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, claim: str = "preferred_username") -> None:
        self.issuer = issuer.rstrip("/")
        self._claim = claim
        self._flows: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()
        self._client = OAuth().register(
            _NAME,
            server_metadata_url=f"{self.issuer}/.well-known/openid-configuration",
            client_id=client_id,
            client_secret=client_secret,
            client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256", "timeout": _ASK_S},
        )

    async def begin(self, request: Request, visitor: str, back: str) -> Response:
        """The redirect to the provider, which sends the browser to `back`. Raises Unavailable."""
        flow: dict[str, Any] = {}
        request.scope["session"] = flow
        try:
            response: Response = await self._client.authorize_redirect(request, back)
        except (HTTPError, RuntimeError, KeyError, ValueError) as error:
            raise Unavailable(f"the provider {self.issuer} does not answer: {error!r}") from error
        self._keep(visitor, flow)
        return response

    async def finish(self, request: Request, visitor: str) -> Identity:
        """Who came back. Raises NotLoggedIn, Unavailable."""
        begun, flow = self._flows.pop(visitor, (0.0, {}))
        if time.monotonic() - begun > _LASTS_S:
            raise NotLoggedIn("This login was not begun in this browser, or too long ago.")
        request.scope["session"] = flow
        try:
            token = await self._client.authorize_access_token(request)
        except HTTPError as error:
            raise Unavailable(f"the provider {self.issuer} does not answer: {error!r}") from error
        except (AuthlibBaseError, JoseError, RuntimeError, KeyError, ValueError) as error:
            raise NotLoggedIn(f"The provider did not confirm who you are ({type(error).__name__}).") from error
        claims = token.get("userinfo") or {}
        subject, name = claims.get("sub"), claims.get(self._claim)
        if not subject or not name or not isinstance(name, str):
            raise NotLoggedIn(f"The provider does not tell your {self._claim}.")
        return Identity(subject=f"{claims['iss']}#{subject}", name=name)

    def _keep(self, visitor: str, flow: dict[str, Any]) -> None:
        self._flows[visitor] = time.monotonic(), flow
        self._flows.move_to_end(visitor)
        while len(self._flows) > _MOST:
            self._flows.popitem(last=False)
