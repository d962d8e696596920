"""Passwords as argon2id hashes. Knows no user.

Parameters: OWASP's Password Storage Cheat Sheet, its first argon2id row below 64 MiB (m = 19 MiB, t = 2, p = 1): a process that
serves pages all day must not hold hundreds of MiB because ten people log in at once. At most two are computed at a time.
"""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST, MOST = 12, 200  # characters
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY = _HASHER.hash("nobody's password")
_AT_ONCE = threading.BoundedSemaphore(2)


def fault_of(password: str) -> str | None:
    """Why it cannot be a password; None: it can."""
    if len(password) < LEAST:
        return f"A password has at least {LEAST} characters; length protects better than odd signs."
    return f"A password has at most {MOST} characters." if len(password) > MOST else None


def hashed(password: str) -> str:
    with _AT_ONCE:
        return _HASHER.hash(password)


def fits(password: str, known: str | None) -> bool:
    """known: the hash; None takes as long, and never fits: who listens to the clock learns no names."""
    if len(password) > MOST:
        return False
    with _AT_ONCE:
        try:
            return _HASHER.verify(known or _NOBODY, password) and known is not None
        except (VerificationError, InvalidHashError):
            return False
