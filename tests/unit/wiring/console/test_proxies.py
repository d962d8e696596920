"""Whose word counts for where a request comes from: that of the proxies in the settings, and nobody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import uvicorn

from streams.settings import Settings
from streams.wiring.processors import console


@pytest.mark.parametrize(
    ("settings", "peer", "seen"),
    [
        ({"console_url": "https://localhost", "console_proxies": "10.1.0.0/16,::1"}, "10.1.2.3", "192.0.2.7"),
        ({"console_url": "https://localhost", "console_proxies": "10.1.0.0/16,::1"}, "10.2.2.3", "10.2.2.3"),
        ({"console_url": "https://localhost"}, "10.1.2.3", "10.1.2.3"),
        ({"console_url": "https://localhost"}, "127.0.0.1", "192.0.2.7"),
        ({}, "127.0.0.1", "127.0.0.1"),
    ],
)
async def test_an_address_is_taken_from_known_proxies_alone(
    tmp_path: Path, settings: dict[str, str], peer: str, seen: str
) -> None:
    found: list[str] = []

    async def asked(scope: dict[str, Any], receive: Any, send: Any) -> None:
        found.append(scope["client"][0])

    config = console.server_config(asked, Settings(state=tmp_path, **settings))  # type: ignore[arg-type]
    config.load()
    headers = [(b"x-forwarded-for", b"192.0.2.7")]
    await config.loaded_app({"type": "http", "client": (peer, 1), "headers": headers, "scheme": "http"}, None, None)
    assert isinstance(config, uvicorn.Config)
    assert found == [seen]
