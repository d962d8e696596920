"""A gateway of its own process, to be killed: hands in part n as number n, says each acknowledged id, goes on where it was.

python -m tests.helpers.gateway_child BOOTSTRAP STATE STATION COUNT
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from streams.settings import Settings
from streams.wiring.processors.gateway import Gateway
from tests.helpers.gateway import Fixed, part

PADDING = 20_000
_AT_ONCE = 8


async def run(settings: Settings, station: str, count: int) -> bool:
    gateway = Gateway(settings, Fixed(), stations=[station])
    try:
        for first in range(gateway.next_n(station), count, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, count))
            parts = (part(n, padding=PADDING, station=station, serial=f"S{n % 50}") for n in numbers)
            for inspection in await asyncio.gather(*map(gateway.submit, parts)):
                sys.stdout.write(f"{inspection}\n")
            sys.stdout.flush()
        return await gateway.drain(60)
    finally:
        gateway.close()


if __name__ == "__main__":
    bootstrap, state, name, parts = sys.argv[1:]
    sent = asyncio.run(run(Settings(kafka=bootstrap, state=Path(state)), name, int(parts)))
    raise SystemExit(0 if sent else 1)
