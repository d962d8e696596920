"""What the embedded servers share: ports, the link to the parent's life, one clear error. Knows no server."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class ServerStartError(RuntimeError):
    """A server cannot start. The message is one line: the reason and, where there is one, the way out."""


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback address that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def die_with_parent() -> None:
    """For `preexec_fn`: SIGTERM when the thread that started the child ends. That thread must live as long as the server."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def clear_errors(what: str, folder: Path) -> Iterator[None]:
    """Turns the errors of a full or forbidden disk into ServerStartError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ServerStartError(
                f"{what}: no space left on the disk of {folder}; free some, or choose another folder"
            ) from error
        raise ServerStartError(f"{what}: {folder}: {error.strerror or error}") from error


def try_lock(path: Path) -> IO[bytes] | None:
    """The file, locked until it is closed; None while another process holds it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def lock_within(path: Path, wait_s: float) -> IO[bytes] | None:
    """As try_lock, but waits for a holder that is on its way out."""
    end = time.monotonic() + wait_s
    while (file := try_lock(path)) is None and time.monotonic() < end:
        time.sleep(0.05)
    return file


def log_tail(log: Path, size: int = 20_000) -> str:
    """The last bytes of a log as text; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def first_line(text: str, wanted: Callable[[str], object]) -> str:
    """The first wanted line, else the last line, at most 400 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = next((line for line in lines if wanted(line)), lines[-1] if lines else "no output")
    return found[:400]
